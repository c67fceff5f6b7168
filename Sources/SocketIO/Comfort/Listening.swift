import Locking

// Listening. All of these may be called from anywhere, before or after connecting; what is called first counts first.
// A listener hears all that happens once the call has returned.
extension SocketIOSocket {
    /// Hears every event of this name.
    @discardableResult
    public nonisolated func on(
        _ event: String, _ body: @escaping @Sendable (SocketIOOwnedEvent) -> Void
    ) -> SocketIOListener {
        listen(.event(event, isOnce: false, body))
    }

    /// Hears every event of this name, with its first argument as a value of the program's own type. What does not fit is
    /// told to ``onProblem(_:)``.
    @discardableResult
    public nonisolated func on<Value: Decodable & SendableMetatype>(
        _ event: String, as type: Value.Type, _ body: @escaping @Sendable (Value) -> Void
    ) -> SocketIOListener {
        listen(.event(event, isOnce: false) { [weak self] in self?.decode(type, of: $0, body) })
    }

    /// Hears the next event of this name.
    @discardableResult
    public nonisolated func once(
        _ event: String, _ body: @escaping @Sendable (SocketIOOwnedEvent) -> Void
    ) -> SocketIOListener {
        listen(.event(event, isOnce: true, body))
    }

    /// Hears every event, whatever its name.
    @discardableResult
    public nonisolated func onAny(_ body: @escaping @Sendable (SocketIOOwnedEvent) -> Void) -> SocketIOListener {
        listen(.event(nil, isOnce: false, body))
    }

    /// Hears every change of state: connecting, connected, disconnected with its reason.
    @discardableResult
    public nonisolated func onState(_ body: @escaping @Sendable (SocketIOState) -> Void) -> SocketIOListener {
        listen(.state(body))
    }

    /// Hears what went wrong where nobody waits for it: an event that does not fit its listener's type, an answer or a
    /// kept event that could not be sent.
    @discardableResult
    public nonisolated func onProblem(_ body: @escaping @Sendable (SocketIOError) -> Void) -> SocketIOListener {
        listen(.problem(body))
    }

    /// Answers the events of this name for which the server awaits an acknowledgement. What `body` throws is told to
    /// ``onProblem(_:)``, and the server gets no answer.
    @discardableResult
    public nonisolated func answer(
        _ event: String, _ body: @escaping @Sendable (SocketIOOwnedEvent) async throws -> [SocketIOArgument]
    ) -> SocketIOListener {
        on(event) { [weak self] happened in
            guard let acknowledgement = happened.acknowledgement else { return }
            Task {
                do {
                    try await acknowledgement.send(try await body(happened))
                } catch {
                    let problem = error as? SocketIOError ?? .invalidArgument("answering \"\(event)\": \(error)")
                    self?.onLoop { $0.tell(problem: problem) }
                }
            }
        }
    }

    /// The events of this name (nil: all) from now on, until the loop is shut down or the stream is dropped.
    /// - Parameters:
    ///   - name: the events' name.
    ///   - limit: how many may wait to be taken; then the oldest are dropped, and ``onProblem(_:)`` is told that it
    ///   began.
    public nonisolated func events(_ name: String? = nil, limit: Int = 10_000) -> AsyncStream<SocketIOOwnedEvent> {
        stream(limit) { feed in .event(name, isOnce: false) { feed.put($0) } }
    }

    /// As ``events(_:limit:)``, with the first argument as a value of the program's own type; what does not fit is told
    /// to ``onProblem(_:)``.
    public nonisolated func values<Value: Decodable & Sendable>(
        _ name: String, as type: Value.Type, limit: Int = 10_000
    ) -> AsyncStream<Value> {
        stream(limit) { feed in
            .event(name, isOnce: false) { [weak self] event in
                self?.decode(type, of: event) { feed.put($0) }
            }
        }
    }

    /// The changes of state from now on, until the loop is shut down or the stream is dropped.
    public nonisolated func states(limit: Int = 100) -> AsyncStream<SocketIOState> {
        stream(limit) { feed in .state { feed.put($0) } }
    }

    private nonisolated func stream<Element: Sendable>(
        _ limit: Int, _ hears: (StreamFeed<Element>) -> ListenerBook.Hears
    ) -> AsyncStream<Element> {
        let limit = max(1, limit)
        let (stream, continuation) = AsyncStream<Element>.makeStream(bufferingPolicy: .bufferingNewest(limit))
        let feed = StreamFeed(continuation: continuation) { [weak self] in
            self?.onLoop { $0.tell(problem: .streamOverflow(limit: limit)) }
        }
        let listener = listen(hears(feed)) { continuation.finish() }
        continuation.onTermination = { _ in listener.cancel() }
        return stream
    }

    private nonisolated func listen(
        _ hears: ListenerBook.Hears, ended: (@Sendable () -> Void)? = nil
    ) -> SocketIOListener {
        let listener = SocketIOListener(number: loop.newIdentifier(), socket: self)
        listeners.withLock { $0.add(listener.number, hears, ended: ended) }
        return listener
    }

    private nonisolated func decode<Value: Decodable & SendableMetatype>(
        _ type: Value.Type, of event: SocketIOOwnedEvent, _ body: (Value) -> Void
    ) {
        do throws(SocketIOError) {
            body(try event.decode(type))
        } catch {
            assumeIsolated { $0.tell(problem: error) }
        }
    }
}

/// What a stream is fed with; says so when its reader is too slow, once each time it begins.
private struct StreamFeed<Element: Sendable>: Sendable {
    let continuation: AsyncStream<Element>.Continuation
    let overflowed: @Sendable () -> Void
    private let isDropping = Locked(false)

    init(continuation: AsyncStream<Element>.Continuation, overflowed: @escaping @Sendable () -> Void) {
        self.continuation = continuation
        self.overflowed = overflowed
    }

    func put(_ element: Element) {
        let isFull = if case .dropped = continuation.yield(element) { true } else { false }
        let isNews = isDropping.withLock { isDropping in
            defer { isDropping = isFull }
            return isFull && !isDropping
        }
        if isNews { overflowed() }
    }
}
