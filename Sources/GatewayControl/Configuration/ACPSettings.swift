/// An agent whose process stays, spoken to by the Agent Client Protocol.
package struct ACPSettings: Sendable, Equatable {
    /// The program and its arguments. A name without a slash is looked up in `PATH`.
    package var command: [String]
    /// How long one turn may take, from when it came; then it is cancelled.
    package var timeout: Duration = .seconds(600)
    /// How long the agent may take to come up, and to open a session.
    package var start: Duration = .seconds(60)
    /// Conversations it keeps at once; the one that was silent for longest makes room.
    package var maximumSessions = 16
    /// Bytes of an answer.
    package var maximumOutput = 1 << 20
    /// What it is told when it asks whether it may do something.
    package var permissions: Permission = .reject
    /// Kinds of doings that are allowed all the same.
    package var allowedKinds: Set<String> = []
    /// The sessions' working directory, absolute.
    package var directory: String
    /// The directory whose files it may send by a tool; `nil` where none was named, or the configuration lies in it.
    package var filesDirectory: String?
    /// How it is to authenticate, as one of its own methods is called.
    package var authMethod: String?
    /// What is said in the conversation when turns begin to fail; `nil`: nothing.
    package var failureText: String?
    /// How far its tools reach.
    package var tools: AgentTools = .conversation
    /// Variables of the gateway's environment that it must not see: the channel's secrets.
    package var hiddenVariables: Set<String> = []

    package init(command: [String], directory: String) {
        self.command = command
        self.directory = directory
    }

    package enum Permission: String, CaseIterable, Sendable { case allow, reject }

    /// Kinds that the protocol knows.
    package enum Kind: String, CaseIterable, Sendable {
        case read, edit, delete, move, search, execute, think, fetch, other
    }
}
