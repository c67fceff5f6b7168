import Locking

/// A store that lives as long as the process: restarts of an account find everything, restarts of the gateway nothing.
public final class InMemoryChannelStore: ChannelStore {
    private let accounts = Locked<[String: StoredAccount]>([:])

    public init() {}

    public func load(_ account: String) async throws -> StoredAccount {
        accounts.withLock { $0[account] ?? StoredAccount() }
    }

    public func commit(
        _ changes: [StoreChange], account: String, completion: @escaping @Sendable (Result<Void, any Error>) -> Void
    ) {
        accounts.withLock { accounts in
            for change in changes { accounts[account, default: StoredAccount()].apply(change) }
        }
        completion(.success(()))
    }

    public func replace(_ stored: StoredAccount, account: String) async throws {
        accounts.withLock { $0[account] = stored }
    }
}

extension StoredAccount {
    /// Applies one change; the meaning of every change, for whatever keeps the account.
    public mutating func apply(_ change: StoreChange) {
        switch change {
        case .cursor(let key, let sequence):
            cursors[key] = sequence
        case .forgetChannel(let key):
            cursors[key] = nil
            deliveries.removeAll { $0.key == key }
        case .delivery(let delivery):
            if let index = deliveries.firstIndex(where: { $0.id == delivery.id }) {
                deliveries[index] = delivery
            } else {
                deliveries.append(delivery)
            }
        case .settled(let id):
            deliveries.removeAll { $0.id == id }
        case .outbox(let entry):
            if let index = outbox.firstIndex(where: { $0.id == entry.id }) {
                outbox[index] = entry
            } else {
                outbox.append(entry)
            }
        case .outboxRemoved(let id):
            outbox.removeAll { $0.id == id }
        case .listed(let guild, let at):
            listedAt[guild] = at
        }
    }
}
