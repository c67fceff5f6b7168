import FabricAccounts
import GatewayControl
import JSONBytes
import Settings

/// `inspect`.
public struct Inspector {
    private let world: SetupWorld
    private let file: String

    public init(world: SetupWorld, file: String) {
        self.world = world.concerning(file)
        self.file = file
    }

    /// Says what is configured and why not. No network without `probe`.
    /// - Returns: a ``SetupCode``.
    public func run(json: Bool, probe: Bool) async -> Int32 {
        let configuration: FabricConfiguration
        let identities: IdentityFile
        do throws(SettingsErrors) {
            guard SecretPresence.system.file(file) != .absent else {
                let remedy = "Bind an account: `setup bind`"
                throw SettingsErrors([
                    SettingsError(file: file, keyPath: "", problem: "there is no configuration", remedy: remedy)
                ])
            }
            configuration = try FabricConfiguration.read(gatewayFile: file)
            identities = IdentityFile.read(configuration.identityFile)
            let faults = identities.faults(isNamed: configuration.namesIdentityFile, wasThere: false)
            if !faults.isEmpty { throw SettingsErrors(faults) }
        } catch {
            cannotTell(error, json)
            return SetupCode.wrong
        }
        let accounts = FabricAccounts(configuration: configuration, identities: identities)
        let inspection = accounts.inspection
        let probes =
            probe
            ? await Probes(world: world, configuration: configuration, opensSockets: true).look(accounts) : [:]
        let place = StorePlace(configuration, file: file)
        if json {
            world.say(Self.json(inspection, place, probes.mapValues(\.json)))
        } else {
            show(inspection, place, probes)
        }
        return probes.values.contains(where: \.isBad) ? SetupCode.refused : SetupCode.good
    }

    private func cannotTell(_ errors: SettingsErrors, _ json: Bool) {
        guard json else { return world.warn("\(errors)") }
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

    /// The module's inspection as programs read it, with `probe` added to probed accounts.
    static func json(_ inspection: SetupInspection, _ place: StorePlace, _ probes: [String: JSONValue]) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("channel")
        writer.string(inspection.channel)
        writer.key("configured")
        writer.bool(inspection.configured)
        writer.key("reason")
        writer.string(inspection.reason)
        writer.key("store")
        place.json.write(to: &writer)
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

    private func show(_ inspection: SetupInspection, _ place: StorePlace, _ probes: [String: Probes.Outcome]) {
        let palette = world.palette
        let verdict = inspection.configured ? palette.good("configured") : palette.warning("not configured")
        world.tell("\(palette.strong("fabric")): \(verdict) (\(inspection.reason))")
        world.tell("  what survives is kept in \(place.words)")
        for account in inspection.accounts {
            let name = account.accountId.isEmpty ? "(no agent id)" : account.accountId
            let isFine = account.configured && account.enabled && account.credential == .available
            var state = account.configured ? "configured, key \(account.credential.rawValue)" : "not configured"
            state = isFine ? palette.good(state) : palette.warning(state)
            if !account.source.isEmpty { state += " (\(account.source))" }
            if !account.reason.isEmpty { state += ": \(account.reason)" }
            world.tell("  \(palette.strong(name))  \(state)")
            for line in probes[account.accountId]?.lines(palette) ?? [] { world.tell("      \(line)") }
        }
    }
}

/// Where what survives is kept, without looking there.
struct StorePlace {
    private let file: String
    private let shared: (url: String, schema: String, gateway: String)?

    init(_ configuration: FabricConfiguration, file: String) {
        let directory =
            ConfigurationCheck.stateDirectory(of: file) ?? FileText.resolve("state", in: configuration.directory)
        self.file = directory + "/channel.db"
        shared = configuration.sharedStore.map {
            ($0.url.name, $0.schema, $0.gatewayName(stateDirectory: directory))
        }
    }

    var words: String {
        guard let shared else { return file }
        let url = shared.url == "inline" ? "that the configuration names" : "named by \(shared.url)"
        return "the PostgreSQL database \(url), schema \(shared.schema), shared by this gateway as \(shared.gateway)"
    }

    var json: JSONValue {
        guard let shared else { return ["kind": "sqlite", "path": .string(file)] }
        return [
            "kind": "postgresql", "url": .string(shared.url), "schema": .string(shared.schema),
            "gateway": .string(shared.gateway),
        ]
    }
}

extension Probes.Outcome {
    fileprivate var json: JSONValue {
        switch self {
        case .seen(let probe): ProbeReport.json(probe)
        case .failed(let trouble): ProbeReport.json(trouble)
        }
    }

    fileprivate func lines(_ palette: Palette) -> [String] {
        switch self {
        case .seen(let probe): ProbeReport.lines(probe, palette)
        case .failed(let trouble): ProbeReport.lines(trouble, palette)
        }
    }
}
