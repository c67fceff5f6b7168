import FabricAccounts
import JSONBytes
import Settings

/// `inspect`.
public struct Inspector {
    private let world: SetupWorld
    private let file: String
    private let presence: SecretPresence

    public init(world: SetupWorld, file: String, presence: SecretPresence = .system) {
        self.world = world
        self.file = file
        self.presence = presence
    }

    /// Says what is configured and why not. No network without `probe`.
    /// - Returns: a ``SetupCode``.
    public func run(json: Bool, probe: Bool) async -> Int32 {
        var configuration = FabricConfiguration(file: file, directory: FileText.directory(of: file))
        var note = ""
        if presence.file(file) == .absent {
            note = "\(file) does not exist; "
        } else {
            do throws(SettingsErrors) { configuration = try FabricConfiguration.read(gatewayFile: file) } catch {
                cannotTell(error, json)
                return SetupCode.wrong
            }
        }
        let accounts = FabricAccounts(
            configuration: configuration, identities: IdentityFile.read(configuration.identityFile), presence: presence)
        var inspection = accounts.inspection
        inspection.reason = note + inspection.reason
        var probes: [String: JSONValue] = [:]
        if probe {
            for account in accounts.accounts where account.mayStart {
                probes[account.accountId] = await look(account, configuration)
            }
        }
        if json { world.say(Self.json(inspection, probes)) } else { show(inspection, probes) }
        return SetupCode.good
    }

    private func look(_ account: FabricAccount, _ configuration: FabricConfiguration) async -> JSONValue {
        guard let center = configuration.centerApiBase, let source = account.apiKey else { return .null }
        do {
            let key = try source.fetch()
            let found = try await world.probe(center, configuration.certificateAuthorityFile, key)
            let guilds = found.guilds.map { guild -> JSONValue in
                var row: [String: JSONValue] = ["nodeId": .string(guild.nodeId)]
                if let channels = guild.channels { row["channels"] = .int(Int64(channels)) }
                if let problem = guild.problem { row["problem"] = .string(problem) }
                return .object(row)
            }
            let user = found.session.user
            return ["login": "ok", "user": .string(user.email ?? user.id), "guilds": .array(guilds)]
        } catch { return ["login": "failed", "problem": .string("\(error)")] }
    }

    private func cannotTell(_ errors: SettingsErrors, _ json: Bool) {
        guard json else { return world.complain("\(errors)") }
        let tree: JSONValue = [
            "channel": "fabric", "configured": false, "reason": "the configuration is wrong", "accounts": [],
            "errors": .array(
                errors.errors.map { error in
                    [
                        "file": .string(error.file), "keyPath": .string(error.keyPath),
                        "line": error.line.map { .int(Int64($0)) } ?? .null, "problem": .string(error.problem),
                        "remedy": .string(error.remedy),
                    ]
                }),
        ]
        world.say(String(decoding: tree.serialized, as: UTF8.self))
    }

    /// The answer in the shape others rely on (design, section 9), with `probe` added to probed accounts.
    static func json(_ inspection: ChannelInspection, _ probes: [String: JSONValue]) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("channel")
        writer.string(inspection.channel)
        writer.key("configured")
        writer.bool(inspection.configured)
        writer.key("reason")
        writer.string(inspection.reason)
        writer.key("accounts")
        writer.beginArray()
        for account in inspection.accounts {
            writer.beginObject()
            writer.key("accountId")
            writer.string(account.accountId)
            writer.key("enabled")
            writer.bool(account.enabled)
            writer.key("configured")
            writer.bool(account.configured)
            writer.key("credential")
            writer.string(account.credential.rawValue)
            writer.key("source")
            writer.string(account.source)
            writer.key("reason")
            writer.string(account.reason)
            if let probe = probes[account.accountId] {
                writer.key("probe")
                probe.write(to: &writer)
            }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private func show(_ inspection: ChannelInspection, _ probes: [String: JSONValue]) {
        world.say("fabric: \(inspection.configured ? "configured" : "not configured") (\(inspection.reason))")
        for account in inspection.accounts {
            let name = account.accountId.isEmpty ? "(no agent id)" : account.accountId
            var state = account.configured ? "configured, key \(account.credential.rawValue)" : "not configured"
            if !account.source.isEmpty { state += " (\(account.source))" }
            if !account.reason.isEmpty { state += ": \(account.reason)" }
            world.say("  \(name)  \(state)")
            guard let probe = probes[account.accountId] else { continue }
            if let problem = probe["problem"]?.string { world.say("      login failed: \(problem)") }
            if let user = probe["user"]?.string { world.say("      logged in as \(user)") }
            for guild in probe["guilds"]?.array ?? [] {
                let what = guild["problem"]?.string ?? "\(guild["channels"]?.int ?? 0) channels"
                world.say("      guild \(guild["nodeId"]?.string ?? ""): \(what)")
            }
        }
    }
}
