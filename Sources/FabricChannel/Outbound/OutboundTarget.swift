/// Where a message goes: `fabric:<guild>/<channel>`, or `fabric:<channel>` when the account's guilds tell which. A channel
/// may be given as `#` and its name, a guild by its name; then `fabric:` may be left out.
struct OutboundTarget: Equatable, Sendable {
    /// The guild's id or name.
    var guild: String?
    /// The channel's id, or its name.
    var channel: String
    /// Whether it is a name.
    var isName = false

    /// A channel by its id.
    init(guild: String?, channel: String) {
        self.guild = guild
        self.channel = channel
    }

    /// Reads the grammar; nil when it is none of these. A guild's id may contain `/`, a channel's may not.
    init?(_ text: String) {
        let hasPrefix = text.hasPrefix("fabric:")
        let rest = hasPrefix ? text.dropFirst("fabric:".count) : text[...]
        let last: Substring
        if let mark = rest.range(of: "/#") {
            // What follows is the name as it is, whatever stands in it.
            guild = String(rest[..<mark.lowerBound])
            last = rest[mark.lowerBound...].dropFirst()
        } else if !rest.hasPrefix("#"), let slash = rest.lastIndex(of: "/") {
            guild = String(rest[..<slash])
            last = rest[rest.index(after: slash)...]
        } else {
            last = rest
        }
        if guild?.isEmpty ?? false { return nil }
        isName = last.hasPrefix("#")
        channel = String(isName ? last.dropFirst() : last)
        guard hasPrefix || isName, !channel.isEmpty, channel.utf8.count <= 200 else { return nil }
        if channel.unicodeScalars.contains(where: isName ? Self.isControl : Self.breaksAddress) { return nil }
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.generalCategory == .control }

    /// What would make another address of the one that a channel's id stands in.
    private static func breaksAddress(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x21 || scalar == "?" || scalar == "#" || scalar == "%"
    }
}
