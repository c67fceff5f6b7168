/// Everything that was committed while the batch before it was being written. It becomes durable together.
struct StoreBatch: Sendable {
    struct Item: Sendable {
        let account: String
        /// Everything kept of the account goes before the changes.
        var removes = false
        var changes: [StoreChange]
    }

    enum Completion: Sendable {
        /// Called once the change is durable.
        case commit(@Sendable (CommitOutcome) -> Void)
        /// Called with nil then too, or with the reason when an attempt fails before.
        case removal(@Sendable (StoreError?) -> Void)
    }

    private(set) var items: [Item] = []
    var completions: [Completion] = []
    /// Holds an outgoing message: nobody else could say it again after a power cut.
    private(set) var mustOutlivePower = false
    private var changeCount = 0
    private var compactAt: Int

    /// - Parameter compactAt: From how many changes on those that others have overtaken are dropped.
    init(compactAt: Int = 4096) { self.compactAt = compactAt }

    var isEmpty: Bool { items.isEmpty && completions.isEmpty }

    mutating func add(_ changes: [StoreChange], account: String) {
        guard !changes.isEmpty else { return }
        if !mustOutlivePower { mustOutlivePower = changes.contains { if case .outbox = $0 { true } else { false } } }
        items.append(Item(account: account, changes: changes))
        changeCount += changes.count
        if changeCount >= compactAt { compact() }
    }

    mutating func remove(account: String) { items.append(Item(account: account, removes: true, changes: [])) }

    /// Tells everybody that nothing has to be waited for any more.
    func complete() {
        for completion in completions {
            switch completion {
            case .commit(let body): body(.kept)
            case .removal(let body): body(nil)
            }
        }
    }

    /// Takes out those that want to know of `error`.
    mutating func takeRemovals() -> [@Sendable (StoreError?) -> Void] {
        var taken: [@Sendable (StoreError?) -> Void] = []
        completions.removeAll { completion in
            guard case .removal(let body) = completion else { return false }
            taken.append(body)
            return true
        }
        return taken
    }

    func concerns(_ account: String) -> Bool { items.contains { $0.account == account } }

    /// Applies what concerns `account` to what was kept of it before.
    func apply(to stored: inout StoredAccount, of account: String) {
        for item in items where item.account == account {
            if item.removes { stored = StoredAccount() }
            for change in item.changes { stored.apply(change) }
        }
    }

    // While nothing can be written, what waits grows with what it leaves behind, not with time.
    private mutating func compact() {
        var accounts: [String: AccountChanges] = [:]
        for item in items {
            if item.removes { accounts[item.account, default: AccountChanges()].forgetAll() }
            accounts[item.account, default: AccountChanges()].add(item.changes)
        }
        items = accounts.map { Item(account: $0.key, removes: $0.value.forgetsAll, changes: $0.value.changes) }
        changeCount = items.reduce(0) { $0 + $1.changes.count }
        compactAt = max(compactAt, changeCount * 2)
    }
}
