import NIOCore

extension FabricSimulator {
    /// Tells everybody who waits that something changed.
    func changed() {
        guard !waiters.isEmpty else { return }
        let woken = waiters.values
        waiters = [:]
        for waiter in woken { waiter.resume() }
    }

    /// Waits until `condition` gives a value, looked at after every change of state.
    ///
    /// Throws ``SimulatorError`` naming `what` after `timeout`, and `CancellationError` when the task is cancelled.
    public func wait<Value: Sendable>(
        for what: String, timeout: Duration = .seconds(30),
        until condition: @Sendable (isolated FabricSimulator) -> Value?
    ) async throws -> Value {
        let deadline = ContinuousClock.now.advanced(by: timeout)
        while true {
            if let value = condition(self) { return value }
            try Task.checkCancellation()
            guard !stopped else { throw SimulatorError("the simulator was stopped while waiting for \(what)") }
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else {
                throw SimulatorError("timed out after \(timeout) waiting for \(what); sockets: \(sockets.count)")
            }
            await nextChange(within: left)
        }
    }

    /// Waits for a message that passes `predicate`, stored already or yet to come.
    @discardableResult
    public func waitForMessage(
        in channel: String, timeout: Duration = .seconds(30),
        where predicate: @escaping @Sendable (SimulatedMessage) -> Bool
    ) async throws -> SimulatedMessage {
        try await wait(for: "a message in channel \(channel)", timeout: timeout) { sim in
            sim.world.channels[channel]?.messages.first(where: predicate)
        }
    }

    /// Waits until at least `count` authenticated sockets match: of this guild, of this user, joined to this channel
    /// (nil means any), and, with `excluding`, not among the socket ids named (for "a new one after a restart").
    @discardableResult
    public func waitForSockets(
        guild: String? = nil, user: String? = nil, joined channel: String? = nil, count: Int = 1,
        excluding: Set<String> = [], timeout: Duration = .seconds(30)
    ) async throws -> [SimulatedSocket] {
        try await wait(for: "\(count) socket(s) of \(user ?? "anyone")", timeout: timeout) { sim in
            let found = sim.sockets.values.map(\.info).filter { socket in
                socket.user != nil && (guild == nil || socket.guild == guild) && (user == nil || socket.user == user)
                    && (channel.map(socket.rooms.contains) ?? true)
                    && !(socket.sid.map(excluding.contains) ?? false)
            }
            return found.count >= count ? found : nil
        }
    }

    /// Waits until no socket matches.
    public func waitForNoSockets(
        guild: String? = nil, user: String? = nil, timeout: Duration = .seconds(30)
    ) async throws {
        _ = try await wait(for: "the sockets to be gone", timeout: timeout) { sim in
            sim.sockets.values.contains {
                (guild == nil || $0.info.guild == guild) && (user == nil || $0.info.user == user)
            } ? nil : true
        }
    }

    /// Waits until the counters pass the test.
    @discardableResult
    public func waitForCounters(
        timeout: Duration = .seconds(30), where predicate: @escaping @Sendable (Counters) -> Bool
    ) async throws -> Counters {
        try await wait(for: "counters", timeout: timeout) { predicate($0.counted) ? $0.counted : nil }
    }

    /// Every message of a channel, those stored first, then each as it is stored; ends with ``stop()``.
    public func messages(_ channel: String) -> AsyncStream<SimulatedMessage> {
        let (stream, continuation) = AsyncStream.makeStream(of: SimulatedMessage.self)
        for message in world.channels[channel]?.messages ?? [] { continuation.yield(message) }
        nextWaiter += 1
        let id = nextWaiter
        streams[channel, default: [:]][id] = continuation
        continuation.onTermination = { [weak self] _ in
            guard let self else { return }
            self.loop.execute { self.assumeIsolated { $0.streams[channel]?[id] = nil } }
        }
        return stream
    }

    private func nextChange(within timeout: Duration) async {
        nextWaiter += 1
        let id = nextWaiter
        let timer = loop.scheduleTask(in: .nanoseconds(Int64(timeout.inSeconds * 1e9))) { [self] in
            assumeIsolated { $0.release(id) }
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled {
                    continuation.resume()
                } else {
                    waiters[id] = continuation
                }
            }
        } onCancel: {
            loop.execute { self.assumeIsolated { $0.release(id) } }
        }
        timer.cancel()
    }

    private func release(_ id: Int) {
        waiters.removeValue(forKey: id)?.resume()
    }
}
