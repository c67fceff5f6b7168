import ChannelStore

/// What is told of an inbox: to the operator in the status, to whoever looks for a conversation, to the account's other parts.
extension Inbox {
    /// How it stands with a guild.
    struct GuildSigns {
        var isReady: Bool
        var phase: GuildFeed.Phase
        var channels: Int
        var openGaps: Int
        var duplicates: Int
        var skipped: Int64
        var missing: Int64
        var deafEvents: Int
        var protocolErrors: Int
    }

    /// The numbers of the guilds that the session has, in the order of their ids.
    var openGuilds: [Int] { guilds.indices.filter { guilds[$0].isOpen }.sorted { nodeID($0) < nodeID($1) } }

    func signs(of guild: Int) -> GuildSigns {
        let inbox = guilds[guild]
        return GuildSigns(
            isReady: inbox.feed.isReady, phase: inbox.feed.phase, channels: inbox.feed.channelCount,
            openGaps: inbox.feed.slots.count { $0.isPresent && $0.position.isOpen }, duplicates: inbox.duplicates,
            skipped: inbox.skipped, missing: inbox.missing, deafEvents: inbox.feed.deafEvents,
            protocolErrors: inbox.feed.protocolErrors)
    }

    /// The channels of a guild, as the last list had them.
    func channels(of guild: Int) -> [ChannelSlot] { guilds[guild].feed.slots.filter(\.isPresent) }

    /// The place of a channel; nil if the agent is not in it.
    func slot(of channel: String, in guild: Int) -> Int? { guilds[guild].feed.slot(of: channel) }

    /// Whether a turn of that conversation is under way.
    func hasTurn(in key: ChannelKey) -> Bool {
        turns.values.contains { $0.channel == key.channel && nodeID($0.guild) == key.guild }
    }

    /// The deliveries whose turns are not over.
    var openTurns: [String] { turns.keys.sorted() }

    /// Where the attachments are of turns that are not over.
    var mediaDirectories: Set<String> { Set(turns.values.compactMap(\.mediaDirectory)) }

    /// Whether a delivery waits for the operator.
    func isSetAside(_ delivery: String) -> Bool { setAside.contains { $0.id == delivery } }
}
