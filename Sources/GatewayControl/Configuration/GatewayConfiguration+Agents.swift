import Settings

extension GatewayConfiguration {
    private enum Builtin: String, CaseIterable { case echo }

    /// What every agent that is a program may say of itself.
    private struct Common {
        var timeout: Double?
        var maximumOutput: Int?
        var output: CommandSettings.Output?
        var failureText: String?
        var tools: AgentTools?
        var hidden: Set<String>

        init(_ section: SettingsSection, hidden: Set<String>) {
            // A day is more than any turn may take; the module gives its lane up after 30 min by itself.
            timeout = section.number("timeoutSeconds", in: 0.001...86_400)
            maximumOutput = section.int("maximumOutputBytes", in: 1...(1 << 30))
            output = section.choice("output", CommandSettings.Output.self)
            failureText = section.string("failureText").flatMap { $0.isEmpty ? nil : $0 }
            tools = section.choice("tools", AgentTools.self)
            self.hidden = hidden
        }
    }

    static func agents(_ root: SettingsSection, _ file: String, hidden: Set<String>) -> [String: AgentSettings] {
        var agents: [String: AgentSettings] = [:]
        for member in root.members("agents") ?? [] {
            let section = SettingsSection(member.node, findings: root.findings)
            let builtin = section.choice("builtin", Builtin.self)
            let command = section.strings("command")
            let acp = section.section("acp")
            let common = Common(section, hidden: hidden)
            let kinds = ["builtin", "command", "acp"].filter { section.value($0) != nil }
            guard member.node.members != nil else {
                section.finish()
                continue
            }
            // Kept even with a finding, so that bindings to it are not findings too.
            agents[member.name] = .echo
            switch kinds {
            case ["builtin"]: _ = builtin
            case ["command"]:
                if let words = program(command, section.value("command") ?? member.node, root.findings, file) {
                    agents[member.name] = .command(settings(words, common))
                }
            case ["acp"]:
                if let output = section.value("output") {
                    root.findings.add(
                        output, "“output” is of agents that are commands", remedy: "Remove it; this agent says text")
                }
                if let acp, let settings = settings(acp, common, file) { agents[member.name] = .acp(settings) }
            default:
                root.findings.add(
                    member.node, "an agent has one of “builtin”, “command” and “acp”",
                    remedy: "Write {\"builtin\": \"echo\"}, {\"command\": [program, argument…]} or "
                        + "{\"acp\": {\"command\": [program, argument…]}}")
            }
            section.finish()
        }
        return agents
    }

    /// The words of a command; a program with a slash in it is relative to the file.
    private static func program(
        _ words: [String]?, _ node: SettingsNode, _ findings: SettingsFindings, _ file: String
    ) -> [String]? {
        guard var words, let program = words.first, !program.isEmpty else {
            findings.add(
                node, "the command is empty", remedy: "Write the program and its arguments as a list of strings")
            return nil
        }
        if program.contains("/") { words[0] = path(program, file) }
        return words
    }

    private static func settings(_ words: [String], _ common: Common) -> CommandSettings {
        var settings = CommandSettings(command: words)
        if let timeout = common.timeout { settings.timeout = .seconds(timeout) }
        if let maximumOutput = common.maximumOutput { settings.maximumOutput = maximumOutput }
        if let output = common.output { settings.output = output }
        settings.failureText = common.failureText
        if let tools = common.tools { settings.tools = tools }
        settings.hiddenVariables = common.hidden
        return settings
    }

    private static func settings(_ section: SettingsSection, _ common: Common, _ file: String) -> ACPSettings? {
        let command = section.strings("command")
        let sessions = section.int("maximumSessions", in: 1...1024)
        let start = section.number("startSeconds", in: 0.1...3600)
        let permissions = section.choice("permissions", ACPSettings.Permission.self)
        let kinds = section.elements("allow") ?? []
        let directory = section.string("directory")
        let authMethod = section.string("authMethod")
        let node = section.value("command")
        section.finish()
        guard let node else {
            section.require("command", remedy: "Write the program and its arguments as a list of strings")
            return nil
        }
        guard let words = program(command, node, section.findings, file) else { return nil }
        // Where the file is, unless it says otherwise: what an agent reads of its own lies beside it.
        var settings = ACPSettings(command: words, directory: path(directory ?? ".", file))
        if directory != nil,
            !file.hasPrefix(settings.directory.hasSuffix("/") ? settings.directory : settings.directory + "/")
        {
            settings.filesDirectory = settings.directory
        }
        if let sessions { settings.maximumSessions = sessions }
        if let start { settings.start = .seconds(start) }
        if let permissions { settings.permissions = permissions }
        for kind in kinds {
            guard case .string(let word) = kind.value, ACPSettings.Kind(rawValue: word) != nil else {
                let words = ACPSettings.Kind.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
                section.findings.add(kind, "this is no kind of doing", remedy: "Possible: \(words)")
                continue
            }
            settings.allowedKinds.insert(word)
        }
        settings.authMethod = authMethod.flatMap { $0.isEmpty ? nil : $0 }
        if let timeout = common.timeout { settings.timeout = .seconds(timeout) }
        if let maximumOutput = common.maximumOutput { settings.maximumOutput = maximumOutput }
        settings.failureText = common.failureText
        if let tools = common.tools { settings.tools = tools }
        settings.hiddenVariables = common.hidden
        return settings
    }
}
