/// Keeps cursors, unfinished deliveries and the outbox of each account.
///
/// The changes of one `commit` become durable together or not at all, and commits of one account in the order of the
/// calls.
public protocol ChannelStore: Sendable {
    /// What is kept of `account`; empty for one never seen.
    /// - Throws: `StoreError` when there is a store and it cannot be read.
    func load(_ account: String) async throws -> StoredAccount

    /// Applies `changes`, and calls `completion` once they would survive a crash of the process: exactly once, inline if
    /// nothing has to be waited for, otherwise from a thread of the store's. A store that cannot write for a reason that
    /// may pass (disk full, read-only) keeps what it was given, in order, tries again, and says so by its health. Only a
    /// ``SharedStore`` refuses.
    func commit(_ changes: [StoreChange], account: String, completion: @escaping @Sendable (CommitOutcome) -> Void)

    /// Whether commits get through at the moment.
    var health: StoreHealth { get }

    /// Calls `body` with every change of the health, from any thread, until `stopObserving` with the number returned.
    func observe(_ body: @escaping @Sendable (StoreHealth) -> Void) -> UInt64
    func stopObserving(_ number: UInt64)

    /// The accounts that anything is kept of, in order of their names.
    func accounts() async throws -> [String]

    /// Forgets everything of an account that was unbound.
    func remove(_ account: String) async throws

    /// Writes what was committed, waiting for at most `limit`, and lets go of everything. Commits after this do nothing
    /// but complete.
    func close(within limit: Duration)
}

/// Whether a store takes what it is given.
public enum StoreHealth: Sendable, Equatable {
    case good
    /// Nothing gets through; the reason names the file and what the operator can do.
    case failing(reason: String)
}

/// Why a store cannot be used.
public struct StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What happened.
    public var problem: String
    /// The file concerned.
    public var path: String
    /// What the operator can do.
    public var remedy: String
    /// The store answered, and refused: it is there, and somebody must do something.
    public var isRefusal = false

    public init(_ problem: String, path: String, remedy: String) {
        self.problem = problem
        self.path = path
        self.remedy = remedy
    }

    public var description: String { "\(path): \(problem); \(remedy)" }
}
