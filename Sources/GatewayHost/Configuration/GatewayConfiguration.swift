import JSONBytes

/// The whole configuration file, read and checked (design, section 9).
struct GatewayConfiguration: Sendable, Equatable {
    struct Plugin: Sendable, Equatable {
        var id: String
        /// `plugin.json`, absolute.
        var manifest: String
        var enabled: Bool
    }

    enum AgentSettings: Sendable, Equatable {
        case echo
        case command(CommandAgent.Configuration)
    }

    /// The file, absolute.
    var file: String
    /// Absolute.
    var stateDirectory: String
    var plugins: [Plugin]
    /// Each channel's section as it stands in the file; the module reads it.
    var channels: [String: JSONValue]
    var agents: [String: AgentSettings]
    var bindings: [RoutingTable.Binding]
    /// Commands of agents that run at once.
    var maximumCommands: Int

    /// Names of the environment variables the channels take secrets from (`{"env": NAME}` anywhere in their sections):
    /// the commands of agents do not get to see them.
    static func secretVariables(in value: JSONValue) -> Set<String> {
        switch value {
        case .object(let members):
            if members.count == 1, let name = members["env"]?.text { return [name] }
            return members.values.reduce(into: []) { $0.formUnion(secretVariables(in: $1)) }
        case .array(let elements):
            return elements.reduce(into: []) { $0.formUnion(secretVariables(in: $1)) }
        default: return []
        }
    }
}
