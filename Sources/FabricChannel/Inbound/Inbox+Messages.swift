import ChannelStore
import FabricAPI
import JSONBytes

/// What arrives live. The way of a message that needs nothing special (next in order, lane free, for the record) is one
/// decision, without an allocation or a copy.
extension Inbox {
    /// The live message in hand goes to the gateway, for the record.
    struct Record {
        var slot: Int
        var isFromAgent: Bool
        /// It does not wait for the turn of its conversation: it is what ends that.
        var passesTurn = false
    }

    /// As `handle` with `.message`, for the way of every message: what most of them lead to is returned, the rest is in
    /// `actions`.
    @inline(__always)
    mutating func live(
        _ view: FabricMessageView, _ json: JSONView, _ guild: Int, now: @autoclosure () -> Moment,
        _ actions: inout [Action]
    ) -> Record? {
        // A socket that is being closed may still bring what the next run will read.
        guard !isStopped, guilds[guild].isOpen else { return nil }
        guard let channel = view.channelId?.stringBytes else {
            implausible(guild, channel: "", what: "a message without a channel", &actions)
            return nil
        }
        guard let slot = guilds[guild].lastSlot(of: channel) ?? guilds[guild].findSlot(of: channel) else {
            unknownChannel(view, guild, now: now(), &actions)
            return nil
        }
        guard let sequence = view.seq else {
            unsequenced(view, json, guild, slot, now: now(), &actions)
            return nil
        }
        guard ChannelPosition.valid.contains(sequence) else {
            implausible(guild, channel: guilds[guild].feed.slots[slot].id, what: "the seq of a message", &actions)
            return nil
        }
        switch guilds[guild].feed.slots[slot].takeLive(sequence, view, isStoreGood: isStoreGood) {
        case .taken(let wasDirty, let mayBeNews):
            if !wasDirty { guilds[guild].feed.dirty.append(slot) }
            if !isFlushDue { flushSoon(&actions) }
            if mayBeNews { guilds[guild].feed.foundNews(slot, at: sequence) }
        case .full:
            postpone(view, sequence, guild, slot, &actions)
            return nil
        case .not(let verdict):
            notNext(verdict, sequence, view, json, guild, slot, now: now(), &actions)
            return nil
        }
        if isOwn(view) {
            trace(.own, sequence, guild, slot, &actions)
            return nil
        }
        if guilds[guild].hasUnsequenced, !isFirstSight(view, guild) { return nil }
        let type = typeOf(view, guild, slot)
        let isAgent = agents.contains(view.author?.stringBytes)
        if !isAgent, guilds[guild].feed.slots[slot].chatter.isCounting { personSpoke(view, guild, slot) }
        let disposition = WakeRule.live(type, wakeup: view.wakeup ?? false)
        if disposition == .ignore {
            trace(.ignored, sequence, guild, slot, &actions)
            return nil
        }
        if disposition == .record, guilds[guild].feed.slots[slot].lane.isFree, guilds[guild].feed.slots[slot].isListed,
            !isDraining
        {
            trace(.record, sequence, guild, slot, &actions)
            return Record(slot: slot, isFromAgent: isAgent)
        }
        if knowsStop, disposition == .wake, guilds[guild].feed.slots[slot].lane.turn != nil, isStop(view) {
            trace(.stop, sequence, guild, slot, &actions)
            return Record(slot: slot, isFromAgent: isAgent, passesTurn: true)
        }
        enqueue(
            view, json, guild, slot, wake: disposition == .wake, caughtUp: false, isFromAgent: isAgent, now: now(),
            &actions)
        return nil
    }

    @inline(__always)
    func isOwn(_ view: FabricMessageView) -> Bool {
        guard let author = view.author?.stringBytes, !userBytes.isEmpty else { return false }
        return userBytes.withUnsafeBytes { same($0, author) }
    }

    /// An event knows its channel's type; a channel first heard of by an event learns it from there.
    @inline(__always)
    mutating func typeOf(_ view: FabricMessageView, _ guild: Int, _ slot: Int) -> FabricChannelType {
        guard let type = view.xType, type != .unknown else { return guilds[guild].feed.slots[slot].type }
        if guilds[guild].feed.slots[slot].type == .unknown {
            guilds[guild].feed.slots[slot].type = type
            guilds[guild].namesChanged()
        }
        return type
    }

    @inline(__always)
    mutating func markDirty(_ guild: Int, _ slot: Int, _ actions: inout [Action]) {
        guilds[guild].feed.markDirty(slot)
        if !isFlushDue { flushSoon(&actions) }
    }

