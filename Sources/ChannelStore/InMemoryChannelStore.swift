import Locking

/// A store that lives as long as its object: restarts of an account find everything, restarts of the process nothing.
public final class InMemoryChannelStore: ChannelStore {
    private let kept = Locked<[String: StoredAccount]>([:])

    public init() {}

    public func load(_ account: String) async throws -> StoredAccount {
        kept.withLock { $0[account] ?? StoredAccount() }
    }

    public func commit(
        _ changes: [StoreChange], account: String, completion: @escaping @Sendable (CommitOutcome) -> Void
    ) {
        kept.withLock { kept in
            for change in changes { kept[account, default: StoredAccount()].apply(change) }
        }
        completion(.kept)
    }

    public var health: StoreHealth { .good }
    public func observe(_ body: @escaping @Sendable (StoreHealth) -> Void) -> UInt64 { 0 }
    public func stopObserving(_ number: UInt64) {}
    public func accounts() async throws -> [String] { kept.withLock { $0.keys.sorted() } }
    public func remove(_ account: String) async throws { kept.withLock { $0[account] = nil } }
    public func close(within limit: Duration) {}
}
