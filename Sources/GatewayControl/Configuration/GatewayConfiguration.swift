import JSONBytes

/// The whole configuration file, read and checked.
package struct GatewayConfiguration: Sendable, Equatable {
    package struct Plugin: Sendable, Equatable {
        package var id: String
        /// `plugin.json`, absolute.
        package var manifest: String
        package var enabled: Bool
        package init(id: String, manifest: String, enabled: Bool) {
            self.id = id
            self.manifest = manifest
            self.enabled = enabled
        }
    }

    package enum AgentSettings: Sendable, Equatable {
        case echo
        case command(CommandSettings)
        case acp(ACPSettings)

        /// Where in its section the command stands.
        package var commandKey: String { if case .acp = self { "acp.command" } else { "command" } }

        /// What it runs, if it runs something.
        package var command: [String]? {
            switch self {
            case .echo: nil
            case .command(let settings): settings.command
            case .acp(let settings): settings.command
            }
        }
    }

    /// The file, absolute.
    package var file: String
    /// Absolute.
    package var stateDirectory: String
    package var plugins: [Plugin]
    /// Each channel's section as it stands in the file; the module reads it.
    package var channels: [String: JSONValue]
    package var agents: [String: AgentSettings]
    package var bindings: [AgentBinding]
    /// Slash commands that people are offered besides the built-in ones.
    package var commands: [SlashCommand]
    /// Commands of agents that run at once.
    package var maximumCommands: Int

    /// Agents whose commands cannot be run, as the machine is now.
    package var commandProblems: [GatewayError] {
        agents.sorted { $0.key < $1.key }.compactMap { name, settings in
            guard let command = settings.command, let found = CommandProgram.problem(of: command) else { return nil }
            return GatewayError(
                found.problem, place: "\(file): agents.\(name).\(settings.commandKey)", remedy: found.remedy)
        }
    }

    /// Names of the environment variables the channels take secrets from (`{"env": NAME}` anywhere in their sections):
    /// the commands of agents do not get to see them.
    package static func secretVariables(in value: JSONValue) -> Set<String> {
        switch value {
        case .object(let members):
            if members.count == 1, let name = members["env"]?.string { return [name] }
            return members.values.reduce(into: []) { $0.formUnion(secretVariables(in: $1)) }
        case .array(let elements):
            return elements.reduce(into: []) { $0.formUnion(secretVariables(in: $1)) }
        default: return []
        }
    }
}
