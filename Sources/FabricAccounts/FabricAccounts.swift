import Settings

/// An account as the one decision sees it.
public struct FabricAccount: Sendable, Equatable {
    public var accountId: String
    public var enabled: Bool
    public var configured: Bool
    public var credential: SetupInspection.Credential
    /// Where to fetch the key; nil unless `configured`.
    public var apiKey: SecretSource?
    /// The source in words.
    public var source: String
    /// Why it is not configured, not available or disabled; empty if all is well.
    public var reason: String
    /// Fabric's id of the user, if it was recorded when the account was bound.
    public var userId: String?
    public var email: String?

    /// Whether a start makes sense now: enabled, configured, and the key at hand.
    public var mayStart: Bool { enabled && configured && credential == .available }
}

/// The one decision about `configured`, `credential` and `reason`, which every reader takes: start gate, status,
/// inspect and doctor.
public struct FabricAccounts: Sendable, Equatable {
    /// Those of the configuration in its order, then those of the identity file in its order.
    public private(set) var accounts: [FabricAccount] = []
    private var places: [String: Int] = [:]
    /// The channel as a whole.
    public private(set) var configured = false
    public private(set) var reason = ""
    /// What is wrong with the identity file as a whole.
    public let problems: [SettingsError]

    /// Decides. No network, no secret is read.
    public init(configuration: FabricConfiguration, identities: IdentityFile, presence: SecretPresence = .system) {
        problems = identities.problems
        var judge = Judge(configuration: configuration, identities: identities, presence: presence)
        accounts = judge.accounts()
        places = Dictionary(accounts.indices.map { (accounts[$0].accountId, $0) }) { first, _ in first }
        let good = accounts.count { $0.configured }
        configured = good > 0
        reason = judge.channelReason(accounts, good)
    }

    /// Reads the identity file the configuration names, looks at this process's environment, and decides.
    public init(configuration: FabricConfiguration) {
        self.init(
            configuration: configuration, identities: IdentityFile.read(configuration.identityFile), presence: .system)
    }

    /// The account of that id.
    public subscript(_ accountId: String) -> FabricAccount? { places[accountId].map { accounts[$0] } }

    /// The decision as it is shown.
    public var inspection: SetupInspection {
        SetupInspection(
            configured: configured, reason: reason,
            accounts: accounts.map {
                SetupInspection.Account(
                    accountId: $0.accountId, enabled: $0.enabled, configured: $0.configured, credential: $0.credential,
                    source: $0.source, reason: $0.reason)
            })
    }
}

/// Which accounts are configured, and how, row by row: the start gate, the status, `inspect` and `doctor` ask this one.
private struct Judge {
    let configuration: FabricConfiguration
    let identities: IdentityFile
    let presence: SecretPresence

    /// One place where an account is bound.
    private struct Binding {
        var key: SecretSource?
        var place: String
        var problems: [SettingsError]
        /// Whether a key stands there at all, good or not.
        var namesKey: Bool
    }

    mutating func accounts() -> [FabricAccount] {
        var result: [FabricAccount] = []
        var done: Set<String> = []
        let byAgent = Dictionary(grouping: identities.entries.filter { !$0.agentId.isEmpty }, by: \.agentId)
        for account in configuration.accounts {
            done.insert(account.accountId)
            let entries = byAgent[account.accountId] ?? []
            let place = "\(configuration.file.isEmpty ? "configuration" : configuration.file): \(account.keyPath)"
            // A gateway hands the module the section without its lines: with them, two readers would use two wordings.
            let problems = account.problems.map {
                SettingsError(file: $0.file, keyPath: $0.keyPath, problem: $0.problem, remedy: $0.remedy)
            }
            let own = Binding(
                key: account.apiKey, place: place, problems: problems,
                namesKey: account.apiKey != nil || !account.problems.isEmpty)
            result.append(judge(account.accountId, enabled: account.enabled, own, entries))
        }
        for entry in identities.entries {
            guard !entry.agentId.isEmpty else {
                result.append(nameless(entry))
                continue
            }
            guard done.insert(entry.agentId).inserted else { continue }
            result.append(judge(entry.agentId, enabled: true, nil, byAgent[entry.agentId] ?? []))
        }
        return result
    }

