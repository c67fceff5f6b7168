/// An account as whoever commits for it has it: where several gateways share a store, what was committed under one epoch is
/// never written under another.
struct AccountKey: Sendable, Hashable {
    var account: String
    /// 0 where nobody shares.
    var epoch: Int64 = 0
    /// The account's number in a shared store.
    var row: Int64 = 0
}

/// Everything that was committed while the batch before it was being written. It becomes durable together.
struct StoreBatch: Sendable {
    struct Item: Sendable {
        let key: AccountKey
        /// Everything kept of the account goes before the changes.
        var removes = false
        var changes: [StoreChange] = []
        /// The account is given back after the changes.
        var releases = false
    }

    enum Completion: Sendable {
        /// Called once the change is durable, or refused.
        case commit(AccountKey, @Sendable (CommitOutcome) -> Void)
        /// Called with nil then, or with the reason when an attempt fails before.
        case impatient(@Sendable (StoreError?) -> Void)
    }

    private(set) var items: [Item] = []
    var completions: [Completion] = []
    /// Holds an outgoing message: nobody else could say it again after a power cut.
    private(set) var mustOutlivePower = false
    private var changeCount = 0
    private var compactAt: Int

    /// - Parameter compactAt: From how many changes on those that others have overtaken are dropped.
    init(compactAt: Int = 4096) { self.compactAt = compactAt }

    /// Whether a loss of power may not take these back: nobody else could say them again.
    static func mustOutlivePower(_ changes: [StoreChange]) -> Bool {
        changes.contains { if case .outbox = $0 { true } else { false } }
    }

    var isEmpty: Bool { items.isEmpty && completions.isEmpty }

    mutating func add(_ changes: [StoreChange], _ key: AccountKey) {
        guard !changes.isEmpty else { return }
        if !mustOutlivePower { mustOutlivePower = Self.mustOutlivePower(changes) }
        items.append(Item(key: key, changes: changes))
        changeCount += changes.count
        if changeCount >= compactAt { compact() }
    }

    mutating func remove(_ key: AccountKey) { items.append(Item(key: key, removes: true)) }
    mutating func release(_ key: AccountKey) { items.append(Item(key: key, releases: true)) }

    /// Tells everybody that nothing has to be waited for any more.
    func complete(refused: Set<AccountKey> = []) {
        for completion in completions {
            switch completion {
            case .commit(let key, let body): body(refused.contains(key) ? .refused : .kept)
            case .impatient(let body): body(nil)
            }
        }
    }

    /// Takes out those that want to know of an attempt that failed.
    mutating func takeImpatient() -> [@Sendable (StoreError?) -> Void] {
        var taken: [@Sendable (StoreError?) -> Void] = []
        completions.removeAll { completion in
            guard case .impatient(let body) = completion else { return false }
            taken.append(body)
            return true
        }
        return taken
    }

    func concerns(_ key: AccountKey) -> Bool { items.contains { $0.key == key } }

    /// Applies what concerns an account to what was kept of it before.
    func apply(to stored: inout StoredAccount, of key: AccountKey) {
        for item in items where item.key == key {
            if item.removes { stored = StoredAccount() }
            for change in item.changes { stored.apply(change) }
        }
    }

    // While nothing can be written, what waits grows with what it leaves behind, not with time.
    private mutating func compact() {
        items = folded.map {
            Item(
                key: $0.key, removes: $0.value.changes.forgetsAll, changes: $0.value.changes.changes,
                releases: $0.value.isReleased)
        }
        changeCount = items.reduce(0) { $0 + $1.changes.count }
        compactAt = max(compactAt, changeCount * 2)
    }

    /// What the batch leaves behind of each account.
    var folded: [AccountKey: (changes: AccountChanges, isReleased: Bool)] {
        var accounts: [AccountKey: (changes: AccountChanges, isReleased: Bool)] = [:]
        for item in items {
            if item.removes { accounts[item.key, default: (AccountChanges(), false)].changes.forgetAll() }
            accounts[item.key, default: (AccountChanges(), false)].changes.add(item.changes)
            if item.releases { accounts[item.key]?.isReleased = true }
        }
        return accounts
    }
}
