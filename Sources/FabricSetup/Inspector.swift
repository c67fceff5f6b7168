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
        let probes = probe ? await look(accounts, configuration) : [:]
        if json { world.say(Self.json(inspection, probes.mapValues(\.json))) } else { show(inspection, probes) }
        return SetupCode.good
    }

    private enum Outcome {
        case seen(SetupProbe)
        case failed(SetupProbe.Trouble)

        var json: JSONValue {
            switch self {
            case .seen(let probe): ProbeReport.json(probe)
            case .failed(let trouble): ProbeReport.json(trouble)
            }
        }

        func lines(_ palette: Palette) -> [String] {
            switch self {
            case .seen(let probe): ProbeReport.lines(probe, palette)
            case .failed(let trouble): ProbeReport.lines(trouble, palette)
            }
        }
    }

    private func look(_ accounts: FabricAccounts, _ configuration: FabricConfiguration) async -> [String: Outcome] {
        guard let center = configuration.centerApiBase else { return [:] }
        var outcomes: [String: Outcome] = [:]
        for account in accounts.accounts where account.mayStart {
            guard let source = account.apiKey else { continue }
            do {
                var request = SetupWorld.ProbeRequest(
                    center: center, authorities: configuration.certificateAuthorityFile, key: try source.fetch(),
                    opensSockets: true)
                request.step = { [world] in world.progress("\(account.accountId): \($0)") }
                outcomes[account.accountId] = .seen(try await world.probe(request))
            } catch let error as SecretSource.Unavailable {
                outcomes[account.accountId] = .failed(SetupProbe.Trouble(error.problem, remedy: error.remedy))
            } catch { outcomes[account.accountId] = .failed(SetupProbe.Trouble(error)) }
        }
        world.progress(nil)
        return outcomes
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

    private func show(_ inspection: ChannelInspection, _ probes: [String: Outcome]) {
        let palette = world.palette
        let verdict = inspection.configured ? palette.good("configured") : palette.warning("not configured")
        world.say("\(palette.strong("fabric")): \(verdict) (\(inspection.reason))")
        for account in inspection.accounts {
            let name = account.accountId.isEmpty ? "(no agent id)" : account.accountId
            let isFine = account.configured && account.enabled && account.credential == .available
            var state = account.configured ? "configured, key \(account.credential.rawValue)" : "not configured"
            state = isFine ? palette.good(state) : palette.warning(state)
            if !account.source.isEmpty { state += " (\(account.source))" }
            if !account.reason.isEmpty { state += ": \(account.reason)" }
            world.say("  \(palette.strong(name))  \(state)")
            for line in probes[account.accountId]?.lines(palette) ?? [] { world.say("      \(line)") }
        }
    }
}
