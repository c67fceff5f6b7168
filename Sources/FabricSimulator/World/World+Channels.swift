extension World {
    struct NewChannel: Sendable {
        var guild: String
        var name: String
        var type: ChannelType
        var creator: String?
        var members: [String] = []
        var isPublic = false
        var bypass: [String] = []
        var onDuty: [String] = []
        var listeners: [String] = []
        var purpose: String?
    }

    mutating func addChannel(_ new: NewChannel, now: Double) throws(Refusal) -> (SimulatedChannel, [Emission]) {
        guard guilds[new.guild] != nil else { throw Refusal(404, "guild \(new.guild) not found") }
        var members: [String] = []
        var seen: Set<String> = []
        for user in [new.creator].compactMap({ $0 }) + new.members + new.onDuty where seen.insert(user).inserted {
            guard users[user] != nil else { throw Refusal(400, "unknown user \(user)") }
            members.append(user)
        }
        let info = SimulatedChannel(
            id: World.newID(), guild: new.guild, name: new.name, type: new.type,
            isPublic: new.type == .dm ? false : new.isPublic, closed: false, purpose: new.purpose, members: members,
            lastSeq: switches.firstSeq - 1, createdAt: JSONText.time(now))
        channels[info.id] = Channel(
            info: info, number: channels.count, firstSeq: switches.firstSeq,
            wakeMapping: Set(new.type == .triage ? new.onDuty : new.listeners),
            turns: TurnEngine(members: members, bypass: new.bypass))
        guilds[new.guild]?.channels.append(info.id)
        if info.isPublic { guilds[new.guild]?.publicChannels.append(info.id) }
        for user in members { memberships[user, default: []].insert(info.id) }
        return (info, members.map { .joined(user: $0, channel: info) })
    }

    /// The channel, if it is of this guild.
    func channel(_ id: String, in guild: String) throws(Refusal) -> Channel {
        guard let channel = channels[id], channel.info.guild == guild else { throw .noChannel }
        return channel
    }

    func visibleChannels(guild: String, user: String) -> [SimulatedChannel] {
        // Not by asking every channel: with a thousand members, each of whom lists them, that is most of what a guild does.
        var rows: [(number: Int, info: SimulatedChannel)] = []
        for id in (memberships[user] ?? []).union(guilds[guild]?.publicChannels ?? []) {
            if let channel = channels[id], channel.info.guild == guild { rows.append((channel.number, channel.info)) }
        }
        return rows.sorted { $0.number < $1.number }.map(\.info)
    }

    func isMember(_ channel: SimulatedChannel, user: String) -> Bool {
        memberships[user]?.contains(channel.id) == true
    }

    /// Whether the user may hear and read the channel.
    func mayRead(_ channel: SimulatedChannel, user: String) -> Bool {
        channel.isPublic || isMember(channel, user: user)
    }

    mutating func join(_ id: String, user: String) -> [Emission] {
        guard var channel = channels[id], !isMember(channel.info, user: user) else { return [] }
        channel.info.members.append(user)
        memberships[user, default: []].insert(id)
        channel.turns.add(user)
        channels[id] = channel
        return [.joined(user: user, channel: channel.info)]
    }

    mutating func leave(_ id: String, user: String) -> [Emission] {
        guard var channel = channels[id], isMember(channel.info, user: user) else { return [] }
        channel.info.members.removeAll { $0 == user }
        memberships[user]?.remove(id)
        channel.wakeMapping.remove(user)
        channel.turns.remove(user)
        channels[id] = channel
        return [.left(user: user, channel: channel.info)]
    }
}
