/// Tokens must not get into a log by way of `print` or string interpolation, so these say who and how many only.
extension FabricSession: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        "session of \(user.id) (\(guilds.count) guilds, \(guildAccessTokens.count) tokens)"
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["user": user, "guilds": guilds]) }
}
