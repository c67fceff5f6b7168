extension World {
    struct NewMessage: Sendable {
        var guild: String
        var channel: String
        var author: String
        var content: String
        var attachments: [SimulatedAttachment] = []
        var replyTo: String?
        var idempotencyKey: String?
        /// On the system path: membership is not checked, and this user (if any) alone wakes.
        var system: DeliveryTable.System?
    }

    enum PostResult: Sendable {
        case stored(SimulatedMessage)
        /// `/no-reply` or `/force-proceed`: taken by the turn engine, never stored as such.
        case intercepted(id: String)
    }

    /// Stores a message and runs the delivery table. `listening` are users with a socket in the room, who may be others
    /// than the members when the channel is public.
    mutating func post(
        _ new: NewMessage, listening: Set<String>, now: Double
    ) throws(Refusal) -> (PostResult, [Emission]) {
        // Not the channel: while it is held, storing a message copies all there are.
        let info = try self.channel(new.channel, in: new.guild).info
        guard !info.closed else { throw .channelClosed }
        guard new.system != nil || mayRead(info, user: new.author) else { throw notParticipant }
        let text = Mentions.rewritingNames(in: new.content) { user(named: $0, in: new.guild) }
        if new.system == nil {
            switch text {
            case "/no-reply":
                guard channels[new.channel]?.turns.noReply(from: new.author, using: &random) == true else {
                    return (.intercepted(id: World.newID()), [])
                }
                return (.intercepted(id: World.newID()), acknowledge(turnIn: new, listening: listening, now: now))
            case "/force-proceed":
                channels[new.channel]?.turns.forceProceed(using: &random)
                return (.intercepted(id: World.newID()), acknowledge(turnIn: new, listening: listening, now: now))
            default: break
            }
        }
        let mentions = Mentions.users(in: text)
        if new.system == nil, info.type == .discuss || info.type == .work {
            channels[new.channel]?.turns.message(from: new.author, mentions: mentions, using: &random)
        }
        let table = table(for: new, mentions: mentions)
        let (message, emission) = store(new, text: text, mentions: mentions, table, listening: listening, now: now)
        return (.stored(message), [emission])
    }

    func history(
        of channel: Channel, from: Int64?, to: Int64?, limit: Int
    ) -> [SimulatedMessage] {
        let limit = max(0, min(limit, switches.historyMaximum))
        let kept = channel.messages.filter { switches.deletedRows == .blank || $0.deletedAt == nil }
        let rows = kept.filter { $0.seq >= (from ?? .min) && $0.seq <= (to ?? .max) }
        // With only an upper bound, or none, the newest are wanted; from a lower bound on, the oldest.
        let page = from == nil ? rows.suffix(limit) : rows.prefix(limit)
        return switches.historyDescending ? page.reversed() : Array(page)
    }

    private func table(for new: NewMessage, mentions: [String]) -> DeliveryTable {
        let channel = channels[new.channel]
        let type = channel?.info.type ?? .general
        return DeliveryTable(
            type: type, author: new.author, system: new.system, mentions: Set(mentions),
            listeners: channel?.wakeMapping ?? [], onDuty: channel?.wakeMapping ?? [], admin: admin,
            busy: Set((guilds[new.guild]?.presence ?? [:]).filter { $0.value == "busy" }.keys),
            speaker: channel?.turns.speaker, echoesToAuthor: switches.authorEcho)
    }

    /// The guild's own `/ack` message after an intercepted command: stored, and it wakes the new speaker. That
    /// the guild writes such messages is known; that they wake is our reading.
    private mutating func acknowledge(turnIn new: NewMessage, listening: Set<String>, now: Double) -> [Emission] {
        guard let speaker = channels[new.channel]?.turns.speaker else { return [] }
        var ack = new
        ack.author = World.systemAuthor
        ack.attachments = []
        ack.replyTo = nil
        ack.idempotencyKey = nil
        ack.system = DeliveryTable.System(wakes: speaker)
        let table = table(for: ack, mentions: [])
        return [store(ack, text: "/ack", mentions: [], table, listening: listening, now: now).1]
    }

    private mutating func store(
        _ new: NewMessage, text: String, mentions: [String], _ table: DeliveryTable, listening: Set<String>, now: Double
    ) -> (SimulatedMessage, Emission) {
        let info = channels[new.channel]?.info
        let others = listening.union(info?.members ?? [])
        let message = SimulatedMessage(
            id: World.newID(), guild: new.guild, channel: new.channel, seq: (info?.lastSeq ?? 0) + 1,
            author: new.author, content: text, mentions: mentions, attachments: new.attachments, replyTo: new.replyTo,
            createdAt: JSONText.time(now), idempotencyKey: new.idempotencyKey,
            wakes: others.filter { table.outcome(for: $0) == .wake }.sorted())
        channels[new.channel]?.messages.append(message)
        channels[new.channel]?.info.lastSeq = message.seq
        return (message, .message(message, table, type: table.type))
    }

    // MARK: Changing

    /// Changes the author's own message, within the window.
    mutating func edit(
        _ message: String, in id: String, by user: String, content: String, now: Double
    ) throws(Refusal) -> (SimulatedMessage, Emission) {
        let index = try own(message, in: id, by: user)
        let created = channels[id].flatMap { JSONText.seconds($0.messages[index].createdAt) } ?? now
        guard now - created <= switches.editWindow else { throw Refusal(403, "the edit window has passed") }
        channels[id]?.messages[index].content = content
        channels[id]?.messages[index].editedAt = JSONText.time(now)
        return try changed("message.updated", index, in: id)
    }

    /// Deletes the author's own message, softly.
    mutating func delete(
        _ message: String, in id: String, by user: String, now: Double
    ) throws(Refusal) -> (SimulatedMessage, Emission) {
        let index = try own(message, in: id, by: user)
        channels[id]?.messages[index].content = ""
        channels[id]?.messages[index].deletedAt = JSONText.time(now)
        return try changed("message.deleted", index, in: id)
    }

    private func own(_ message: String, in id: String, by user: String) throws(Refusal) -> Int {
        guard let channel = channels[id],
            let index = channel.messages.firstIndex(where: { $0.id == message && $0.deletedAt == nil })
        else { throw Refusal(404, "message not found") }
        guard !channel.info.closed else { throw .channelClosed }
        guard channel.messages[index].author == user else { throw Refusal(403, "only the author may do this") }
        return index
    }

    private func changed(
        _ event: String, _ index: Int, in id: String
    ) throws(Refusal) -> (SimulatedMessage, Emission) {
        guard let channel = channels[id] else { throw .noChannel }
        let message = channel.messages[index]
        let body: [String: any Sendable]
        switch switches.changeEvents {
        case .flat: body = wire(message)
        case .wrapped: body = ["channelId": id, "message": wire(message)]
        case .ids: body = ["channelId": id, "messageId": message.id]
        }
        return (
            message,
            .room(event: event, channel: id, guild: channel.info.guild, body: JSONText.bytes(body))
        )
    }
}
