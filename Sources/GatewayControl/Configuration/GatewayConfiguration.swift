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
    /// Commands of agents that run at once.
    package var maximumCommands: Int

    /// Agents whose commands cannot be run, as the machine is now.
    package var commandProblems: [GatewayError] {
        agents.sorted { $0.key < $1.key }.compactMap { name, settings in
            guard case .command(let command) = settings, let found = CommandProgram.problem(of: command.command) else {
                return nil
            }
            return GatewayError(found.problem, place: "\(file): agents.\(name).command", remedy: found.remedy)
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
