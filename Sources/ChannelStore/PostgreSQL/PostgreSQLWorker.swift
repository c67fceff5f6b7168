import Threads
import Timing

/// A connection and a thread of its own, for what must not wait behind the writing.
final class PostgreSQLWorker: Sendable {
    typealias Job = @Sendable (PostgreSQLSession) -> Void

    private struct Queue {
        /// Go before the others.
        var urgent: [Job] = []
        var jobs: [Job] = []
        var isStopping = false
        var isFinished = false
        var thread: NamedThread?
    }

    private let queue = StoreMonitor(Queue())
    private let session: @Sendable () -> PostgreSQLSession
    private let threadName: String

    init(_ threadName: String, session: @escaping @Sendable () -> PostgreSQLSession) {
        self.threadName = threadName
        self.session = session
    }

    /// False: it takes no more.
    func submit(isUrgent: Bool = false, _ job: @escaping Job) -> Bool {
        let isTaken = queue.withLock { queue in
            guard !queue.isStopping else { return false }
            if queue.thread == nil { queue.thread = try? NamedThread(threadName) { self.run() } }
            guard queue.thread != nil else { return false }
            if isUrgent { queue.urgent.append(job) } else { queue.jobs.append(job) }
            return true
        }
        if isTaken { queue.wakeAll() }
        return isTaken
    }

    /// Runs `body` on the thread.
    /// - Throws: what it throws; `refusal` when the worker was stopped.
    func run<Value: Sendable>(
        isUrgent: Bool = false, refusal: StoreError,
        _ body: @escaping @Sendable (PostgreSQLSession) -> Result<Value, any Error>
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let isTaken = submit(isUrgent: isUrgent) { continuation.resume(with: body($0)) }
            if !isTaken { continuation.resume(throwing: refusal) }
        }
    }

    private func run() {
        let session = session()
        defer {
            session.close()
            queue.withLock { $0.isFinished = true }
            queue.wakeAll()
        }
        while true {
            let job: Job? = queue.waitFor { queue, _ in
                if !queue.urgent.isEmpty { return .result(queue.urgent.removeFirst()) }
                if !queue.jobs.isEmpty { return .result(queue.jobs.removeFirst()) }
                return queue.isStopping ? .result(nil) : .wait(until: nil)
            }
            guard let job else { return }
            job(session)
        }
    }

    /// Does what waits, and ends; waited for for at most a second, for the database may not answer.
    func stop(waits: Bool) {
        let thread = queue.withLock { queue in
            queue.isStopping = true
            defer { queue.thread = nil }
            return queue.thread
        }
        queue.wakeAll()
        guard let thread else { return }
        let by = SystemClock.monotonic &+ 1_000_000_000
        let isFinished =
            waits && !thread.isCurrent
            && queue.waitFor { queue, now in
                queue.isFinished || now >= by ? .result(queue.isFinished) : .wait(until: by)
            }
        if isFinished { thread.join() } else { thread.detach() }
    }
}

/// Loads accounts over a connection of its own: those that are asked for together are read together.
final class PostgreSQLAccountSource: AccountSource {
    private struct Request: Sendable {
        let key: AccountKey
        let continuation: CheckedContinuation<StoredAccount, any Error>
    }

    private let worker: PostgreSQLWorker
    private let waiting = StoreMonitor<[Request]>([])

    /// Read at a time: what is kept of them is in memory together.
    private static let most = 64

    init(_ worker: PostgreSQLWorker) { self.worker = worker }

    func load(
        _ key: AccountKey, _ continuation: CheckedContinuation<StoredAccount, any Error>,
        otherwise: @escaping @Sendable (EngineState.Job) -> Void
    ) -> Bool {
        waiting.withLock { $0.append(Request(key: key, continuation: continuation)) }
        if worker.submit({ self.read($0) }) { return true }
        // Nobody will come for it, unless somebody has already.
        return waiting.withLock { waiting in
            let count = waiting.count
            waiting.removeAll { $0.key == key }
            return waiting.count == count
        }
    }

    private func read(_ session: PostgreSQLSession) {
        let requests = waiting.withLock { waiting in
            defer { waiting.removeFirst(min(waiting.count, Self.most)) }
            return Array(waiting.prefix(Self.most))
        }
        guard !requests.isEmpty else { return }
        do throws(PostgreSQLFailure) {
            let names = Array(Set(requests.map(\.key.account)))
            let found = try session.use { connection throws(PostgreSQLFailure) in
                try PostgreSQLReader.load(names, connection)
            }
            for request in requests {
                request.continuation.resume(returning: found[request.key.account] ?? StoredAccount())
            }
        } catch {
            let error = error.error(session.settings)
            for request in requests { request.continuation.resume(throwing: error) }
        }
    }

    func stop(waits: Bool) { worker.stop(waits: waits) }
}