    mutating func isFirstSight(_ view: FabricMessageView, _ guild: Int) -> Bool {
        guilds[guild].recentIDs.insert(view.idText, in: view.channelId?.string ?? "")
    }

    @inline(__always)
    func trace(_ why: Why, _ sequence: Int64?, _ guild: Int, _ slot: Int, _ actions: inout [Action]) {
        if traces { actions.append(.trace(guild, slot: slot, sequence: sequence, why)) }
    }

    // MARK: The unusual

    @inline(never)
    private func isStop(_ view: FabricMessageView) -> Bool {
        // A long text is none, and is not read for it.
        guard let content = view.content, content.rawBytes.count < 400, let text = content.string else { return false }
        return SlashCommand(text, known: [SlashCommand.stop]) != nil
    }

    @inline(never)
    private mutating func notNext(
        _ verdict: ChannelPosition.Verdict, _ sequence: Int64, _ view: FabricMessageView, _ json: JSONView,
        _ guild: Int, _ slot: Int, now: Moment, _ actions: inout [Action]
    ) {
        switch verdict {
        case .accept: break
        case .duplicate:
            guilds[guild].duplicates &+= 1
            trace(isOwn(view) ? .own : .duplicate, sequence, guild, slot, &actions)
            positionUsedAgain(view, sequence, guild, slot, now: now, &actions)
        case .later:
            postpone(view, sequence, guild, slot, &actions)
        case .hold(let range):
            let wake = view.wakeup ?? false
            // History does not say it, and may come before the list does.
            _ = typeOf(view, guild, slot)
            trace(.waitsForGap, sequence, guild, slot, &actions)
            guilds[guild].feed.slots[slot].position.hold(
                sequence, message: Array(json.rawBytes), wake: wake, mark: byteHash(view.id.rawBytes))
            if wake { pending.append(.wakeup(key(guild, slot), sequence: sequence)) }
            markDirty(guild, slot, &actions)
            if let range {
                feed(guild, &actions) { $0.reading(range, slot: slot) }
            }
        }
    }

    /// A message that is newer than every other of its channel, at a position that was used before: the guild's log was
    /// cut off and goes on from there. A list is asked for at once; until it is here everything stays in the guild. Our own
    /// message says nothing: the answer to its post has passed its position before it came.
    private mutating func positionUsedAgain(
        _ view: FabricMessageView, _ sequence: Int64, _ guild: Int, _ slot: Int, now: Moment,
        _ actions: inout [Action]
    ) {
        guard !isOwn(view),
            let intake = guilds[guild].feed.slots[slot].position.intake, sequence <= intake,
            guilds[guild].feed.slots[slot].position.isSeen,
            let newest = guilds[guild].feed.slots[slot].newestKnown,
            let created = view.createdAt.flatMap({ FabricTime.seconds($0) }), created > newest
        else { return }
        let isNews = guilds[guild].feed.slots[slot].reuse == nil
        var reuse = guilds[guild].feed.slots[slot].reuse ?? ReusedPosition(position: sequence)
        reuse.position = min(reuse.position, sequence)
        if view.wakeup ?? false, reuse.wakeups.count < 256 { reuse.wakeups[sequence] = byteHash(view.id.rawBytes) }
        guilds[guild].feed.slots[slot].reuse = reuse
        guard isNews else { return }
        feed(guild, &actions) { $0.pauseReading(slot) + $0.wantList(now: now.instant) }
    }

    /// Leaves a message in the guild until there is room for it, or until it can be kept.
    @inline(never)
    private mutating func postpone(
        _ view: FabricMessageView, _ sequence: Int64, _ guild: Int, _ slot: Int, _ actions: inout [Action]
    ) {
        let wake = view.wakeup ?? false
        _ = typeOf(view, guild, slot)
        trace(.postponed, sequence, guild, slot, &actions)
        guilds[guild].feed.slots[slot].overflown = true
        let isNews = sequence > guilds[guild].feed.slots[slot].position.intake ?? .min
        guilds[guild].feed.slots[slot].position.postpone(sequence, wake: wake, mark: byteHash(view.id.rawBytes))
        guard wake, isNews, guilds[guild].feed.slots[slot].position.wakeups.contains(sequence) else { return }
        pending.append(.wakeup(key(guild, slot), sequence: sequence))
        flushSoon(&actions)
    }

