/// A Socket.IO client of one namespace, reconnecting by itself; over a WebSocket of its own, or one that it shares with
/// clients of other namespaces (``SocketIOConnection``).
///
/// The client runs on a ``RealtimeLoop``; inside the loop's callbacks its methods can be called directly with
/// `assumeIsolated`. From ``connect()`` until it is finished (``disconnect()``, or the loop's shutdown) it keeps
/// itself, its delegate and the auth callback alive; a finished client stays finished.
public actor SocketIOClient {
    /// Asked for the payload of **every** CONNECT: JSON text of an object, or nil for none. Throwing fails that
    /// attempt; the callback is asked again after the backoff. `attempt` counts from 1 since the last useful
    /// connection. Runs outside the loop.
    public typealias Auth = @Sendable (_ attempt: Int) async throws -> [UInt8]?

    /// Whom it connects to, and how.
    public nonisolated var configuration: Configuration { shared.value }
    private nonisolated let shared: SharedConfiguration
    /// The thread it runs on.
    public nonisolated let loop: RealtimeLoop
    /// The connection, for clients of other namespaces to share.
    public nonisolated let connection: SocketIOConnection
    let core: ClientCore

    /// The loop: the client is an actor of it.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// A client over a connection of its own. Does nothing before ``connect()``.
    public init(
        configuration: Configuration, loop: RealtimeLoop, auth: @escaping Auth = { _ in nil },
        delegate: any SocketIODelegate
    ) {
        let connection = SocketIOConnection(configuration: configuration, loop: loop)
        self.init(connection.shared, connection, auth, delegate)
    }

    /// A client of another namespace over a connection that is shared.
    /// - Parameters:
    ///   - namespace: `/` or `/name`; a connection can have one client of each.
    ///   - connection: another client's, or one made for this.
    ///   - auth: the payload of this namespace's CONNECT.
    ///   - configure: changes what is this client's own: backoff, whether it reconnects, and the deadlines of
    ///     authentication and namespace. The rest is the connection's.
    ///   - delegate: hears events and changes of state, on the loop.
    public init(
        namespace: String, over connection: SocketIOConnection, auth: @escaping Auth = { _ in nil },
        configure: (inout Configuration) -> Void = { _ in }, delegate: any SocketIODelegate
    ) {
        var configuration = connection.configuration
        configure(&configuration)
        configuration.namespace = namespace
        self.init(SharedConfiguration(configuration), connection, auth, delegate)
    }

    private init(
        _ configuration: SharedConfiguration, _ connection: SocketIOConnection, _ auth: @escaping Auth,
        _ delegate: any SocketIODelegate
    ) {
        shared = configuration
        self.connection = connection
        loop = connection.loop
        core = ClientCore(
            configuration: configuration, connection: connection.engine, auth: auth, delegate: delegate)
    }

    /// Starts, or, while waiting for the next attempt, makes it now. Otherwise does nothing.
    public func connect() { core.connect(as: self) }

    /// Ends the client: DISCONNECT and, unless others share the connection, a close frame, at most for the `close` timeout.
    /// The delegate then hears `.disconnected(.clientRequested, retryIn: nil)`, its last call.
    public func disconnect() { core.handle(.disconnect) }

    /// Drops the present connection or attempt, and connects anew after the backoff's delay; auth is asked again. A
    /// connection that others share stays; only this namespace is left and joined anew.
    /// While waiting for the next attempt it does nothing.
    public func reconnect(reason: String) { core.handle(.reconnect(reason: reason)) }

    /// Sends an event.
    /// - Throws: ``SocketIOError``: not connected, queue full, or an argument that cannot be sent.
    public func emit(_ event: String, _ arguments: [SocketIOArgument] = []) throws(SocketIOError) {
        try core.emit(event, arguments, acknowledged: nil)
    }

    /// Sends an event and asks for an acknowledgement; `completion` runs on the loop, once, later.
    /// - Throws: as ``emit(_:_:)``; `completion` will not be called then.
    /// - Returns: a number for ``abandonAcknowledgement(_:)``.
    @discardableResult
    public func emit(
        _ event: String, _ arguments: [SocketIOArgument], ackTimeout: Duration,
        completion: @escaping @Sendable (Result<SocketIOAck, SocketIOError>) -> Void
    ) throws(SocketIOError) -> UInt64 {
        let id = core.nextAcknowledgementID()
        try core.emit(event, arguments, acknowledged: (id, ackTimeout, completion))
        return id
    }

    /// Sends an event and waits for the acknowledgement.
    /// - Throws: ``SocketIOError``; also `.acknowledgementTimedOut`, `.disconnected`, and `.cancelled` if the task is.
    public func emit(
        _ event: String, _ arguments: [SocketIOArgument], ackTimeout: Duration
    ) async throws(SocketIOError) -> SocketIOAck {
        let id = core.nextAcknowledgementID()
        let outcome: Result<SocketIOAck, SocketIOError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                do throws(SocketIOError) {
                    try core.emit(
                        event, arguments, acknowledged: (id, ackTimeout, { continuation.resume(returning: $0) }))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        } onCancel: {
            Task { await self.abandonAcknowledgement(id) }
        }
        return try outcome.get()
    }

    /// No longer waits for an acknowledgement; its completion hears `.cancelled`.
    public func abandonAcknowledgement(_ id: UInt64) { core.settle(id, .failure(.cancelled)) }

    /// Where it stands.
    public var state: SocketIOState { core.session.state }

    /// When a whole message of the server was last received; nil before the first.
    public var lastTransportActivity: ContinuousClock.Instant? { core.connection.lastActivity }

    /// The server's id of this connection, while connected.
    public var socketID: String? {
        if case .connected(let id, _) = core.session.state { id } else { nil }
    }

    /// Attempts that failed since the last connection that was useful (30 s by default).
    public var reconnectAttempts: Int { core.session.backoff.failures }

    /// Bytes waiting to be written.
    public var queuedBytes: Int { core.connection.transport?.queuedBytes ?? 0 }

    func authenticated(_ attempt: UInt64, _ payload: [UInt8]?) { core.authenticated(attempt, payload) }

    func authenticationFailed(_ attempt: UInt64, _ words: String) {
        core.handle(.authenticationFailed(attempt: attempt, words))
    }

    func acknowledge(
        _ id: UInt64, connection: UInt64, _ arguments: [SocketIOArgument]
    ) throws(SocketIOError) {
        guard connection == core.connectionNumber else { throw .notConnected }
        try core.acknowledge(id, arguments)
    }
}
