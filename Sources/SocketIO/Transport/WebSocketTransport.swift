/// What a WebSocket connection is asked for.
public struct WebSocketRequest: Sendable {
    /// Name or numeric address, without brackets.
    public var host: String
    public var port: Int
    public var isSecure: Bool
    /// Path with query, beginning with `/`.
    public var path: String
    /// Further request headers. Never sent anywhere but to ``host``: redirects are not followed.
    public var headers: [(name: String, value: String)] = []
    /// PEM file with the certificate authorities to trust instead of the system's; nil: the system's.
    public var certificateAuthorityFile: String?
    public var deadlines = WebSocketDeadlines()
    /// Largest message taken in, all its fragments together. Bytes.
    public var maximumMessageBytes = 16 * 1024 * 1024
    /// Bytes that may wait to be written; more is refused.
    public var maximumQueuedBytes = 16 * 1024 * 1024

    public init(host: String, port: Int, isSecure: Bool, path: String) {
        self.host = host
        self.port = port
        self.isSecure = isSecure
        self.path = path
    }
}

/// How long each step of opening and closing a WebSocket may take.
public struct WebSocketDeadlines: Sendable {
    /// Looking the name up.
    public var resolve: Duration = .seconds(10)
    /// TCP connect, over all addresses of the name together.
    public var connect: Duration = .seconds(10)
    /// TLS handshake.
    public var tls: Duration = .seconds(10)
    /// Answer to the upgrade request.
    public var upgrade: Duration = .seconds(10)
    /// Closing handshake, including what still waits to be written.
    public var close: Duration = .seconds(2)

    public init() {}
}

/// Why a WebSocket ended.
public enum WebSocketEnd: Error, Equatable, Sendable {
    /// A step of opening took longer than its deadline.
    case timedOut(WebSocketPhase)
    /// Resolve, connect, TLS or the upgrade failed; `status` is the HTTP status of a refused upgrade.
    case failed(WebSocketPhase, words: String, status: Int?)
    /// The connection was open and ended; the peer's close code (nil: none was sent) and reason.
    case closed(code: UInt16?, reason: String)
    /// A message was longer than allowed (or announced to be).
    case messageTooLarge(limit: Int)
    /// The server broke the protocol; it was told so with ``WebSocketViolation/closeCode``.
    case violated(WebSocketViolation)
    /// The loop was shut down.
    case loopShutDown
}

/// The steps of opening a WebSocket.
public enum WebSocketPhase: String, Sendable {
    case resolve, connect, tls, upgrade
}

/// Hears what happens on a WebSocket; on the loop.
public protocol WebSocketHandler: AnyObject {
    func webSocketOpened()
    /// A whole message. The bytes belong to the transport and are valid for the call only.
    func webSocketReceived(_ bytes: UnsafeRawBufferPointer, isBinary: Bool)
    /// Last call.
    func webSocketEnded(_ end: WebSocketEnd)
}

/// A client's WebSocket; used on the loop only.
public protocol WebSocketTransport: AnyObject {
    /// Starts; the handler hears of the outcome later, never inside this call.
    func open()
    /// Puts a message into the queue. False: the queue would hold more than it may, or the
    /// socket is not open; nothing was queued.
    func send(_ bytes: [UInt8], isBinary: Bool) -> Bool
    /// Writes what waits, then a close frame. The handler's last call comes within the close deadline.
    func close(code: UInt16, reason: String)
    /// The handler hears nothing more, from this moment on; the connection ends as ``close(code:reason:)`` does,
    /// or at once if `code` is nil.
    func abandon(code: UInt16?)
    /// Bytes waiting to be written, with what frames add to messages.
    var queuedBytes: Int { get }
}
