import Locking

/// What the members of a cluster share that lives in one process: for tests, and for trying out.
public final class SharedMemory: Sendable {
    let table = Locked(SharedTable())
    /// Files of messages, by account, message and number; kept as long as it lives.
    let files = Locked<[[String]: [[UInt8]]]>([:])
    private let clock: @Sendable () -> Double

    /// - Parameter clock: the store's clock, seconds since 1970.
    public init(clock: @escaping @Sendable () -> Double) { self.clock = clock }

    var time: Double { clock() }

    /// Who has the account; nil if nobody.
    public func owner(of account: String) -> String? { table.withLock { $0.owner(of: account) } }
}

/// One member's entrance to a ``SharedMemory``, with faults to switch on.
public final class InMemorySharedStore: SharedStore {
    private struct Commit: Sendable {
        var changes: [StoreChange]
        var account: String
        var lease: AccountLease?
        var completion: @Sendable (CommitOutcome) -> Void
    }

    private struct State: Sendable {
        var member: String?
        /// Its first beat was answered.
        var hasJoined = false
        var leases: [String: AccountLease] = [:]
        var isAway = false
        var queue: [Commit] = []
        var refusals: [@Sendable (String) -> Void] = []
        var observers: [UInt64: @Sendable (StoreHealth) -> Void] = [:]
        var next: UInt64 = 0
        var isClosed = false
    }

    private let memory: SharedMemory
    private let state = Locked(State())

    public init(_ memory: SharedMemory) { self.memory = memory }

    // MARK: Files

    public func keepFile(account: String, entry: String, index: Int, path: String) async throws -> Bool {
        guard let lease = leases[account], memory.table.withLock({ $0.isInForce(lease) }) else { return false }
        guard let file = KeptFile(path) else { return false }
        let parts = (0..<file.parts).compactMap { file.read($0) }
        guard parts.count == file.parts else { return false }
        try answer { _, _ in memory.files.withLock { $0[[account, entry, "\(index)"]] = parts } }
        return true
    }

    public func restoreFile(account: String, entry: String, index: Int, to path: String) async throws -> Bool {
        let parts = try answer { _, _ in memory.files.withLock { $0[[account, entry, "\(index)"]] } }
        guard let parts, let file = RestoredFile(path) else { return false }
        return file.finish(isComplete: parts.allSatisfy { file.append($0) })
    }

    // MARK: Faults

    /// While it is away nothing is answered with anything but an error, and commits wait.
    public func setAway(_ isAway: Bool) {
        let observers = state.withLock { state in
            state.isAway = isAway
            return Array(state.observers.values)
        }
        for observer in observers { observer(health) }
        if !isAway { write() }
    }

    private func answer<Result>(_ body: (inout SharedTable, inout State) throws -> Result) throws -> Result {
        try state.withLock { state in
            guard !state.isAway, !state.isClosed else { throw Self.away }
            return try memory.table.withLock { try body(&$0, &state) }
        }
    }

    private static var away: StoreError {
        StoreError("the database does not answer", path: "memory", remedy: "wait until it does")
    }

    // MARK: Sharing

    public func beat(_ member: Member) async throws -> ClusterReport {
        let time = memory.time
        return try answer { table, state in
            if state.member != member.id {
                (state.member, state.hasJoined, state.leases) = (member.id, false, [:])
            }
            let report = try table.beat(member, isFirst: !state.hasJoined, at: time)
            state.hasJoined = true
            return report
        }
    }

    public func claim(_ accounts: [String], atMost: Int) async throws -> [AccountLease] {
        try answer { table, state in
            guard let member = state.member else { throw MemberGone() }
            let leases = try table.claim(accounts, atMost: atMost, for: member)
            for lease in leases { state.leases[lease.account] = lease }
            return leases
        }
    }

    public func takeOver(_ lease: AccountLease) async throws -> AccountLease? {
        try answer { table, state in
            guard let member = state.member else { throw MemberGone() }
            let taken = try table.takeOver(lease, for: member)
            if let taken { state.leases[taken.account] = taken }
            return taken
        }
    }

    public func release(_ leases: [AccountLease]) async throws {
        try answer { table, state in
            table.release(leases)
            for lease in leases where state.leases[lease.account] == lease { state.leases[lease.account] = nil }
        }
    }

    public func runners(of accounts: [String]) async throws -> [String: String] {
        try answer { table, _ in table.runners(of: accounts) }
    }

    public func notes(_ name: String) async throws -> [String: [UInt8]] {
        try answer { table, _ in table.notes(name) }
    }

    public func leave(within limit: Duration) async {
        try? answer { table, state in
            if let member = state.member { table.remove(member) }
            (state.member, state.leases) = (nil, [:])
        }
    }

    public var leases: [String: AccountLease] { state.withLock { $0.leases } }

    public func observeRefusals(_ body: @escaping @Sendable (_ account: String) -> Void) {
        state.withLock { $0.refusals.append(body) }
    }

    // MARK: What is kept

    public func load(_ account: String) async throws -> StoredAccount { try answer { table, _ in table.load(account) } }

    public func commit(
        _ changes: [StoreChange], account: String, completion: @escaping @Sendable (CommitOutcome) -> Void
    ) {
        state.withLock { state in
            state.queue.append(
                Commit(
                    changes: changes, account: account, lease: state.leases[account], completion: completion))
        }
        write()
    }

    private func write() {
        let (done, refusals) = state.withLock { state -> ([(Commit, CommitOutcome)], [@Sendable (String) -> Void]) in
            guard !state.isAway || state.isClosed else { return ([], []) }
            let queue = state.queue
            state.queue = []
            let isClosed = state.isClosed
            let done = memory.table.withLock { table in
                queue.map { commit -> (Commit, CommitOutcome) in
                    if isClosed { return (commit, .kept) }
                    return (commit, table.commit(commit.changes, account: commit.account, lease: commit.lease))
                }
            }
            return (done, state.refusals)
        }
        for (commit, outcome) in done {
            commit.completion(outcome)
            if outcome == .refused { for refusal in refusals { refusal(commit.account) } }
        }
    }

    public var health: StoreHealth {
        state.withLock { $0.isAway } ? .failing(reason: "the database does not answer") : .good
    }

    public func observe(_ body: @escaping @Sendable (StoreHealth) -> Void) -> UInt64 {
        state.withLock { state in
            state.next += 1
            state.observers[state.next] = body
            return state.next
        }
    }

    public func stopObserving(_ number: UInt64) { state.withLock { $0.observers[number] = nil } }

    public func accounts() async throws -> [String] { try answer { table, _ in table.accounts } }

    public func remove(_ account: String) async throws {
        try answer { table, state in
            guard let lease = state.leases[account], table.isInForce(lease) else {
                throw StoreError("another gateway runs the account", path: "memory", remedy: "remove it there")
            }
            table.forget(account)
        }
    }

    public func close(within limit: Duration) {
        state.withLock { $0.isClosed = true }
        write()
    }
}
