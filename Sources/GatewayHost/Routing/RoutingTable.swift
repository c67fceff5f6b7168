import GatewayControl

/// Which agent answers for which account.
struct RoutingTable: Sendable {
    private var agents: [String: any Agent]
    private var bindings: [AgentBinding]

    init(agents: [String: any Agent] = [:], bindings: [AgentBinding] = []) {
        self.agents = agents
        self.bindings = bindings
    }

    func has(agent: String) -> Bool { agents[agent] != nil }

    /// The agent of an account: by a binding of this account, else by one of its channel, else the one of the same name.
    func agent(channel: String, account: String) -> (name: String, agent: any Agent)? {
        let name = binding(channel: channel, account: account)?.agent ?? account
        return agents[name].map { (name, $0) }
    }

    /// How much of what was said last the turns of an account are to bring.
    func history(channel: String, account: String) -> HistoryWanted? {
        binding(channel: channel, account: account)?.history
    }

    private func binding(channel: String, account: String) -> AgentBinding? {
        bindings.first { $0.channel == channel && $0.account == account }
            ?? bindings.first { $0.channel == channel && $0.account == nil }
    }
}
