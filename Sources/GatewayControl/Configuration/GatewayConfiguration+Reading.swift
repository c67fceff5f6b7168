import JSONBytes
import Settings

extension GatewayConfiguration {
    /// Reads a configuration file (JSON with comments).
    /// - Parameter file: absolute.
    /// - Throws: `GatewayError` with every finding, each with its place and remedy.
    package init(file: String) throws(GatewayError) {
        let findings = SettingsFindings()
        let read = SettingsDocument.read(file: file, findings: findings).map {
            GatewayConfiguration(root: $0, file: file, findings: findings)
        }
        guard let read, findings.isEmpty else { throw Self.failure(file, findings) }
        self = read
    }

    /// Only where the state directory is: all that a command for a running gateway needs, so that a mistake elsewhere in
    /// the file does not get in its way.
    package static func stateDirectory(file: String) throws(GatewayError) -> String {
        let findings = SettingsFindings()
        guard let root = SettingsDocument.read(file: file, findings: findings) else { throw failure(file, findings) }
        let section = SettingsSection(root, findings: SettingsFindings())
        return path(section.string("stateDirectory") ?? defaultStateDirectory, file)
    }

    /// Beside the configuration file.
    private static let defaultStateDirectory = "./state"

    private static func failure(_ file: String, _ findings: SettingsFindings) -> GatewayError {
        let errors = findings.errors
        guard errors.count != 1, let first = errors.first else {
            let only = errors.first
            return GatewayError(
                only?.problem ?? "the configuration cannot be read", place: place(only, file),
                remedy: only?.remedy ?? "")
        }
        return GatewayError(
            "the configuration has \(errors.count) mistakes", place: first.file.isEmpty ? file : first.file,
            remedy: "Correct them all", findings: errors.map(\.description))
    }

    private static func place(_ error: SettingsError?, _ file: String) -> String {
        guard let error else { return file }
        let line = error.line.map { ":\($0)" } ?? ""
        return (error.file.isEmpty ? file : error.file) + line + (error.keyPath.isEmpty ? "" : ": \(error.keyPath)")
    }

    static func path(_ text: String, _ file: String) -> String {
        let directory = Files.parent(of: file)
        return Files.resolve(FileText.resolve(text, in: directory), in: directory)
    }

    fileprivate init(root node: SettingsNode, file: String, findings: SettingsFindings) {
        let root = SettingsSection(node, findings: findings)
        self.file = file
        stateDirectory = Self.path(root.string("stateDirectory") ?? Self.defaultStateDirectory, file)
        plugins = Self.plugins(root, file)
        channels = Dictionary(
            (root.members("channels") ?? []).map { ($0.name, $0.node.json) }, uniquingKeysWith: { first, _ in first })
        for member in root.members("channels") ?? [] where !plugins.contains(where: { $0.id == member.name }) {
            findings.add(
                member.node, "no plugin serves this channel",
                remedy: "Add plugins.\(member.name) with the path of its plugin.json, or remove this section")
        }
        let hidden = channels.values.reduce(into: Set()) { $0.formUnion(Self.secretVariables(in: $1)) }
        agents = Self.agents(root, file, hidden: hidden)
        bindings = Self.bindings(root, agents: agents, plugins: plugins)
        commands = Self.commands(root)
        // More than a few hundred processes at once is no use to anybody.
        maximumCommands = root.int("maximumCommands", in: 1...1024) ?? 8
        // Where an editor finds the schema of the file.
        root.ignore("$schema")
        root.finish()
    }

    private static func plugins(_ root: SettingsSection, _ file: String) -> [Plugin] {
        (root.members("plugins") ?? []).compactMap { member in
            let section = SettingsSection(member.node, findings: root.findings)
            let manifest = section.string("manifest")
            let enabled = section.bool("enabled") ?? true
            if member.node.members != nil, section.value("manifest") == nil {
                section.require("manifest", remedy: "Write the path of the plugin's plugin.json there")
            }
            section.finish()
            return Plugin(id: member.name, manifest: path(manifest ?? "", file), enabled: enabled)
        }
    }

    private static func bindings(
        _ root: SettingsSection, agents: [String: AgentSettings], plugins: [Plugin]
    ) -> [AgentBinding] {
        var bindings: [AgentBinding] = []
        for node in root.elements("bindings") ?? [] {
            let section = SettingsSection(node, findings: root.findings)
            let agent = section.string("agentId")
            let match = section.section("match")
            let channel = match?.string("channel")
            let account = match?.string("accountId")
            match?.finish()
            let history = history(section.section("history"))
            section.finish()
            guard node.members != nil else { continue }
            if section.value("agentId") == nil { section.require("agentId", remedy: "Name the agent") }
            if match == nil { section.require("match", remedy: "Write {\"channel\": …, \"accountId\": …}") }
            if let match, match.value("channel") == nil { match.require("channel", remedy: "Name the channel") }
            guard let agent, let channel else { continue }
            check(agent, in: agents.keys.sorted(), section.value("agentId"), "agent", root.findings)
            check(channel, in: plugins.map(\.id), match?.value("channel"), "channel", root.findings)
            if bindings.contains(where: { $0.channel == channel && $0.account == account }) {
                root.findings.add(
                    node, "there is a binding for this before", remedy: "Remove one of them; an account has one agent")
                continue
            }
            bindings.append(AgentBinding(agent: agent, channel: channel, account: account, history: history))
        }
        return bindings
    }

    private static func history(_ section: SettingsSection?) -> HistoryWanted? {
        guard let section else { return nil }
        let messages = section.int("messages", in: 1...200)
        let bytes = section.int("maximumBytes", in: 100...(1 << 20))
        section.finish()
        if section.value("messages") == nil { section.require("messages", remedy: "Write how many, 1 to 200") }
        guard let messages else { return nil }
        return bytes.map { HistoryWanted(messages: messages, maximumBytes: $0) } ?? HistoryWanted(messages: messages)
    }

    private static func check(
        _ name: String, in known: [String], _ node: SettingsNode?, _ kind: String, _ findings: SettingsFindings
    ) {
        guard !known.contains(name), let node else { return }
        let near = Nearest.word(to: name, among: known).map { "Did you mean “\($0)”?" }
        findings.add(
            node, "there is no \(kind) “\(name)”",
            remedy: near ?? (known.isEmpty ? "There is none yet" : "Known: \(known.joined(separator: ", "))"))
    }
}

/// Whether a gateway would take a configuration file; for tools that look at it before one runs.
public enum ConfigurationCheck {
    /// Everything that is wrong with the file, whole: plugins, agents, bindings, unknown keys. What stands under
    /// `channels` is the modules' to judge.
    public static func findings(in file: String) -> [SettingsError] {
        let findings = SettingsFindings()
        let path = Files.resolve(file, in: Files.workingDirectory())
        if let root = SettingsDocument.read(file: path, findings: findings) {
            _ = GatewayConfiguration(root: root, file: path, findings: findings)
        }
        return findings.errors
    }

    /// Where the file puts the state directory, absolute; nil if the file cannot be read.
    public static func stateDirectory(of file: String) -> String? {
        try? GatewayConfiguration.stateDirectory(file: Files.resolve(file, in: Files.workingDirectory()))
    }
}
