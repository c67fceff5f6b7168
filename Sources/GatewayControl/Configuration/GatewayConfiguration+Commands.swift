import JSONBytes
import Settings

/// A slash command that people are offered; what it does is the agents' business.
package struct SlashCommand: Sendable, Equatable {
    package var name: String
    package var description: String
    /// As the catalogue takes them: name, description, choices.
    package var arguments: [JSONValue]

    package init(name: String, description: String, arguments: [JSONValue] = []) {
        self.name = name
        self.description = description
        self.arguments = arguments
    }

    package var json: JSONValue {
        var command: [String: JSONValue] = ["name": .string(name), "description": .string(description)]
        if !arguments.isEmpty { command["arguments"] = .array(arguments) }
        return .object(command)
    }

    /// What the gateway does by itself.
    package static let builtin = [
        SlashCommand(name: "new", description: "The agent begins the conversation anew."),
        SlashCommand(name: "stop", description: "The agent stops what it does at the moment."),
        SlashCommand(name: "status", description: "Tells what the agent does."),
    ]
}

extension GatewayConfiguration {
    static func commands(_ root: SettingsSection) -> [SlashCommand] {
        var commands: [SlashCommand] = []
        for node in root.elements("commands") ?? [] {
            let section = SettingsSection(node, findings: root.findings)
            let name = section.string("name")
            let description = section.string("description") ?? ""
            let arguments = (section.elements("arguments") ?? []).compactMap { argument($0, root.findings) }
            section.finish()
            guard node.members != nil else { continue }
            guard let name, let place = section.value("name") else {
                if section.value("name") == nil {
                    section.require("name", remedy: "Name the command, without its slash")
                }
                continue
            }
            guard isName(name) else {
                root.findings.add(
                    place, "this is no name of a command",
                    remedy: "Use small letters, digits, - and _, without the slash; at most 32 of them")
                continue
            }
            guard !(SlashCommand.builtin + commands).contains(where: { $0.name == name }) else {
                root.findings.add(place, "there is a command of this name", remedy: "Remove it, or name it otherwise")
                continue
            }
            commands.append(SlashCommand(name: name, description: description, arguments: arguments))
        }
        return commands
    }

    private static func argument(_ node: SettingsNode, _ findings: SettingsFindings) -> JSONValue? {
        let section = SettingsSection(node, findings: findings)
        let name = section.string("name")
        let description = section.string("description")
        let required = section.bool("required")
        let choices = section.strings("choices")
        section.finish()
        guard node.members != nil else { return nil }
        guard let name, isName(name) else {
            findings.add(
                section.value("name") ?? node, "an argument needs a name",
                remedy: "Use small letters, digits, - and _; at most 32 of them")
            return nil
        }
        var argument: [String: JSONValue] = ["name": .string(name)]
        argument["description"] = description.map { .string($0) }
        argument["required"] = required.map { .bool($0) }
        argument["choices"] = choices.map { .array($0.map { .string($0) }) }
        return .object(argument)
    }

    private static func isName(_ text: String) -> Bool {
        (1...32).contains(text.utf8.count)
            && text.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 || $0 == 95 }
    }
}
