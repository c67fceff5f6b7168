import JSONBytes

/// What differs between two configurations, apart from the channels' sections, which are the modules' to compare.
package struct ConfigurationChange: Equatable, Sendable {
    package struct Names: Equatable, Sendable {
        package var added: [String] = []
        package var changed: [String] = []
        package var removed: [String] = []

        package var json: JSONValue {
            func list(_ names: [String]) -> JSONValue { .array(names.map { .string($0) }) }
            return ["added": list(added), "changed": list(changed), "removed": list(removed)]
        }
    }

    package var agents = Names()
    /// Each as `channel/account → agent`; a binding of other things for the same account is a changed one.
    package var bindings = Names()
    package var plugins = Names()
    /// The new bound on commands, if it is another.
    package var maximumCommands: Int?

    package init(from old: GatewayConfiguration, to new: GatewayConfiguration) {
        agents = Self.compare(old.agents, new.agents) { name, _ in name }
        bindings = Self.compare(Self.byMatch(old.bindings), Self.byMatch(new.bindings)) { "\($0) → \($1.agent)" }
        let plugins = { (configuration: GatewayConfiguration) in
            Dictionary(
                configuration.plugins.filter(\.enabled).map { ($0.id, $0.manifest) }, uniquingKeysWith: { a, _ in a })
        }
        self.plugins = Self.compare(plugins(old), plugins(new)) { name, _ in name }
        if old.maximumCommands != new.maximumCommands { maximumCommands = new.maximumCommands }
    }

    private static func byMatch(_ bindings: [AgentBinding]) -> [String: AgentBinding] {
        Dictionary(bindings.map { ("\($0.channel)/\($0.account ?? "*")", $0) }, uniquingKeysWith: { first, _ in first })
    }

    private static func compare<Value: Equatable>(
        _ old: [String: Value], _ new: [String: Value], _ text: (String, Value) -> String
    ) -> Names {
        var names = Names()
        for (name, value) in new.sorted(by: { $0.key < $1.key }) {
            switch old[name] {
            case nil: names.added.append(text(name, value))
            case let before? where before != value: names.changed.append(text(name, value))
            default: break
            }
        }
        names.removed = old.filter { new[$0.key] == nil }.sorted { $0.key < $1.key }.map { text($0.key, $0.value) }
        return names
    }
}
