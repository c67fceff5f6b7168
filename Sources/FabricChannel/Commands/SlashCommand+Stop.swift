extension SlashCommand {
    /// The one command that does not wait for the turn before it.
    static let stop = "stop"
}
