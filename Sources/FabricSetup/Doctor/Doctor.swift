import FabricAccounts
import GatewayControl
import JSONBytes
import Settings

/// `doctor`.
public struct Doctor {
    private let world: SetupWorld
    private let file: String

    public init(world: SetupWorld, file: String) {
        self.world = world.concerning(file)
        self.file = file
    }

    /// Runs all checks and prints their findings.
    /// - Returns: a ``SetupCode`` by the worst of them.
    public func run(json: Bool, offline: Bool) async -> Int32 {
        let findings = await examine(offline: offline)
        world.progress(nil)
        if json { world.say(Self.json(findings)) } else { show(findings) }
        if findings.contains(where: { $0.level == .error }) { return SetupCode.wrong }
        return findings.contains { $0.level == .warning } ? SetupCode.refused : SetupCode.good
    }

    /// All checks.
    public func examine(offline: Bool) async -> [DoctorFinding] {
        guard SecretPresence.system.file(file) != .absent else {
            let remedy = "Bind an account: `setup bind --agent-id ID --center URL`"
            return [DoctorFinding(.error, "there is no configuration", at: file, remedy: remedy)]
                + LibraryChecks.findings
        }
        world.progress("reading the configuration")
        var findings = ConfigurationChecks.gateway(file, own: world.ownManifest)
        var configuration: FabricConfiguration?
        do throws(SettingsErrors) {
            configuration = try FabricConfiguration.read(gatewayFile: file)
            findings.append(DoctorFinding(.good, "the section channels.fabric is right", at: file))
        } catch {
            // Text that is no JSON is found by both readers.
            for finding in error.errors.map({ DoctorFinding($0) }) where !findings.contains(finding) {
                findings.append(finding)
            }
        }
        findings += LibraryChecks.findings
        let state = StateChecks(world: world, file: file)
        findings += state.findings
        guard let configuration else { return findings }
        let identities = IdentityFile.read(configuration.identityFile)
        let accounts = FabricAccounts(configuration: configuration, identities: identities)
        findings += SecretChecks.permissions(configuration, identities)
        findings += identities.faults(isNamed: configuration.namesIdentityFile, wasThere: false).map {
            DoctorFinding($0)
        }
        findings += AccountChecks(file: file, gateway: state.status).findings(accounts)
        findings += AccountChecks.pace(
            of: accounts.accounts.count(where: \.mayStart), every: configuration.sessionSeconds,
            atMost: configuration.loginsPerSecond)
        findings += AgentChecks(file: file).findings(accounts.accounts.map(\.accountId))
        findings += await DatabaseChecks.findings(
            configuration, accounts, stateDirectory: ConfigurationCheck.stateDirectory(of: file), gateway: state.status,
            world: world, offline: offline)
        if state.status == nil {
            findings.append(
                DescriptorRoom.expected(
                    accounts: accounts.accounts.filter(\.mayStart).count, commands: maximumCommands,
                    at: "descriptors"))
        }
        if !offline {
            findings += await NetworkChecks(world: world, configuration: configuration).findings(accounts)
        }
        return findings
    }

    private var maximumCommands: Int {
        let top = SettingsDocument.read(file: file, findings: SettingsFindings())
        guard case .int(let count)? = top?["maximumCommands"]?.value else { return 8 }
        return min(max(Int(clamping: count), 1), 1024)
    }

    // MARK: Showing

    private static func json(_ findings: [DoctorFinding]) -> String {
        let rows = findings.map { finding -> JSONValue in
            [
                "level": .string(finding.level.rawValue), "what": .string(finding.what),
                "where": .string(finding.place), "remedy": .string(finding.remedy),
            ]
        }
        let tree: JSONValue = ["worst": .string(worst(findings).rawValue), "findings": .array(rows)]
        return String(decoding: tree.serialized, as: UTF8.self)
    }

    private static func worst(_ findings: [DoctorFinding]) -> DoctorFinding.Level {
        DoctorFinding.Level.allCases.last { level in findings.contains { $0.level == level } } ?? .good
    }

    private func show(_ findings: [DoctorFinding]) {
        let palette = world.palette
        for finding in findings.map({ $0.spelled(world.names) }) {
            let mark =
                switch finding.level {
                case .good: palette.good("ok     ")
                case .note: palette.faint("note   ")
                case .warning: palette.warning("warning")
                case .error: palette.bad("ERROR  ")
                }
            world.tell("\(mark)  \(palette.strong(finding.place)): \(finding.what)")
            if !finding.remedy.isEmpty { world.tell("           \(finding.remedy)") }
        }
        world.tell(Self.summary(findings, palette))
    }

    /// How many there are of what, and where: `1 error: account a. 2 warnings: ./state, account b.`
    static func summary(_ findings: [DoctorFinding], _ palette: Palette) -> String {
        func part(_ level: DoctorFinding.Level, _ name: String) -> String? {
            let places = findings.filter { $0.level == level }.map(\.place)
            guard !places.isEmpty else { return nil }
            var seen: Set<String> = []
            let distinct = places.filter { seen.insert($0).inserted }
            let more = distinct.count > 5 ? " and \(distinct.count - 5) more" : ""
            let count = "\(places.count) \(name)\(places.count == 1 ? "" : "s")"
            return "\(count): \(distinct.prefix(5).joined(separator: ", "))\(more)."
        }
        let bad = [part(.error, "error"), part(.warning, "warning")].compactMap(\.self)
        let note = part(.note, "note")
        let parts = bad.isEmpty ? [palette.good("All is well.")] + [note].compactMap(\.self) : bad
        return parts.joined(separator: " ")
    }
}
