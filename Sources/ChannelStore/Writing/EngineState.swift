import Threads
import Timing

/// What the threads of a store share.
struct EngineState {
    enum Phase {
        case open
        /// No more is taken; what is there is written until this time.
        case closing(by: Int64)
        case closed
    }

    /// Something to be answered from the writer's thread, between batches.
    enum Job: Sendable {
        case load(AccountKey, CheckedContinuation<StoredAccount, any Error>)
        case accounts(CheckedContinuation<[String], any Error>)
    }

    /// What the writer does next.
    enum Step {
        case answer([Job])
        case write(StoreBatch)
        /// Nothing is to be written, but nothing could be before.
        case reopen
        case finish
    }

    var phase = Phase.open
    /// Committed since the batch that is being written was taken.
    var pending: StoreBatch
    /// From how many waiting changes on they are compacted.
    let compactAt: Int
    /// Being written, or to be tried again.
    var current: StoreBatch?
    var jobs: [Job] = []
    /// Set while nothing gets through.
    var retryAt: Int64?
    private var failures = 0
    var writerSleeps = false
    var thread: NamedThread?
    var health = StoreHealth.good
    var observers: [UInt64: @Sendable (StoreHealth) -> Void] = [:]
    var observed: UInt64 = 0

    init(compactAt: Int) {
        self.compactAt = compactAt
        pending = StoreBatch(compactAt: compactAt)
    }

    private static let backoff = Backoff(.milliseconds(250), upTo: .seconds(5))

    var isClosed: Bool {
        if case .closed = phase { return true }
        return false
    }

    /// Whether changes of the account are not written yet.
    func isWaiting(_ key: AccountKey) -> Bool {
        pending.concerns(key) || current?.concerns(key) == true
    }

    /// Adds to what is kept of an account what is still to be written; not while that is being done.
    func completed(_ stored: StoredAccount, of key: AccountKey) -> StoredAccount {
        var stored = stored
        current?.apply(to: &stored, of: key)
        pending.apply(to: &stored, of: key)
        return stored
    }

    /// Adds to the names that are kept those still to be written.
    func completed(_ names: [String]) -> [String] {
        var names = Set(names)
        for batch in [current, pending] {
            for item in batch?.items ?? [] {
                if item.removes { names.remove(item.key.account) }
                if !item.changes.isEmpty { names.insert(item.key.account) }
            }
        }
        return names.sorted()
    }

    /// Decides what the writer does next.
    mutating func next(_ now: Int64) -> StoreMonitor<EngineState>.Answer<Step> {
        writerSleeps = false
        if !jobs.isEmpty {
            defer { jobs = [] }
            return .result(.answer(jobs))
        }
        if let retryAt, now < retryAt {
            guard case .closing(let by) = phase else { return sleep(until: retryAt) }
            // No attempt would be in time.
            return retryAt >= by ? .result(.finish) : sleep(until: retryAt)
        }
        if let current { return .result(.write(current)) }
        if !pending.isEmpty {
            let batch = pending
            pending = StoreBatch(compactAt: compactAt)
            current = batch
            return .result(.write(batch))
        }
        if case .open = phase { return retryAt == nil ? sleep(until: nil) : .result(.reopen) }
        return .result(.finish)
    }

    private mutating func sleep(until: Int64?) -> StoreMonitor<EngineState>.Answer<Step> {
        writerSleeps = true
        return .wait(until: until)
    }

    /// An attempt failed.
    mutating func postpone(_ now: Int64) {
        retryAt = now &+ Int64(clamping: Int128(Self.backoff.delay(step: failures) / .nanoseconds(1)))
        failures = min(failures, 1000) + 1
    }

    /// An attempt succeeded.
    mutating func resume() {
        retryAt = nil
        failures = 0
    }
}
