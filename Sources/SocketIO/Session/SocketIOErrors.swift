/// Why a connection ended, or an attempt to connect failed.
public enum SocketIODisconnect: Error, Equatable, Sendable {
    /// ``SocketIOClient/disconnect()`` was called. Final.
    case clientRequested
    /// The server sent DISCONNECT: it does not want this client (any more). Often a rejected token.
    case serverDisconnected
    /// The server refused the namespace (CONNECT_ERROR), with its message and the JSON text of its data.
    case refused(message: String, data: [UInt8]?)
    /// The auth callback threw, gave something that is no JSON object, or took too long.
    case authenticationUnavailable(String)
    /// Nothing was heard for the server's ping interval and ping timeout together.
    case pingTimeout
    /// The connection was closed; the peer's close code (nil: none) and reason.
    case transportClosed(code: UInt16?, reason: String)
    /// The connection could not be made or broke; what failed and where, for the operator. `status` is the HTTP
    /// status if the upgrade was refused.
    case transportFailed(String, status: Int?)
    /// A step took longer than it may.
    case timedOut(SocketIOPhase)
    /// The server sent what is no Socket.IO.
    case protocolViolation(PacketError)
    /// The server's packets are right, but not at this time: says which.
    case unexpectedPacket(String)
    /// A message was longer than allowed. Bytes.
    case messageTooLarge(limit: Int)
    /// ``SocketIOClient/reconnect(reason:)`` was called.
    case reconnectRequested(String)
    /// The loop was shut down. Final.
    case loopShutDown
}

extension SocketIODisconnect: CustomStringConvertible {
    /// What happened, in words for an operator.
    public var description: String {
        switch self {
        case .clientRequested: "disconnected on request"
        case .serverDisconnected: "the server disconnected this client; it often means a rejected token"
        case .refused(let message, _): "the server refused the namespace: \(message)"
        case .authenticationUnavailable(let words): "no authentication for the connection: \(words)"
        case .pingTimeout: "the server fell silent: nothing heard for its ping interval and ping timeout together"
        case .transportClosed(let code, let reason):
            "the connection was closed" + (code.map { " with code \($0)" } ?? "")
                + (reason.isEmpty ? "" : ": \(reason)")
        case .transportFailed(let words, _): words
        case .timedOut(let phase): "no answer in time: \(phase.rawValue)"
        case .protocolViolation(let error): "the server sent what is no Socket.IO packet: \(error)"
        case .unexpectedPacket(let words): "the server sent a packet out of turn: \(words)"
        case .messageTooLarge(let limit): "the server sent a message of more than \(limit) bytes"
        case .reconnectRequested(let reason): "reconnecting on request: \(reason)"
        case .loopShutDown: "the realtime loop was shut down"
        }
    }
}

/// The steps of a connection that have deadlines.
public enum SocketIOPhase: String, Sendable {
    /// The auth callback; looking the name up; TCP; the TLS handshake; the answer to the WebSocket upgrade.
    case authentication, resolve, connect, tls, upgrade
    /// The server's first packet.
    case open
    /// The namespace's acceptance.
    case namespace
    /// Binary attachments that were announced.
    case attachments
}

/// Where a client stands.
public enum SocketIOState: Equatable, Sendable {
    /// Not yet asked to connect.
    case idle
    /// On the way; `attempt` counts from 1 since the last useful connection.
    case connecting(attempt: Int)
    /// The namespace accepted. `recovered`: the server kept the session and sends what was missed.
    case connected(socketID: String, recovered: Bool)
    /// Not connected; `retryIn` nil means there will be no further attempt.
    case disconnected(SocketIODisconnect, retryIn: Duration?)
}

/// Why something could not be sent, or was not acknowledged.
public enum SocketIOError: Error, Equatable, Sendable {
    /// There is no connection to send over.
    case notConnected
    /// So many bytes wait to be written that no more are taken. Bytes.
    case queueFull(limit: Int)
    /// Not connected, and as many events as allowed wait for the connection.
    case bufferFull(limit: Int)
    /// What was given cannot be sent, or makes no sense; says why.
    case invalidArgument(String)
    /// A stream of events or states was not read fast enough and dropped its oldest; so many are kept.
    case streamOverflow(limit: Int)
    /// What was received is not what the program expects; says where.
    case unexpectedValue(String)
    /// A message is longer than the server said it takes; it would close the connection. Bytes.
    case messageTooLarge(limit: Int)
    /// The server did not answer within the time given.
    case acknowledgementTimedOut(Duration)
    /// The connection ended before the acknowledgement came; whether the server saw the event is unknown.
    case disconnected(SocketIODisconnect)
    /// The task that waited was cancelled, or the client was disconnected with the event still waiting.
    case cancelled
}
