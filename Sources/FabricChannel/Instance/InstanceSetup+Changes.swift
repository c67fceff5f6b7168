import FabricAccounts

extension InstanceSetup {
    /// What a new configuration means for accounts that may be running. Each account is in one list at most.
    struct Changes: Sendable, Equatable {
        /// Were not there before.
        var added: [String] = []
        /// Have another key or another Center: they start anew and log in.
        var credentialsChanged: [String] = []
        /// Something that only a new start takes up: the authorities, or whether the account may run at all. Their sessions
        /// are carried over.
        var restarted: [String] = []
        /// A running account takes up what changed, without a reconnect.
        var adopted: [String] = []
        /// Are no longer there.
        var removed: [String] = []
        /// Keys of settings that were taken up and concern no account.
        var settings: [String] = []

        /// Those that must be stopped and started.
        var changed: [String] { credentialsChanged + restarted }
    }

    /// What there is to do to go from `old` to this. A setting that no account depends on concerns none.
    func changes(from old: InstanceSetup?) -> Changes {
        var changes = Changes()
        let before = Dictionary(
            (old?.accounts.accounts ?? []).map { ($0.accountId, $0) }, uniquingKeysWith: { first, _ in first })
        var seen: Set<String> = []
        for account in accounts.accounts where !account.accountId.isEmpty && seen.insert(account.accountId).inserted {
            let id = account.accountId
            guard let old, let previous = before[id] else {
                changes.added.append(id)
                continue
            }
            let isOther = fingerprints[id] != old.fingerprints[id]
            if account.mayStart, previous.mayStart, isOther {
                changes.credentialsChanged.append(id)
            } else if Standing(account) != Standing(previous) || isOther || authorities?.pem != old.authorities?.pem {
                changes.restarted.append(id)
            } else if settings.adoptable != old.settings.adoptable, account.mayStart {
                changes.adopted.append(id)
            }
        }
        if let old {
            let (store, before) = (configuration.sharedStore, old.configuration.sharedStore)
            if store?.weight != before?.weight { changes.settings.append("store.postgresql.weight") }
            // The password, or how its servers are verified; all else is refused.
            if database != old.database { changes.settings.append("store.postgresql.url") }
        }
        changes.removed = before.keys.filter { !$0.isEmpty && !seen.contains($0) }.sorted()
        return changes
    }

    /// What decides whether an account runs. Where its key stands is not among it: the key is compared by its value.
    private struct Standing: Equatable {
        var enabled: Bool
        var configured: Bool
        var credential: SetupInspection.Credential
        var reason: String

        init(_ account: FabricAccount) {
            enabled = account.enabled
            configured = account.configured
            credential = account.credential
            reason = account.reason
        }
    }
}

extension AccountSettings {
    /// Without what a running account cannot take up.
    fileprivate var adoptable: AccountSettings {
        var copy = self
        copy.certificateAuthorityFile = nil
        return copy
    }
}
