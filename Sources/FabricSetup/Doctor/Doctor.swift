import FabricAPI
import FabricAccounts
import JSONBytes
import Settings

/// One thing the doctor found: what, where, how to mend it.
public struct DoctorFinding: Sendable, Equatable {
    public enum Level: String, Sendable { case good, warning, error }

    public var level: Level
    public var what: String
    public var place: String
    public var remedy: String

    public init(_ level: Level, _ what: String, at place: String, remedy: String = "") {
        self.level = level
        self.what = what
        self.place = place
        self.remedy = remedy
    }
}

/// `doctor`.
public struct Doctor {
    private let world: SetupWorld
    private let file: String
    private let presence: SecretPresence

    public init(world: SetupWorld, file: String, presence: SecretPresence = .system) {
        self.world = world
        self.file = file
        self.presence = presence
    }

    /// Runs all checks and prints their findings.
    /// - Returns: a ``SetupCode`` by the worst of them.
    public func run(json: Bool, offline: Bool) async -> Int32 {
        let findings = await examine(offline: offline)
        if json {
            let rows = findings.map { finding -> JSONValue in
                [
                    "level": .string(finding.level.rawValue), "what": .string(finding.what),
                    "where": .string(finding.place), "remedy": .string(finding.remedy),
                ]
            }
            let tree: JSONValue = ["findings": .array(rows)]
            world.say(String(decoding: tree.serialized, as: UTF8.self))
        } else {
            for finding in findings {
                let mark =
                    switch finding.level {
                    case .good: "ok     "
                    case .warning: "warning"
                    case .error: "ERROR  "
                    }
                let remedy = finding.remedy.isEmpty ? "" : "\n           \(finding.remedy)"
                world.say("\(mark)  \(finding.place): \(finding.what)\(remedy)")
            }
        }
        if findings.contains(where: { $0.level == .error }) { return SetupCode.wrong }
        return findings.contains { $0.level == .warning } ? SetupCode.refused : SetupCode.good
    }

    /// All checks.
    public func examine(offline: Bool) async -> [DoctorFinding] {
        guard presence.file(file) != .absent else {
            let remedy = "Bind an account: fabric-setup bind --agent-id ID --center URL --config \(file)"
            return [DoctorFinding(.error, "there is no configuration", at: file, remedy: remedy)]
        }
        let configuration: FabricConfiguration
        do throws(SettingsErrors) { configuration = try FabricConfiguration.read(gatewayFile: file) } catch {
            return error.errors.map {
                DoctorFinding(.error, "\($0.keyPath): \($0.problem)", at: $0.file, remedy: $0.remedy)
            }
        }
        var findings = [DoctorFinding(.good, "the section channels.fabric is right", at: file)]
        let identities = IdentityFile.read(configuration.identityFile)
        let accounts = FabricAccounts(configuration: configuration, identities: identities, presence: presence)
        findings += FileChecks.secrets(configuration, identities)
        findings += identities.problems.map {
            DoctorFinding(.error, $0.problem, at: $0.file, remedy: $0.remedy)
        }
        findings += judge(accounts)
        findings += FileChecks.gateway(file, accounts.accounts.map(\.accountId))
        if !offline { findings += await network(configuration, accounts) }
        return findings
    }

    private func judge(_ accounts: FabricAccounts) -> [DoctorFinding] {
        if accounts.accounts.isEmpty {
            return [
                DoctorFinding(.warning, accounts.reason, at: file, remedy: "Nothing will connect until one is bound")
            ]
        }
        return accounts.accounts.map { account in
            let place = "account \(account.accountId.isEmpty ? "(no agent id)" : account.accountId)"
            if !account.configured { return DoctorFinding(.error, account.reason, at: place) }
            if account.credential != .available { return DoctorFinding(.error, account.reason, at: place) }
            if !account.enabled { return DoctorFinding(.warning, account.reason, at: place) }
            return DoctorFinding(.good, "bound, key from \(account.source)", at: place)
        }
    }

    private func network(_ configuration: FabricConfiguration, _ accounts: FabricAccounts) async -> [DoctorFinding] {
        guard let center = configuration.centerApiBase else { return [] }
        var findings = await clock(center, configuration.certificateAuthorityFile)
        for account in accounts.accounts where account.mayStart {
            guard let source = account.apiKey else { continue }
            let place = "account \(account.accountId)"
            do {
                let key = try source.fetch()
                let probe = try await world.probe(center, configuration.certificateAuthorityFile, key)
                findings.append(DoctorFinding(.good, "Center accepts the key", at: place))
                if let known = account.userId, known != probe.session.user.id {
                    let what = "the key belongs to another user than when it was bound"
                    findings.append(DoctorFinding(.warning, what, at: place, remedy: "Bind the account again"))
                }
                if probe.guilds.isEmpty {
                    let remedy = "Make the agent a member of a guild"
                    findings.append(DoctorFinding(.warning, "it is a member of no guild", at: place, remedy: remedy))
                }
                for guild in probe.guilds {
                    let spot = "\(place), guild \(guild.nodeId)"
                    findings.append(
                        guild.problem.map { DoctorFinding(.error, $0, at: spot) }
                            ?? DoctorFinding(.good, "\(guild.channels ?? 0) channels", at: spot))
                }
            } catch { findings.append(DoctorFinding(.error, "\(error)", at: place)) }
        }
        return findings
    }

    /// A wrong clock makes fresh tokens look expired.
    private func clock(_ center: String, _ authorities: String?) async -> [DoctorFinding] {
        do {
            guard let ahead = try await world.clockAhead(center, authorities) else {
                return [DoctorFinding(.good, "Center answers", at: center)]
            }
            // The header counts whole seconds, and the answer takes a moment; a minute is what the tokens bear with
            // ease.
            guard abs(ahead) > 60 else {
                return [DoctorFinding(.good, "Center answers, and the clocks agree", at: center)]
            }
            let what = "this machine's clock is \(Int(abs(ahead))) s \(ahead > 0 ? "behind" : "ahead of") Center's"
            return [DoctorFinding(.error, what, at: center, remedy: "Set the clock, for instance with NTP")]
        } catch { return [DoctorFinding(.error, "Center cannot be reached: \(error)", at: center)] }
    }
}
