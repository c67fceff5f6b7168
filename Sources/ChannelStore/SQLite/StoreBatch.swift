/// Everything that was committed while the batch before it was being written. It becomes durable together.
struct StoreBatch: Sendable {
    /// Called with nil once the change is durable.
    struct Completion: Sendable {
        let body: @Sendable (StoreError?) -> Void
        /// Called with the reason when an attempt fails, instead of waiting for the one that succeeds.
        let wantsFailure: Bool
    }

    private(set) var accounts: [String: AccountChanges] = [:]
    var completions: [Completion] = []
    /// Holds an outgoing message: nobody else could say it again after a power cut.
    private(set) var mustOutlivePower = false

    var isEmpty: Bool { accounts.isEmpty && completions.isEmpty }

    mutating func add(_ changes: [StoreChange], account: String) {
        guard !changes.isEmpty else { return }
        for change in changes {
            accounts[account, default: AccountChanges()].add(change)
            if case .outbox = change { mustOutlivePower = true }
        }
    }

    mutating func remove(account: String) { accounts[account, default: AccountChanges()].forgetAll() }
}
