import Logging

/// What the log says of what was decided.
extension Account {
    func log(_ report: GuildFeed.Report, of number: Int) {
        let guild: Logger.MetadataValue = "\(inbox.nodeID(number))"
        switch report {
        case .joined(let channels):
            logger.info("joined", metadata: ["guild": guild, "channels": "\(channels)"])
        case .resynced(let added, let removed):
            logger.info("channels changed", metadata: ["guild": guild, "added": "\(added)", "removed": "\(removed)"])
        case .skipped(let channel, let count):
            logger.warning(
                "messages skipped: they are more, or older, than a catch-up reads",
                metadata: ["guild": guild, "channel": "\(channel)", "count": "\(count)"])
        case .deaf(let channel):
            logger.error(
                "the socket was deaf: it did not bring what the guild has; reconnecting with a new token",
                metadata: ["guild": guild, "channel": "\(channel)"])
        case .listFailed(let reason):
            logger.warning("channel list failed", metadata: ["guild": guild, "reason": "\(reason)"])
        case .listDoubted(let missing):
            logger.warning(
                "a channel list lacks channels that the one before had; asking again before it is believed",
                metadata: ["guild": guild, "missing": "\(missing)"])
        case .rewound(let channel, let from, let to):
            logger.error(
                "the guild's log went back (restored from a backup?); following it",
                metadata: ["guild": guild, "channel": "\(channel)", "from": "\(from)", "to": "\(to)"])
        case .historyFailing(let channel, let reason):
            logger.warning(
                "history cannot be read; trying again, live messages go on",
                metadata: ["guild": guild, "channel": "\(channel)", "reason": "\(reason)"])
        case .historyShort(let channel, let missing):
            logger.error(
                "history does not show what the guild says it has; messages may be missing",
                metadata: ["guild": guild, "channel": "\(channel)", "missing": "\(missing)"])
        case .implausible(let channel, let what):
            logger.error(
                "the guild sent what cannot be: \(what); it is not used",
                metadata: ["guild": guild, "channel": "\(channel)"])
        case .tooManyChannels:
            logger.error(
                "the guild announces more channels than it lists; the rest is ignored until a list has them",
                metadata: ["guild": guild])
        }
    }

    func log(_ notice: Inbox.Notice) {
        switch notice {
        case .turnExpired(let delivery):
            logger.warning(
                "the turn's deadline passed; its conversation goes on without it",
                metadata: ["delivery": "\(delivery)", "seconds": "\(settings.turnTimeout.components.seconds)"])
        case .setAside(let delivery, let reason):
            logger.error(
                "a delivery was set aside; see deadletters list",
                metadata: ["delivery": "\(delivery)", "reason": "\(reason)"])
        case .mayBeAwaited(let delivery):
            logger.notice(
                "nobody wrote behind a message that came while the socket was away; it may be the agent's turn: it is woken",
                metadata: ["delivery": "\(delivery)"])
        case .agentsHeld(let guild, let channel, let author):
            logger.warning(
                "agents answer each other: this one's messages do not wake the agent for now; a person's message ends that",
                metadata: ["guild": "\(guild)", "channel": "\(channel)", "author": "\(author)"])
        }
    }
}
