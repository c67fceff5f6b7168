import Locking

/// A Socket.IO client for everyday use: listeners by name, streams, values of the program's own types, and a connection
/// that can be opened again after it was closed.
///
/// ```swift
/// let loop = try RealtimeLoop()
/// let socket = try SocketIOSocket("https://chat.example", loop: loop) { _ in ["token": .string(try await token())] }
/// socket.on("message", as: Message.self) { message in print(message.text) }
/// socket.connect()
/// try await socket.emit("hello", "world", ["count": 1])
/// ```
///
/// It is an actor of its loop: listeners run on the loop's thread, in the order of the packets, and should be quick; start
/// a task for what takes long. From ``connect()`` to ``disconnect()`` it keeps itself alive. Where nanoseconds count use
/// ``SocketIOClient``, on which it stands.
public actor SocketIOSocket {
    /// Gives what the server is told in every CONNECT: an object, or nil. Asked anew for each attempt; throwing fails
    /// that attempt, and the callback is asked again after the backoff. `attempt` counts from 1 since the last useful
    /// connection.
    public typealias Auth = @Sendable (_ attempt: Int) async throws -> SocketIOValue?

    /// What becomes of events that are emitted without a connection.
    public enum Offline: Sendable, Equatable {
        /// ``SocketIOError/notConnected`` is thrown.
        case refuse
        /// They are sent in their order once there is a connection; beyond so many ``SocketIOError/bufferFull(limit:)``
        /// is thrown, and beyond the configuration's `maximumQueuedBytes` ``SocketIOError/queueFull(limit:)``. What was
        /// written to a connection that then broke is not sent again.
        case keep(atMost: Int)
    }

    struct Waiting {
        var number: UInt64
        var event: String
        var arguments: [SocketIOArgument]
        var bytes: Int
        var acknowledged: (timeout: Duration, completion: AcknowledgementCompletion)?
    }

    /// Whom it connects to, and how.
    public nonisolated let configuration: SocketIOClient.Configuration
    /// The thread it runs on.
    public nonisolated let loop: RealtimeLoop
    /// The connection, for sockets of other namespaces to share.
    public nonisolated let connection: SocketIOConnection
    /// What becomes of events that are emitted without a connection.
    public nonisolated let offline: Offline
    private let auth: Auth
    private var client: SocketIOClient?
    private var isStopping = false
    /// ``connect()`` was called while the last connection was still being closed.
    private var startsAgain = false
    nonisolated let listeners = Locked(ListenerBook())
    private var waiting: [Waiting] = []
    private var waitingBytes = 0
    private var lastNumber: UInt64 = 0
    /// Acknowledgements that are awaited of the client, by the number of the call: so that a task can give up waiting.
    private var awaited: [UInt64: UInt64] = [:]
    private var current = SocketIOState.idle

    /// The loop: the socket is an actor of it.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - url: scheme, host and perhaps a port; `https` and `wss` mean TLS, verified.
    ///   - loop: the thread it runs on; any number of sockets share one.
    ///   - offline: what becomes of events that are emitted without a connection.
    ///   - auth: the payload of every CONNECT.
    ///   - configure: changes what is not as it should be, for instance the namespace.
    /// - Throws: ``SocketIOError/invalidArgument(_:)`` that says what is wrong with the URL.
    public init(
        _ url: String, loop: RealtimeLoop, offline: Offline = .refuse,
        auth: @escaping Auth = { _ in nil }, configure: (inout SocketIOClient.Configuration) -> Void = { _ in }
    ) throws(SocketIOError) {
        var configuration = try SocketIOClient.Configuration(url: url)
        configure(&configuration)
        self.configuration = configuration
        self.loop = loop
        self.connection = SocketIOConnection(configuration: configuration, loop: loop)
        self.offline = offline
        self.auth = auth
    }

    /// A socket of another namespace over a connection that is shared.
    ///
    /// ```swift
    /// let room = SocketIOSocket(namespace: "/room", over: socket.connection)
    /// ```
    /// - Parameters:
    ///   - namespace: `/` or `/name`; a connection can have one socket of each.
    ///   - connection: another socket's, or one made for this.
    ///   - offline: what becomes of events that are emitted without a connection.
    ///   - auth: the payload of this namespace's CONNECT.
    ///   - configure: changes what is this socket's own: backoff, whether it reconnects, and the deadlines of
    ///     authentication and namespace. The rest is the connection's.
    public init(
        namespace: String, over connection: SocketIOConnection, offline: Offline = .refuse,
        auth: @escaping Auth = { _ in nil }, configure: (inout SocketIOClient.Configuration) -> Void = { _ in }
    ) {
        var configuration = connection.configuration
        configure(&configuration)
        configuration.namespace = namespace
        self.configuration = configuration
        loop = connection.loop
        self.connection = connection
        self.offline = offline
        self.auth = auth
    }

    // MARK: Connecting

    /// Connects, and again after each loss. Also after ``disconnect()``. While it waits for the next attempt, makes it
    /// now.
    public nonisolated func connect() { onLoop { $0.start() } }

    /// Ends the connection; ``connect()`` opens a new one. What waits to be sent is given up.
    public nonisolated func disconnect() { onLoop { $0.stop() } }

    /// Where it stands.
    public var state: SocketIOState { current }

    /// The server's id of this connection, while connected.
    public var socketID: String? {
        if case .connected(let id, _) = current { id } else { nil }
    }

    private func start() {
        if let client {
            startsAgain = isStopping
            return client.assumeIsolated { $0.connect() }
        }
        let auth = self.auth
        let configuration = self.configuration
        let client = SocketIOClient(
            namespace: configuration.namespace, over: connection,
            auth: { attempt in
                guard let value = try await auth(attempt) else { return nil }
                return try value.connectPayload()
            },
            configure: { $0 = configuration },
            delegate: SocketRelay(self))
        self.client = client
        client.assumeIsolated { $0.connect() }
    }

    private func stop() {
        giveUpWaiting(.cancelled)
        startsAgain = false
        isStopping = client != nil
        client?.assumeIsolated { $0.disconnect() }
    }

    // MARK: Sending

    /// Sends an event.
    /// - Throws: ``SocketIOError``: not connected (see ``Offline``), queue full, an argument that cannot be sent.
    public func emit(_ event: String, _ arguments: SocketIOArgument...) throws(SocketIOError) {
        _ = try send(event, arguments, number: nextNumber(), nil)
    }

    /// Sends an event and waits for the server's acknowledgement.
    /// - Parameters:
    ///   - event: its name.
    ///   - arguments: what goes with it.
    ///   - timeout: how long, the wait for a connection included.
    /// - Throws: ``SocketIOError``; also `.acknowledgementTimedOut`, `.disconnected`, and `.cancelled` if the task is: an
    ///   event that still waits is not sent then.
    public func emit(
        _ event: String, _ arguments: SocketIOArgument..., timeout: Duration
    ) async throws(SocketIOError) -> SocketIOAck {
        try await acknowledged(event, arguments, timeout)
    }

    /// Sends an event and gives the first value of the acknowledgement.
    /// - Throws: as the other form; also ``SocketIOError/unexpectedValue(_:)`` if the answer does not fit.
    public func emit<Answer: Decodable & Sendable>(
        _ event: String, _ arguments: SocketIOArgument..., timeout: Duration, as type: Answer.Type
    ) async throws(SocketIOError) -> Answer {
        try await acknowledged(event, arguments, timeout).decode(type)
    }

    private func acknowledged(
        _ event: String, _ arguments: [SocketIOArgument], _ timeout: Duration
    ) async throws(SocketIOError) -> SocketIOAck {
        let number = nextNumber()
        let outcome: Result<SocketIOAck, SocketIOError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard !Task.isCancelled else { return continuation.resume(returning: .failure(.cancelled)) }
                do throws(SocketIOError) {
                    let completion: AcknowledgementCompletion = { outcome in
                        self.assumeIsolated { $0.awaited[number] = nil }
                        continuation.resume(returning: outcome)
                    }
                    awaited[number] = try send(event, arguments, number: number, (timeout, completion))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        } onCancel: {
            // Behind the call above, which does not leave the loop before the event is sent or kept.
            onLoop { $0.abandon(number) }
        }
        return try outcome.get()
    }

    /// Nobody waits for the acknowledgement any more.
    private func abandon(_ number: UInt64) {
        if let index = waiting.firstIndex(where: { $0.number == number }) {
            takeWaiting(at: index).acknowledged?.completion(.failure(.cancelled))
        } else if let id = awaited[number] {
            client?.assumeIsolated { $0.abandonAcknowledgement(id) }
        }
    }

    private func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    /// - Returns: the client's number of the acknowledgement that is awaited; nil: there is none, or not yet.
    private func send(
        _ event: String, _ arguments: [SocketIOArgument], number: UInt64,
        _ acknowledged: (timeout: Duration, completion: AcknowledgementCompletion)?
    ) throws(SocketIOError) -> UInt64? {
        if let client, !isStopping, case .connected = current {
            return try client.sendNow(event, arguments, acknowledged)
        }
        guard case .keep(let limit) = offline else { throw .notConnected }
        guard waiting.count < limit else { throw .bufferFull(limit: limit) }
        // Written once only to know its size, and that it can be sent.
        let packet = try PacketEncoder(namespace: configuration.namespace).event(event, arguments, id: nil)
        let bytes = packet.attachments.reduce(packet.text.count) { $0 + $1.count }
        let most = configuration.maximumQueuedBytes
        guard bytes <= most, waitingBytes <= most - bytes else { throw .queueFull(limit: most) }
        waitingBytes += bytes
        waiting.append(
            Waiting(number: number, event: event, arguments: arguments, bytes: bytes, acknowledged: acknowledged))
        guard let timeout = acknowledged?.timeout else { return nil }
        loop.schedule(after: timeout) { [weak self] in
            self?.assumeIsolated { $0.waitedTooLong(number, timeout) }
        }
        return nil
    }

    private func takeWaiting(at index: Int) -> Waiting {
        let item = waiting.remove(at: index)
        waitingBytes -= item.bytes
        return item
    }

    private func takeAllWaiting() -> [Waiting] {
        defer {
            waiting = []
            waitingBytes = 0
        }
        return waiting
    }

    private func waitedTooLong(_ number: UInt64, _ timeout: Duration) {
        guard let index = waiting.firstIndex(where: { $0.number == number }) else { return }
        takeWaiting(at: index).acknowledged?.completion(.failure(.acknowledgementTimedOut(timeout)))
    }

    private func sendWaiting() {
        for item in takeAllWaiting() {
            do throws(SocketIOError) {
                guard let client else { throw .notConnected }
                awaited[item.number] = try client.sendNow(item.event, item.arguments, item.acknowledged)
            } catch {
                item.acknowledged?.completion(.failure(error))
                if item.acknowledged == nil { tell(problem: error) }
            }
        }
    }

    private func giveUpWaiting(_ error: SocketIOError) {
        for item in takeAllWaiting() { item.acknowledged?.completion(.failure(error)) }
    }

    // MARK: What the client says

    func received(_ event: SocketIOOwnedEvent) {
        for hear in listeners.withLock({ $0.hearers(of: event) }) { hear(event) }
    }

    func tell(problem: SocketIOError) {
        for hear in listeners.withLock({ $0.problemHearers }) { hear(problem) }
    }

    func changed(_ state: SocketIOState) {
        current = state
        if case .connected = state { sendWaiting() }
        var isOver = false
        if case .disconnected(let reason, retryIn: nil) = state {
            client = nil
            isStopping = false
            if reason != .clientRequested { giveUpWaiting(.disconnected(reason)) }
            isOver = reason == .loopShutDown
        }
        for hear in listeners.withLock({ $0.stateHearers }) { hear(state) }
        if startsAgain, client == nil {
            startsAgain = false
            start()
        }
        guard isOver else { return }
        for entry in listeners.withLock({ $0.end() }) { entry.ended?() }
    }

    /// Runs `body` on the loop, in the order of the calls.
    nonisolated func onLoop(_ body: @escaping @Sendable (isolated SocketIOSocket) -> Void) {
        loop.execute { self.assumeIsolated { body($0) } }
    }
}
