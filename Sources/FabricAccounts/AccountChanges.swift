/// What a new configuration means for accounts that may be running.
public struct AccountChanges: Sendable, Equatable {
    public var added: [String] = []
    public var changed: [String] = []
    public var removed: [String] = []

    /// Compares two configurations account by account. A setting of the whole channel that differs changes every
    /// account. A secret that changes behind the same variable or file is not seen here: no secret is read.
    public init(
        from old: (configuration: FabricConfiguration, accounts: FabricAccounts)?,
        to new: (configuration: FabricConfiguration, accounts: FabricAccounts)
    ) {
        let before = Dictionary(
            (old?.accounts.accounts ?? []).map { ($0.accountId, $0) }, uniquingKeysWith: { first, _ in first })
        let channelChanged = old.map { $0.configuration.shared != new.configuration.shared } ?? false
        var seen: Set<String> = []
        for account in new.accounts.accounts where !account.accountId.isEmpty && seen.insert(account.accountId).inserted
        {
            guard let previous = before[account.accountId] else {
                added.append(account.accountId)
                continue
            }
            if channelChanged || previous != account { changed.append(account.accountId) }
        }
        removed = before.keys.filter { !$0.isEmpty && !seen.contains($0) }.sorted()
    }
}

extension FabricConfiguration {
    /// Everything but the accounts.
    fileprivate var shared: FabricConfiguration {
        var copy = self
        copy.accounts = []
        return copy
    }
}
