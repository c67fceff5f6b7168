import FabricAPI
import FabricAccounts
import HTTPTransfer
import JSONBytes
import Settings

/// A configuration in force: what the gateway passed, read, checked and judged.
struct InstanceSetup: Sendable {
    /// What is wrong with a configuration; it is not adopted.
    struct Findings: Error, Sendable {
        var errors: [SettingsError]

        var result: RequestResult {
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
            return RequestResult(.invalid, json.serialized)
        }
    }

    let configuration: FabricConfiguration
    let accounts: FabricAccounts
    let stateDirectory: String
    /// The request asks for the findings and the comparison only; it is not to be adopted.
    let isTrial: Bool
    /// The host shows what is logged at `debug`: then every message is accounted for.
    let traces: Bool
    /// What the host says it understands beyond the first version of the contract; none for a host that says nothing.
    let hostCapabilities: Set<String>
    /// The authorities to trust instead of the system's, as the file is now.
    let authorities: CertificateAuthorities?
    /// The database that is shared, where one is: fetched and judged. `configuration.sharedStore` has the rest.
    let database: PostgreSQLAddress?
    /// Each account's key and Center as they are now, to notice a key that changed behind the same variable or file. An
    /// account whose key is not at hand has none.
    let fingerprints: [String: CredentialFingerprint]
    /// The accounts whose keys stand in the configuration. A table, as every account that starts asks.
    private let keyedInConfiguration: Set<String>
    private let identityFileExists: Bool
    /// What is wrong with the identity file at a start that goes on all the same: its accounts are those of the last run.
    let identityFault: SettingsError?
    private let identities: RememberedIdentities
    /// Whether an account that is neither in the configuration nor in the identity file has been unbound: not where the
    /// identity file may merely be away.
    var knowsAllAccounts: Bool { identityFileExists && identityFault == nil }
    /// The Fabric users of the accounts in the identity file, as `bind` recorded them: those of other gateways too.
    let agentUsers: [String]

    /// Reads the request of `configure` and checks it whole: the settings, the identity file, the authorities. Nothing is
    /// touched.
    /// - Parameter old: the configuration in force, which it would replace.
    /// - Throws: `Findings`.
    init(request: [UInt8], replacing old: InstanceSetup? = nil) throws(Findings) {
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
        isTrial = value["trial"]?.bool ?? false
        traces = ["debug", "trace"].contains(value["logLevel"]?.string ?? "")
        hostCapabilities = Set((value["capabilities"]?.array ?? []).compactMap(\.string))
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
        var identities = IdentityFile.read(configuration.identityFile)
        var wasThere = old.map { $0.identityFileExists && $0.configuration.identityFile == identities.path } ?? false
        var startsWithout: SettingsError?
        if old == nil, let last = RememberedIdentities.read(stateDirectory, of: identities.path) {
            // A new instance in the process that has read it is a module reload: refused, as any other reload.
            wasThere = last.process == RememberedIdentities.thisProcess
            let own = Set(configuration.accounts.map(\.accountId))
            let missed = last.accounts.filter { !own.contains($0) }
            let faults = identities.faults(isNamed: configuration.namesIdentityFile, wasThere: true)
            if !wasThere, !missed.isEmpty, let fault = faults.first {
                startsWithout = fault
                identities = IdentityFile(path: identities.path, unusable: fault, accounts: missed)
            }
        }
        if startsWithout == nil {
            for fault in identities.faults(isNamed: configuration.namesIdentityFile, wasThere: wasThere) {
                findings.add(fault)
            }
        }
        authorities = Self.authorities(configuration, findings)
        database = Self.database(configuration, findings)
        if let old, findings.isEmpty, old.kept != Kept(configuration, database) {
            findings.add(Self.otherStore(configuration))
        }
        try Self.check(findings)
        self.configuration = configuration
        keyedInConfiguration = Set(configuration.accounts.filter { $0.apiKey != nil }.map(\.accountId))
        identityFileExists = identities.exists
        identityFault = startsWithout
        self.identities = RememberedIdentities(
            file: identities.path, accounts: identities.entries.map(\.agentId).filter { !$0.isEmpty },
            process: RememberedIdentities.thisProcess)
        agentUsers = identities.entries.compactMap(\.userId)
        accounts = FabricAccounts(configuration: configuration, identities: identities, presence: .system)
        fingerprints = Self.fingerprints(accounts, configuration)
        // A new instance in a process that has a store is a module reload. Its settings are those in effect, but the address
        // may stand in a file, or a variable, that is another by now.
        if old == nil, let last = RememberedStore.read(stateDirectory),
            last.process == RememberedIdentities.thisProcess, last != rememberedStore
        {
            findings.add(Self.otherStore(configuration))
            try Self.check(findings)
        }
    }

