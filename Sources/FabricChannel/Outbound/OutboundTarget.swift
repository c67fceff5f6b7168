/// Where a message goes: `fabric:<guild>/<channel>`, or `fabric:<channel>` when the account's guilds tell which.
struct OutboundTarget: Equatable, Sendable {
    var guild: String?
    var channel: String

    init(guild: String?, channel: String) {
        self.guild = guild
        self.channel = channel
    }

    /// Reads the grammar; nil when it is neither form. A guild's id may contain `/`, a channel's may not.
    init?(_ text: String) {
        guard text.hasPrefix("fabric:") else { return nil }
        let rest = text.dropFirst("fabric:".count)
        if let slash = rest.lastIndex(of: "/") {
            guild = String(rest[..<slash])
            channel = String(rest[rest.index(after: slash)...])
            if guild?.isEmpty ?? true { return nil }
        } else {
            guild = nil
            channel = String(rest)
        }
        if channel.isEmpty || channel.utf8.count > 200 { return nil }
        if channel.unicodeScalars.contains(where: { $0.value < 0x21 || $0 == "?" || $0 == "#" || $0 == "%" }) {
            return nil
        }
    }
}
