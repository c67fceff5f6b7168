/// An agent that is a command: run once per turn.
package struct CommandSettings: Sendable, Equatable {
    /// The program and its arguments. A name without a slash is looked up in `PATH`.
    package var command: [String]
    /// How long one turn may take; then the command's whole process group is killed.
    package var timeout: Duration = .seconds(600)
    /// Bytes of standard output that are taken; more is a failed turn.
    package var maximumOutput: Int = 1 << 20
    /// What standard output is.
    package var output: Output = .text
    /// What is said in the conversation when turns begin to fail; `nil`: nothing.
    package var failureText: String?
    /// How far its tools reach.
    package var tools: AgentTools = .conversation
    /// Variables of the gateway's environment that the command must not see: the channel's secrets.
    package var hiddenVariables: Set<String> = []
    package init(command: [String]) { self.command = command }

    package enum Output: String, CaseIterable, Sendable {
        /// The answer's text.
        case text
        /// One object with text and files.
        case json
    }
}

/// How far the tools reach that the turns of an agent are given.
package enum AgentTools: String, CaseIterable, Sendable {
    /// What concerns no conversation, and the turn's own conversation.
    case conversation
    /// Whatever the account may do.
    case account
    /// None.
    case none
}

/// How much of what was said last comes with a turn.
package struct HistoryWanted: Equatable, Hashable, Sendable {
    package var messages: Int
    /// Of the JSON that they are in the delivery.
    package var maximumBytes: Int
    package init(messages: Int, maximumBytes: Int = 64 << 10) {
        self.messages = messages
        self.maximumBytes = maximumBytes
    }
}

/// One entry of `bindings`.
package struct AgentBinding: Equatable, Hashable, Sendable {
    package var agent: String
    package var channel: String
    /// `nil`: every account of the channel.
    package var account: String?
    /// What was said last comes with each turn; `nil`: nothing.
    package var history: HistoryWanted?
    package init(agent: String, channel: String, account: String? = nil, history: HistoryWanted? = nil) {
        self.agent = agent
        self.channel = channel
        self.account = account
        self.history = history
    }
}
