/// Which agent answers for which account.
struct RoutingTable: Sendable {
    /// One entry of `bindings`.
    struct Binding: Equatable, Hashable, Sendable {
        var agent: String
        var channel: String
        /// `nil`: every account of the channel.
        var account: String?
        init(agent: String, channel: String, account: String? = nil) {
            self.agent = agent
            self.channel = channel
            self.account = account
        }
    }

    private var agents: [String: any Agent]
    private var bindings: [Binding]

    init(agents: [String: any Agent] = [:], bindings: [Binding] = []) {
        self.agents = agents
        self.bindings = bindings
    }

    /// The agent of an account: by a binding of this account, else by one of its channel, else the one of the same name.
    func agent(channel: String, account: String) -> (name: String, agent: any Agent)? {
        let bound =
            bindings.first { $0.channel == channel && $0.account == account }
            ?? bindings.first { $0.channel == channel && $0.account == nil }
        let name = bound?.agent ?? account
        return agents[name].map { (name, $0) }
    }
}
