import ChannelStore
import FabricAPI
import JSONBytes

/// Channels that take turns. Only the socket says whose turn a message makes it. One that was read from history may have made it
/// this agent's, and then everybody waits for it. It stays in its lane, and wakes the agent if nobody writes behind it for a
/// while: had it been another's turn, that one would have written. An agent that is woken for nothing may say so at no cost: the
/// guild takes the word of the one whose turn it is.
///
/// It is kept like everything that waits in a lane, so it survives a restart, and waits anew.
extension Inbox {
    /// Whether a message that may have made it the agent's turn is waited on.
    var waitsForTurns: Bool { settings.infersWake && settings.turnPatience > .zero }

    /// The last message of the slot's lane stays for now.
    mutating func wait(_ guild: Int, _ slot: Int, now: Moment) {
        // The agents of a gateway that was away have all missed it: each has its own time.
        let name = "\(account)/\(guilds[guild].feed.slots[slot].id)"
        let share = Double(Array(name.utf8).withUnsafeBytes { byteHash($0) } >> 11) / 0x1p53
        guilds[guild].feed.possibleTurns[slot] = now.instant.advanced(by: settings.turnPatience * (1 + share))
    }

    /// The list says what sort of channel it is: what the run before kept back, or what had waited, stays or goes.
    mutating func waitAgain(_ guild: Int, _ slot: Int, now: Moment) {
        guard guilds[guild].feed.slots[slot].lane.keepsLast, guilds[guild].feed.possibleTurns[slot] == nil else {
            return
        }
        if WakeRule.takesTurns(guilds[guild].feed.slots[slot].type) {
            wait(guild, slot, now: now)
        } else {
            guilds[guild].feed.slots[slot].lane.letGo()
        }
    }

    /// What stayed in the lane goes to the gateway for the record: something newer is in the log.
    mutating func letGo(_ guild: Int, _ slot: Int, now: Moment, _ actions: inout [Action]) {
        guard guilds[guild].feed.slots[slot].lane.keepsLast else { return }
        guilds[guild].feed.possibleTurns[slot] = nil
        guilds[guild].feed.slots[slot].lane.letGo()
        pump(guild, slot, now: now, &actions)
    }

    /// Others had their time.
    mutating func endWaits(_ guild: Int, now: Moment, _ actions: inout [Action]) {
        guard !guilds[guild].feed.possibleTurns.isEmpty else { return }
        let over = guilds[guild].feed.possibleTurns.filter { $0.value <= now.instant }.keys.sorted()
        for slot in over { endWait(guild, slot, now: now, &actions) }
    }

    private mutating func endWait(_ guild: Int, _ slot: Int, now: Moment, _ actions: inout [Action]) {
        guilds[guild].feed.possibleTurns[slot] = nil
        let lane = guilds[guild].feed.slots[slot].lane
        guard lane.keepsLast, let message = lane.waiting.last else { return }
        guard waitsForTurns, isLast(message, guild, slot), !isTooOld(message, guild, now: now),
            !guilds[guild].feed.slots[slot].closed
        else { return letGo(guild, slot, now: now, &actions) }
        guard lane.isReadyForLast, mayJudge(guild, slot) else { return wait(guild, slot, now: now) }
        guard mayWake(by: message, guild, slot, now: now, &actions) else {
            return letGo(guild, slot, now: now, &actions)
        }
        guilds[guild].feed.slots[slot].lane.wakeOnLast()
        trace(.wakes, message.sequence, guild, slot, &actions)
        actions.append(.notice(.mayBeAwaited(delivery: message.id)))
        pump(guild, slot, now: now, &actions)
    }

    /// Nothing that was seen is behind it: what the position passed may be a message that was deleted.
    private func isLast(_ message: PendingMessage, _ guild: Int, _ slot: Int) -> Bool {
        let position = guilds[guild].feed.slots[slot].position
        return message.sequence == position.intake || !position.isSeen
    }

    private func isTooOld(_ message: PendingMessage, _ guild: Int, now: Moment) -> Bool {
        let created = message.withView { $0.createdAt.flatMap { FabricTime.seconds($0) } } ?? nil
        return created.map { $0 < guilds[guild].feed.guildTime(now.wall) - settings.catchUpHours * 3600 } ?? false
    }

    /// Everything that is in the log is here, and none of our agents is at work in the channel.
    private func mayJudge(_ guild: Int, _ slot: Int) -> Bool {
        let channel = guilds[guild].feed.slots[slot]
        guard let intake = channel.position.intake, guilds[guild].feed.isReady, isStoreGood, !isDraining,
            channel.isListed, channel.joined, !channel.overflown, channel.reuse == nil
        else { return false }
        return channel.position.reading == nil && channel.position.brought <= intake
            && channel.head ?? .min <= intake && !agents.turns.hasAny(in: key(guild, slot))
    }

    private mutating func mayWake(
        by message: PendingMessage, _ guild: Int, _ slot: Int, now: Moment, _ actions: inout [Action]
    ) -> Bool {
        message.message.withUnsafeBytes { text in
            guard let view = FabricMessageView(JSONView(validated: text, start: 0, end: text.count)),
                agents.contains(view.author?.stringBytes)
            else { return true }
            return mayWake(view, guild, slot, now: now, &actions)
        }
    }
}