    private static func check(_ findings: SettingsFindings) throws(Findings) {
        guard findings.isEmpty else {
            throw Findings(
                errors: findings.errors.map {
                    SettingsError(file: $0.file, keyPath: $0.keyPath, problem: $0.problem, remedy: $0.remedy)
                })
        }
    }

    private static func otherStore(_ configuration: FabricConfiguration) -> SettingsError {
        SettingsError(
            file: configuration.file,
            keyPath: [configuration.keyPath, "store"].filter { !$0.isEmpty }.joined(separator: "."),
            problem: "where a running gateway keeps what must survive cannot be changed",
            remedy: "restart the gateway with it, or put back what was there")
    }

    /// Keeps in mind for the next start which accounts the identity file has.
    func rememberIdentities() {
        guard identityFault == nil, identityFileExists else { return }
        identities.write(stateDirectory)
    }

    private static func authorities(
        _ configuration: FabricConfiguration, _ findings: SettingsFindings
    ) -> CertificateAuthorities? {
        guard let path = configuration.certificateAuthorityFile else { return nil }
        let keyPath = [configuration.keyPath, "certificateAuthorityFile"].filter { !$0.isEmpty }
        return authorities(path, configuration.file, keyPath.joined(separator: "."), findings)
    }

    private static func authorities(
        _ path: String, _ file: String, _ keyPath: String, _ findings: SettingsFindings
    ) -> CertificateAuthorities? {
        do throws(SettingsError) {
            return try CertificateAuthorities(path: path)
        } catch {
            findings.add(
                SettingsError(
                    file: file, keyPath: keyPath, problem: "\(path): \(error.problem)", remedy: error.remedy))
            return nil
        }
    }

    /// Where what must survive is kept, and as whom: as long as the gateway runs.
    private struct Kept: Equatable {
        /// Servers, database and user. Another password is taken up.
        var database: String?
        var schema: String?
        var gateway: String?
        var seconds: [Double]

        init(_ configuration: FabricConfiguration, _ database: PostgreSQLAddress?) {
            let store = configuration.sharedStore
            self.database = database?.description
            schema = store?.schema
            gateway = store?.gateway
            seconds = store.map { [$0.beatSeconds, $0.leaseSeconds] } ?? []
        }
    }

    private var kept: Kept { Kept(configuration, database) }

    /// The same for whoever comes after this instance in the process; nil where nothing is shared. No secret is in it.
    var rememberedStore: RememberedStore? {
        guard let store = configuration.sharedStore, let database else { return nil }
        return RememberedStore(
            store: "\(database), schema \(store.schema), gateway \(store.gatewayName(stateDirectory: stateDirectory))",
            process: RememberedIdentities.thisProcess)
    }

    private static func database(
        _ configuration: FabricConfiguration, _ findings: SettingsFindings
    ) -> PostgreSQLAddress? {
        guard let store = configuration.sharedStore else { return nil }
        if let path = store.certificateAuthorityFile {
            _ = authorities(path, store.file, "\(store.keyPath).certificateAuthorityFile", findings)
        }
        do throws(SettingsError) {
            return try store.address()
        } catch {
            findings.add(error)
            return nil
        }
    }

