import FabricAPI
import FabricAccounts
import HTTPTransfer
import JSONBytes
import Settings

/// A configuration in force: what the gateway passed, read, checked and judged.
struct ChannelSetup: Sendable {
    /// What is wrong with a configuration; it is not adopted.
    struct Findings: Error, Sendable {
        var errors: [SettingsError]

        var result: ChannelResult {
            let first = errors.first
            let json: JSONValue = [
                "error": .string(first?.problem ?? "the configuration cannot be used"),
                "where": .string(
                    [first?.file ?? "", first?.keyPath ?? ""].filter { !$0.isEmpty }.joined(separator: ": ")),
                "remedy": .string(first?.remedy ?? ""), "retryable": false,
                "errors": .array(
                    errors.map {
                        [
                            "file": .string($0.file), "keyPath": .string($0.keyPath), "problem": .string($0.problem),
                            "remedy": .string($0.remedy),
                        ]
                    }),
            ]
            return ChannelResult(.invalid, json.serialized)
        }
    }

    let configuration: FabricConfiguration
    let accounts: FabricAccounts
    let stateDirectory: String
    /// The keys as they are now, to notice one that changed behind the same variable or file.
    private let secrets: [String: Secret]

    /// Reads the request of `configure`.
    /// - Throws: `Findings`.
    init(request: [UInt8]) throws(Findings) {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: request)
        } catch {
            throw Findings(errors: [
                SettingsError(
                    file: "", keyPath: "", problem: "the request is not JSON: \(error)", remedy: "Send one JSON object")
            ])
        }
        let file = value["file"]?.string ?? ""
        let directory = value["directory"]?.string ?? "."
        stateDirectory = value["stateDirectory"]?.string ?? directory
        let findings = SettingsFindings()
        guard
            let node = Self.section(
                value["settings"] ?? [:], keyPath: value["keyPath"]?.string ?? "channels.fabric", file: file,
                findings: findings)
        else { throw Findings(errors: findings.errors) }
        var configuration = FabricConfiguration(node, directory: directory, findings: findings)
        // The lines are those of our copy, not of the operator's file.
        for index in configuration.accounts.indices {
            for problem in configuration.accounts[index].problems.indices {
                configuration.accounts[index].problems[problem].line = nil
            }
        }
        guard findings.isEmpty else {
            throw Findings(
                errors: findings.errors.map {
                    SettingsError(file: $0.file, keyPath: $0.keyPath, problem: $0.problem, remedy: $0.remedy)
                })
        }
        self.configuration = configuration
        accounts = FabricAccounts(configuration: configuration)
        var secrets: [String: Secret] = [:]
        for account in accounts.accounts { secrets[account.accountId] = try? account.apiKey?.fetch() }
        self.secrets = secrets
    }

    /// The section as a node that knows where it stands in the operator's file.
    private static func section(
        _ settings: JSONValue, keyPath: String, file: String, findings: SettingsFindings
    ) -> SettingsNode? {
        let keys = keyPath.split(separator: ".").map(String.init)
        var wrapped = settings
        for key in keys.reversed() { wrapped = .object([key: wrapped]) }
        var node = SettingsDocument.parse(wrapped.serialized, file: file, findings: findings)
        for key in keys { node = node?[key] }
        return node
    }

    // MARK: Comparing

    /// Which accounts must be started, restarted or stopped to go from `old` to this.
    func changes(from old: ChannelSetup?) -> AccountChanges {
        var changes = AccountChanges(
            from: old.map { ($0.configuration, $0.accounts) }, to: (configuration, accounts))
        guard let old else { return changes }
        let known = Set(changes.added + changes.changed + changes.removed)
        for account in accounts.accounts where !known.contains(account.accountId) {
            if secrets[account.accountId] != old.secrets[account.accountId] {
                changes.changed.append(account.accountId)
            }
        }
        return changes
    }

    /// The answer to `configure`.
    func report(_ changes: AccountChanges) -> JSONValue {
        let inspection = accounts.inspection
        return [
            "configured": .bool(inspection.configured), "reason": .string(inspection.reason),
            "accounts": .array(inspection.accounts.map(Self.row)),
            "added": .array(changes.added.map { .string($0) }),
            "changed": .array(changes.changed.map { .string($0) }),
            "removed": .array(changes.removed.map { .string($0) }),
        ]
    }

    private static func row(_ account: ChannelInspection.Account) -> JSONValue {
        [
            "accountId": .string(account.accountId), "enabled": .bool(account.enabled),
            "configured": .bool(account.configured), "credential": .string(account.credential.rawValue),
            "source": .string(account.source), "reason": .string(account.reason),
        ]
    }

    /// The status of accounts that do not run, in the shape of those that do.
    var idleStatus: [JSONValue] {
        accounts.inspection.accounts.map { account in
            guard case .object(var row) = Self.row(account) else { return .null }
            row["source"] = nil
            row["running"] = false
            row["connected"] = false
            row["lifecycle"] = "stopped"
            row["guilds"] = []
            for counter in ["lanes", "waiting", "outbox", "deadLetters"] { row[counter] = 0 }
            for time in ["lastInboundAt", "lastOutboundAt", "tokenExpiresAt"] { row[time] = .null }
            return .object(row)
        }
    }

    // MARK: For accounts

    var certificateAuthorityFile: String? { configuration.certificateAuthorityFile }
    var sessionSeconds: Double { configuration.sessionSeconds }

    /// What an account runs with.
    /// - Throws: when it may not start: unconfigured, disabled, or its key not at hand.
    func plan(for id: String) throws(ChannelProblem) -> (settings: AccountSettings, facts: AccountFacts) {
        guard let account = accounts[id] else {
            throw ChannelProblem(
                .invalid, "there is no such account", at: "account \(id)",
                remedy: "bind it: setup bind --agent-id \(id)")
        }
        guard account.mayStart else {
            throw ChannelProblem(
                .invalid, account.reason.isEmpty ? "the account cannot start" : account.reason, at: "account \(id)",
                remedy: "run setup inspect")
        }
        var settings = AccountSettings()
        settings.coalesce = configuration.coalesce
        settings.syncPeriod = .seconds(configuration.channelSyncSeconds)
        settings.infersWake = configuration.catchUp.wake == .infer
        settings.catchUpMessages = configuration.catchUp.maximumMessages
        settings.catchUpHours = configuration.catchUp.maximumHours
        settings.attachmentBytes = Int64(configuration.attachmentMegabytes * 1_000_000)
        settings.allowsPrivateAddresses = configuration.allowsPrivateAddresses
        settings.turnTimeout = .seconds(configuration.turnTimeoutSeconds)
        settings.certificateAuthorityFile = configuration.certificateAuthorityFile
        let facts = AccountFacts(
            enabled: account.enabled, configured: account.configured, credential: account.credential.rawValue)
        return (settings, facts)
    }

    /// Who logs in where, and with what.
    var logins: [String: LoginPlan] {
        guard let center = configuration.centerApiBase else { return [:] }
        var plans: [String: LoginPlan] = [:]
        for account in accounts.accounts where account.mayStart {
            if let key = account.apiKey { plans[account.accountId] = LoginPlan(center: center, key: key) }
        }
        return plans
    }
}

/// One account's way to a session: where it logs in, and where its key is. The key is fetched at every login.
struct LoginPlan: Sendable {
    var center: String
    var key: SecretSource

    func login(over http: HTTPTransfer) async throws -> FabricSession {
        // A key that is not at hand may come back (a file being replaced): a passing failure, with its reason.
        let secret = try key.fetch()
        return try await FabricCenter(base: center, http: http).login(apiKey: secret.reveal())
    }
}