    /// A message from a channel we never joined, or whose joined event was lost: the channel appears with it.
    @inline(never)
    private mutating func unknownChannel(
        _ view: FabricMessageView, _ guild: Int, now: Moment, _ actions: inout [Action]
    ) {
        guard let channel = view.channelId?.string else { return }
        let created = view.createdAt.flatMap { FabricTime.seconds($0) }
        guilds[guild].namesChanged()
        feed(guild, &actions) {
            $0.channelJoined(channel, type: view.xType ?? .unknown, occurredAt: created, wall: now.wall)
        }
        // Its first message is behind a gap now; the read brings both, and the flag is kept for it.
        guard let slot = guilds[guild].feed.slot(of: channel) else { return }
        guilds[guild].feed.slots[slot].broughtSinceList = true
        if let sequence = view.seq, ChannelPosition.valid.contains(sequence) {
            postpone(view, sequence, guild, slot, &actions)
            guilds[guild].feed.slots[slot].overflown = false
        }
    }

    /// Messages without a position are told apart by id.
    @inline(never)
    private mutating func unsequenced(
        _ view: FabricMessageView, _ json: JSONView, _ guild: Int, _ slot: Int, now: Moment, _ actions: inout [Action]
    ) {
        guilds[guild].hasUnsequenced = true
        guard isFirstSight(view, guild), !isOwn(view) else { return }
        let type = typeOf(view, guild, slot)
        let disposition = WakeRule.live(type, wakeup: view.wakeup ?? false)
        if disposition == .ignore { return }
        enqueue(
            view, json, guild, slot, wake: disposition == .wake, caughtUp: false,
            isFromAgent: agents.contains(view.author?.stringBytes), now: now, &actions)
    }

    @inline(never)
    private mutating func personSpoke(_ view: FabricMessageView, _ guild: Int, _ slot: Int) {
        // What the system writes is nobody's word.
        guard let author = view.author?.string, author != FabricRealtime.systemAuthor else { return }
        guilds[guild].feed.slots[slot].chatter.personSpoke()
    }

    /// Whether another agent's message may wake ours.
    mutating func mayWake(
        _ view: FabricMessageView, _ guild: Int, _ slot: Int, now: Moment, _ actions: inout [Action]
    ) -> Bool {
        let author = view.author?.string ?? ""
        switch guilds[guild].feed.slots[slot].chatter.heard(author, now: now.instant, limits: settings.chatter) {
        case .allowed: return true
        case .held(let isNews):
            if isNews {
                actions.append(
                    .notice(
                        .agentsHeld(
                            guild: guilds[guild].nodeID, channel: guilds[guild].feed.slots[slot].id, author: author)))
            }
            return false
        }
    }

    /// Puts a message into its lane, and sends what may go out unless `pumps` is false.
    mutating func enqueue(
        _ view: FabricMessageView, _ json: JSONView, _ guild: Int, _ slot: Int, wake: Bool, caughtUp: Bool,
        isFromAgent: Bool, redelivered: Bool = false, isOfOldLog: Bool = false, mayBeAwaited: Bool = false,
        pumps: Bool = true, now: Moment, _ actions: inout [Action]
    ) {
        let wakes = wake && (!isFromAgent || mayWake(view, guild, slot, now: now, &actions))
        let why: Why =
            wakes ? .wakes : wake ? .agentBudget : mayBeAwaited ? .mayBeAwaited : caughtUp ? .recordCaughtUp : .record
        trace(why, view.seq, guild, slot, &actions)
        let suffix = DeliveryWriter.idSuffix(sequence: view.seq, messageID: view.idText)
        var id = guilds[guild].feed.slots[slot].deliveryPrefix(account: account, guild: guilds[guild].nodeID) + suffix
        if let turn = turns[id] {
            // The agent left the channel and came back while the gateway works at it.
            guard let other = turn.message.withView({ $0.idText }), other != view.idText else {
                guilds[guild].duplicates &+= 1
                return
            }
            // The log went back, and nobody has noticed yet: another message stands there now, and is heard as well.
            id += "~" + String(byteHash(view.id.rawBytes), radix: 36)
        }
        let message = PendingMessage(
            id: id,
            sequence: view.seq, wake: wakes, caughtUp: caughtUp, redelivered: isOfOldLog || (redelivered && !wakes),
            isFromAgent: isFromAgent, message: Array(json.rawBytes))
        guilds[guild].feed.slots[slot].lane.enqueue(message, keeping: mayBeAwaited)
        if mayBeAwaited { wait(guild, slot, now: now) }
        markDirty(guild, slot, &actions)
        if pumps { pump(guild, slot, now: now, &actions) }
    }
}