    private static func fingerprints(
        _ accounts: FabricAccounts, _ configuration: FabricConfiguration
    ) -> [String: CredentialFingerprint] {
        guard let center = configuration.centerApiBase else { return [:] }
        var result: [String: CredentialFingerprint] = [:]
        for account in accounts.accounts {
            guard let key = try? account.apiKey?.fetch() else { continue }
            result[account.accountId] = CredentialFingerprint(key: key, center: center)
        }
        return result
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

    /// What this module can do beyond the first version of the contract (`gateway_channel.h`, 5).
    static let capabilities = ["tools", "presence", "commands", "changes", "history", "sharing"]

    /// The answer to `configure`.
    func report(_ changes: Changes) -> JSONValue {
        let inspection = accounts.inspection
        return [
            "configured": .bool(inspection.configured), "reason": .string(inspection.reason),
            "accounts": .array(inspection.accounts.map(Self.row)),
            "added": .array(changes.added.map { .string($0) }),
            "changed": .array(changes.changed.map { .string($0) }),
            "removed": .array(changes.removed.map { .string($0) }),
            "adopted": .array(changes.adopted.map { .string($0) }),
            "settings": .array(changes.settings.map { .string($0) }),
            "capabilities": .array(Self.capabilities.map { .string($0) }),
        ]
    }

    private static func row(_ account: SetupInspection.Account) -> JSONValue {
        [
            "accountId": .string(account.accountId), "enabled": .bool(account.enabled),
            "configured": .bool(account.configured), "credential": .string(account.credential.rawValue),
            "source": .string(account.source), "reason": .string(account.reason),
        ]
    }

    /// The status of accounts that do not run, in the shape of those that do.
    var idleStatus: [JSONValue] {
        accounts.inspection.accounts.map { Self.idleRow($0, lifecycle: .stopped) }
    }

    /// The status of an account that is to run here, while another gateway does.
    func standbyStatus(_ id: String, reason: String) -> JSONValue? {
        guard let account = accounts[id] else { return nil }
        let inspected = SetupInspection.Account(
            accountId: id, enabled: account.enabled, configured: account.configured, credential: account.credential,
            source: account.source, reason: reason)
        return Self.idleRow(inspected, lifecycle: .standby)
    }

    private static func idleRow(_ account: SetupInspection.Account, lifecycle: AccountLife.Lifecycle) -> JSONValue {
        guard case .object(var row) = Self.row(account) else { return .null }
        row["source"] = nil
        // A host starts again what does not run, and this one waits for its turn.
        row["running"] = .bool(lifecycle == .standby)
        row["connected"] = false
        row["queued"] = false
        row["lifecycle"] = .string(lifecycle.rawValue)
        row["guilds"] = []
        for counter in ["lanes", "waiting", "outbox", "deadLetters"] { row[counter] = 0 }
        for time in ["lastInboundAt", "lastOutboundAt", "tokenExpiresAt"] { row[time] = .null }
        return .object(row)
    }

    /// What gateways that share their accounts say of their settings.
    var settingsDigest: String { SharedSettingsDigest(configuration, accounts: accounts).description }

    // MARK: For accounts

    /// Where the authorities are kept for transfers and sockets. Both remember a file by its name, so another content gets
    /// another name; and a file that is being replaced is never read half.
    var authoritiesPath: String? { authorities.map { "\(stateDirectory)/authorities-\($0.contentName).pem" } }
    /// Where the files of unsent messages are.
    var outboxDirectory: String { stateDirectory + "/outbox" }
    var sessionSeconds: Double { configuration.sessionSeconds }
    var connectsAtOnce: Int { configuration.connectsAtOnce }
    var loginsPerSecond: Int { configuration.loginsPerSecond }

    /// What an account runs with.
    /// - Throws: when it may not start: unconfigured, disabled, or its key not at hand.
    func plan(for id: String) throws(RequestProblem) -> (settings: AccountSettings, facts: AccountFacts) {
        guard let account = accounts[id] else {
            throw RequestProblem(
                .invalid, "there is no such account", at: "account \(id)",
                remedy: "bind it: `setup bind --agent-id \(id)`")
        }
        guard account.mayStart else {
            throw RequestProblem(
                .invalid, account.reason.isEmpty ? "the account cannot start" : account.reason, at: "account \(id)",
                remedy: "run `setup inspect`")
        }
        let facts = AccountFacts(
            enabled: account.enabled, configured: account.configured, credential: account.credential.rawValue,
            keyPlace: configuration.centerApiBase.map { center in
                KeyPlace(
                    center: center, identityFile: configuration.identityFile, source: account.source,
                    isInIdentityFile: !keyedInConfiguration.contains(id))
            })
        return (settings, facts)
    }

    /// The settings every account runs with.
    var settings: AccountSettings {
        var settings = AccountSettings()
        settings.coalesce = configuration.coalesce
        settings.syncPeriod = .seconds(configuration.channelSyncSeconds)
        settings.infersWake = configuration.catchUp.wake == .infer
        settings.catchUpMessages = configuration.catchUp.maximumMessages
        settings.catchUpHours = configuration.catchUp.maximumHours
        settings.turnPatience = .seconds(configuration.catchUp.turnPatienceSeconds)
        settings.attachmentBytes = Int64(configuration.attachmentMegabytes * 1_000_000)
        settings.allowsPrivateAddresses = configuration.allowsPrivateAddresses
        settings.redeliveries = configuration.redeliveries
        settings.agentChatter = AgentChatter.Limits(
            messages: configuration.agentTalkMessages, window: .seconds(configuration.agentTalkSeconds))
        settings.commandsSyncKey = configuration.commandsSyncKey
        settings.guestPatience = .seconds(configuration.guestPatienceSeconds)
        settings.saysPresence = configuration.presence
        settings.hostCapabilities = hostCapabilities
        settings.turnTimeout = .seconds(configuration.turnTimeoutSeconds)
        settings.certificateAuthorityFile = authoritiesPath
        return settings
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
