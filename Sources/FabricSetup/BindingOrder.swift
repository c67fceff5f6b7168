import JSONBytes

extension Binder {
    /// What `bind` is asked to do; what is nil is asked for on a terminal, or found elsewhere.
    public struct Order: Sendable {
        public var agentId: String?
        /// Center's address, if the configuration does not have it yet.
        public var center: String?
        /// PEM file of the authorities to trust instead of the system's.
        public var authorities: String?
        /// The agent that answers for the account, if there is none yet.
        public var agent: Agent?
        /// Whether a running gateway is told.
        public var reloads = true

        public init(
            agentId: String? = nil, center: String? = nil, authorities: String? = nil, agent: Agent? = nil,
            reloads: Bool = true
        ) {
            self.agentId = agentId
            self.center = center
            self.authorities = authorities
            self.agent = agent
            self.reloads = reloads
        }
    }

    /// Who answers.
    public enum Agent: Sendable, Equatable {
        /// The built-in one that repeats what it hears.
        case echo
        /// A program and its arguments.
        case command([String])

        var entry: JSONValue {
            switch self {
            case .echo: ["builtin": "echo"]
            case .command(let words): ["command": .array(words.map { .string($0) })]
            }
        }
    }
}
