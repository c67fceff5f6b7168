import Threads
import Timing

/// A store at work: what is committed on any thread is written on one of its own.
final class StoreEngine: Sendable {
    /// The file, or the database, as operators know it.
    let place: String
    let log: @Sendable (StoreLogLevel, String) -> Void
    let state: StoreMonitor<EngineState>
    private let reader: any AccountSource
    /// What the thread writes to, made on it.
    private let backend: @Sendable () -> any StoreBackend

    init(
        place: String, compactAt: Int, reader: any AccountSource,
        log: @escaping @Sendable (StoreLogLevel, String) -> Void,
        backend: @escaping @Sendable () -> any StoreBackend
    ) {
        state = StoreMonitor(EngineState(compactAt: compactAt))
        self.place = place
        self.log = log
        self.reader = reader
        self.backend = backend
    }

    // MARK: What callers ask for

    func commit(_ changes: [StoreChange], _ key: AccountKey, completion: @escaping @Sendable (CommitOutcome) -> Void) {
        let isDone = enqueue { batch in
            batch.add(changes, key)
            batch.completions.append(.commit(key, completion))
        } unless: {
            changes.isEmpty && $0.pending.isEmpty && $0.current == nil
        }
        if isDone { completion(.kept) }
    }

    func remove(_ key: AccountKey) async throws { try await write { $0.remove(key) } }

    /// Puts something into the batch that waits, and returns when it is written.
    /// - Throws: `StoreError` when an attempt fails; it is still done as soon as it can be.
    func write(_ change: (inout StoreBatch) -> Void) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            let isDone = enqueue { batch in
                change(&batch)
                batch.completions.append(
                    .impatient { error in
                        if let error { continuation.resume(throwing: error) } else { continuation.resume() }
                    })
            } unless: { _ in
                false
            }
            if isDone { continuation.resume() }
        }
    }

    /// Changes the batch that waits, unless the store is closed or `isDone`; true then.
    private func enqueue(
        _ change: (inout StoreBatch) -> Void, unless isDone: (EngineState) -> Bool
    ) -> Bool {
        let (isSkipped, wakes, runs) = state.withLock { state in
            guard case .open = state.phase, !isDone(state) else { return (true, false, true) }
            change(&state.pending)
            return (false, state.writerSleeps, startWriter(&state))
        }
        if wakes { state.wakeAll() }
        if !runs { report(.failing(reason: noThread.description)) }
        return isSkipped
    }

    func load(_ key: AccountKey) async throws -> StoredAccount {
        try await withCheckedThrowingContinuation { continuation in
            // What is not written yet is known here only; what is, is read without waiting for the writer.
            let isWaiting = state.withLock { $0.isWaiting(key) }
            guard !isWaiting, reader.load(key, continuation, otherwise: { self.submit($0) }) else {
                return submit(.load(key, continuation))
            }
        }
    }

    func accounts() async throws -> [String] {
        try await withCheckedThrowingContinuation { submit(.accounts($0)) }
    }

    private func submit(_ job: EngineState.Job) {
        let error = state.withLock { state -> StoreError? in
            guard case .open = state.phase else { return closed }
            guard startWriter(&state) else { return noThread }
            state.jobs.append(job)
            return nil
        }
        if let error { job.fail(error) } else { state.wakeAll() }
    }

    var closed: StoreError {
        StoreError("the store is closed", path: place, remedy: "start the gateway again to read it")
    }

    private var noThread: StoreError {
        StoreError(
            "the system gives no thread to write with", path: place,
            remedy: "raise the number of processes this user may have (ulimit -u)")
    }

    // MARK: Health

    var health: StoreHealth { state.withLock { $0.health } }

    func observe(_ body: @escaping @Sendable (StoreHealth) -> Void) -> UInt64 {
        state.withLock { state in
            state.observed &+= 1
            state.observers[state.observed] = body
            return state.observed
        }
    }

    func stopObserving(_ number: UInt64) { state.withLock { $0.observers[number] = nil } }

    /// Says how it is, if that is news.
    func report(_ health: StoreHealth) {
        let observers = state.withLock { state -> [@Sendable (StoreHealth) -> Void]? in
            guard state.health != health else { return nil }
            state.health = health
            return state.observers.sorted { $0.key < $1.key }.map(\.value)
        }
        guard let observers else { return }
        switch health {
        case .good: log(.info, "\(place): what is committed is written again")
        case .failing(let reason): log(.error, "\(reason); what is committed waits, and is tried again")
        }
        for body in observers { body(health) }
    }

    /// Somebody found that nothing can be written: the writer looks, and says when it can.
    func doubt(_ error: StoreError) {
        let isNews = state.withLock { state -> Bool in
            guard case .open = state.phase, state.retryAt == nil, startWriter(&state) else { return false }
            state.postpone(SystemClock.monotonic)
            return true
        }
        guard isNews else { return }
        report(.failing(reason: error.description))
        state.wakeAll()
    }

    // MARK: Beginning and end

    // Under the lock: the thread begins by waiting for it.
    private func startWriter(_ state: inout EngineState) -> Bool {
        if state.thread == nil {
            state.thread = try? NamedThread("store-write") { StoreWriter(self, self.backend()).run() }
        }
        return state.thread != nil
    }

    func close(within limit: Duration) {
        let by = Self.time(after: limit)
        let thread = state.withLock { state -> NamedThread? in
            guard case .open = state.phase else { return nil }
            state.phase = state.thread == nil ? .closed : .closing(by: by)
            // What failed before is tried once more at once.
            if state.retryAt != nil { state.retryAt = SystemClock.monotonic }
            return state.thread
        }
        guard let thread else { return finishWithoutThread() }
        state.wakeAll()
        if thread.isCurrent {
            // From a completion: this thread cannot wait for itself.
            thread.detach()
            return reader.stop(waits: false)
        }
        let isFinished = state.waitFor { state, now in
            if state.isClosed { return .result(true) }
            return now < by ? .wait(until: by) : .result(false)
        }
        if isFinished {
            thread.join()
        } else {
            thread.detach()
            log(.error, "\(place): it does not answer; what was committed last may not have been written")
        }
        reader.stop(waits: isFinished)
    }

    /// Closes without waiting.
    func abandon() {
        let thread = state.withLock { state -> NamedThread? in
            guard case .open = state.phase, let thread = state.thread else { return nil }
            state.phase = .closing(by: Self.time(after: .seconds(5)))
            return thread
        }
        state.wakeAll()
        thread?.detach()
        reader.stop(waits: false)
    }

    private func finishWithoutThread() {
        reader.stop(waits: true)
        let waiting = state.withLock { state -> StoreBatch in
            guard state.thread == nil else { return StoreBatch() }
            defer { state.pending = StoreBatch() }
            return state.pending
        }
        waiting.complete()
    }

    private static func time(after limit: Duration) -> Int64 {
        let nanoseconds =
            min(max(limit.components.seconds, 0), 1_000_000) * 1_000_000_000
            + max(limit.components.attoseconds, 0) / 1_000_000_000
        return SystemClock.monotonic &+ nanoseconds
    }
}

extension EngineState.Job {
    func fail(_ error: StoreError) {
        switch self {
        case .load(_, let continuation): continuation.resume(throwing: error)
        case .accounts(let continuation): continuation.resume(throwing: error)
        }
    }
}