    private func judge(
        _ id: String, enabled: Bool, _ own: Binding?, _ entries: [IdentityFile.Entry]
    ) -> FabricAccount {
        var bindings = entries.map { entry in
            Binding(
                key: entry.apiKey, place: "\(identities.path): \(entry.keyPath)", problems: entry.problems,
                namesKey: true)
        }
        // An entry that only sets things beside the key leaves the key to the identity file. One that names a key, even
        // a bad one, does not: nothing falls through to another source.
        if let own, own.namesKey || bindings.isEmpty { bindings.insert(own, at: 0) }
        let isEnabled = configuration.enabled && enabled && entries.allSatisfy(\.enabled)
        var account = FabricAccount(
            accountId: id, enabled: isEnabled, configured: false, credential: .missing, source: "", reason: "",
            userId: entries.first?.userId, email: entries.first?.email)
        if let problem = fault(bindings) {
            account.reason = problem
        } else if configuration.centerApiBase == nil {
            account.credential = .missing
            account.reason =
                "\(place("centerApiBase")) is not set; give Center's address, e.g. http://localhost:7001/api"
        } else if let binding = bindings.first, let key = binding.key {
            account.configured = true
            account.apiKey = key
            account.source = describe(key, binding, isOwn: own?.place == binding.place)
            (account.credential, account.reason) = availability(key)
        }
        if !account.enabled {
            let why = configuration.enabled ? "disabled" : "the channel is disabled"
            account.reason = account.reason.isEmpty ? why : "\(why); \(account.reason)"
        }
        return account
    }

    /// What makes the bindings of one account unusable; nil if nothing does.
    private func fault(_ bindings: [Binding]) -> String? {
        if let bad = bindings.first(where: { !$0.problems.isEmpty }) {
            return bad.problems.map(\.description).joined(separator: "; ")
        }
        guard let first = bindings.first else { return "no key is bound" }
        if let other = bindings.dropFirst().first(where: { $0.key != first.key }) {
            return "bound twice with different keys: \(first.place) and \(other.place). Remove one of them"
        }
        guard first.key != nil else {
            return "\(first.place).fabricApiKey is not set. Bind the account (`setup bind`), or give the key there"
        }
        return nil
    }

    private func availability(_ key: SecretSource) -> (SetupInspection.Credential, String) {
        switch key {
        case .inline: return (.available, "")
        case .environment(let name):
            if presence.environment(name) { return (.available, "") }
            return (.unavailable, "the environment variable \(name) is not set in this process")
        case .file(let path):
            switch presence.file(path) {
            case .readable: return (.available, "")
            case .absent: return (.unavailable, "the file \(path) does not exist")
            case .unreadable(let why): return (.unavailable, "the file \(path) cannot be used: \(why)")
            }
        }
    }

    private func describe(_ key: SecretSource, _ binding: Binding, isOwn: Bool) -> String {
        if case .inline = key, !isOwn { return "identity file \(identities.path)" }
        return key.name
    }

    private func nameless(_ entry: IdentityFile.Entry) -> FabricAccount {
        FabricAccount(
            accountId: "", enabled: configuration.enabled && entry.enabled, configured: false, credential: .missing,
            source: "", reason: entry.problems.map(\.description).joined(separator: "; "))
    }

    private func place(_ key: String) -> String {
        let path = configuration.keyPath.isEmpty ? key : "\(configuration.keyPath).\(key)"
        return configuration.file.isEmpty ? path : "\(configuration.file): \(path)"
    }

    func channelReason(_ accounts: [FabricAccount], _ good: Int) -> String {
        var parts: [String] = []
        if good > 0 {
            parts.append(good == accounts.count ? "\(good) configured" : "\(good) of \(accounts.count) configured")
        } else if accounts.isEmpty {
            let center = configuration.centerApiBase == nil ? " --center URL" : ""
            parts.append("no account is bound; bind one with: `setup bind --agent-id ID\(center)`")
        } else {
            parts.append("none of the \(accounts.count) accounts is configured: \(accounts[0].reason)")
        }
        if !configuration.enabled { parts.append("the channel is disabled (\(place("enabled")))") }
        parts.append(contentsOf: identities.problems.map(\.description))
        return parts.joined(separator: "; ")
    }
}
