import ChannelStore
import JSONBytes

/// The conversations an account knows, and which of them a message is for.
extension Account {
    /// What `channels.list` shows: the channels of the guilds at hand, as the last lists had them.
    var channelRows: [JSONValue] {
        var rows: [JSONValue] = []
        for number in inbox.openGuilds {
            let guild = inbox.nodeID(number)
            let name = life.guildInfos[guild]?.name ?? ""
            for channel in inbox.channels(of: number).sorted(by: { ($0.name ?? "", $0.id) < ($1.name ?? "", $1.id) }) {
                rows.append([
                    "accountId": .string(id), "guild": .string(guild), "guildName": .string(name),
                    "channel": .string(channel.id), "name": .string(channel.name ?? ""),
                    "xType": .string(channel.type.rawValue), "closed": .bool(channel.closed),
                    "to": .string("fabric:\(guild)/\(channel.id)"),
                ])
            }
        }
        return rows
    }

    /// The conversation that a message is for; nil when only the guilds can tell whose channel it is.
    /// - Throws: what the caller can mend: a name that nobody has, or that several have.
    func conversation(for target: OutboundTarget) throws(RequestProblem) -> ChannelKey? {
        let guild = try target.guild.map { (name) throws(RequestProblem) in try guildID(name) }
        if target.isName { return try channel(named: target.channel, in: guild) }
        guard let guild = guild ?? inbox.guild(listing: target.channel) else { return nil }
        return ChannelKey(guild: guild, channel: target.channel)
    }

    /// A guild by its id or its name.
    private func guildID(_ text: String) throws(RequestProblem) -> String {
        // Without a session nothing is known of guilds; the outbox waits for it.
        if inbox.number(of: text) != nil || !life.hasSession || life.blocked != nil { return text }
        let infos = life.guildInfos.values.sorted { $0.nodeId < $1.nodeId }
        let named = infos.filter { $0.name?.lowercased() == text.lowercased() }
        if let only = named.first, named.count == 1 { return only.nodeId }
        let known = (named.isEmpty ? infos : named).map { info in
            info.name.map { "\(info.nodeId) (\($0))" } ?? info.nodeId
        }
        throw RequestProblem(
            .invalid,
            named.isEmpty
                ? "the account is not a member of a guild \(text)" : "\(named.count) guilds are called \(text)",
            at: "account \(id), send request",
            remedy: "\(named.isEmpty ? "its guilds" : "give the id"): \(known.joined(separator: ", "))")
    }

    /// A channel by its name; capitals count only where they tell two apart.
    private func channel(named name: String, in guild: String?) throws(RequestProblem) -> ChannelKey {
        let guilds = inbox.openGuilds.filter { guild == nil || inbox.nodeID($0) == guild }
        let all = guilds.flatMap { guild in inbox.channels(of: guild).map { (inbox.nodeID(guild), $0) } }
        var found = all.filter { $0.1.name?.lowercased() == name.lowercased() }
        if found.count > 1, found.contains(where: { $0.1.name == name }) { found.removeAll { $0.1.name != name } }
        if let only = found.first, found.count == 1 { return ChannelKey(guild: only.0, channel: only.1.id) }
        let place = "account \(id), send request"
        if found.isEmpty,
            !life.hasSession || life.blocked != nil || guilds.contains(where: { !inbox.signs(of: $0).isReady })
        {
            throw RequestProblem(
                .unavailable, "no channel is called #\(name), as far as is known: not all guilds are connected",
                at: place, remedy: "see `gateway status`, or give the channel's id", retryable: true)
        }
        if found.isEmpty {
            throw RequestProblem(
                .invalid, "the account is in no channel called #\(name)", at: place,
                remedy: "`gateway channels --account \(id)` lists them")
        }
        throw RequestProblem(
            .invalid, "\(found.count) channels are called #\(name)", at: place,
            remedy: "give one of: " + found.map { "fabric:\($0.0)/\($0.1.id)" }.sorted().joined(separator: ", "))
    }
}
