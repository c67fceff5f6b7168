import FabricAPI
import JSONBytes

/// Gaps read from history: one page after the other, in order.
extension Inbox {
    /// How many rows are asked for at once: the most that other clients of Fabric ask for.
    static let page = 200

    mutating func page(
        _ guild: Int, _ slot: Int, _ number: UInt64, _ rows: [FabricHistory.Row], now: Moment,
        _ actions: inout [Action]
    ) {
        guard isRead(guild, slot, number), let range = guilds[guild].feed.remainingGap(slot) else { return }
        var last = range.lowerBound - 1
        if isOtherLog(rows, before: range.lowerBound, guild, slot) {
            let head = max(guilds[guild].feed.slots[slot].head ?? .min, range.upperBound)
            feed(guild, &actions) { $0.wentBack(slot, to: head, reuse: nil) }
            return
        }
        for row in rows {
            guard let sequence = row.seq, range.contains(sequence), sequence > last else { continue }
            last = sequence
            take(row, sequence, guild, slot, now: now, &actions)
            if guilds[guild].feed.slots[slot].lane.waitingCount >= ChannelSlot.laneLimit, last < range.upperBound {
                feed(guild, &actions) { $0.pauseReading(slot) }
                return
            }
        }
        if last >= range.lowerBound, let rest = guilds[guild].feed.remainingGap(slot) {
            feed(guild, &actions) { [$0.read(slot, rest)] }
        } else {
            // No progress: the guild has no more of the range.
            rowsEnded(guild, slot, now: now, &actions)
        }
    }

    /// Whether the message before a gap is newer than all that were taken in: then the log went back, and has grown beyond
    /// where we were. Our own says nothing: the answer to its post has passed its position.
    private func isOtherLog(_ rows: [FabricHistory.Row], before start: Int64, _ guild: Int, _ slot: Int) -> Bool {
        guard guilds[guild].feed.slots[slot].position.isSeen,
            let newest = guilds[guild].feed.slots[slot].newestKnown,
            let row = rows.first(where: { $0.seq == start - 1 })
        else { return false }
        return row.withMessage { view in
            guard !isOwn(view), let created = view.createdAt.flatMap({ FabricTime.seconds($0) }) else { return false }
            return created > newest
        } ?? false
    }

    mutating func pageFailed(
        _ guild: Int, _ slot: Int, _ number: UInt64, isFinal: Bool, reason: String, now: Moment,
        _ actions: inout [Action]
    ) {
        guard isRead(guild, slot, number) else { return }
        let (ready, decided) = guilds[guild].feed.readFailed(slot, isFinal: isFinal, reason: reason, now: now.instant)
        release(ready, decided, guild, slot, now: now, &actions)
    }

    private func isRead(_ guild: Int, _ slot: Int, _ number: UInt64) -> Bool {
        isSlot(guild, slot) && guilds[guild].isOpen && guilds[guild].feed.slots[slot].isPresent
            && guilds[guild].feed.slots[slot].read == number && number != 0
    }

    private mutating func rowsEnded(_ guild: Int, _ slot: Int, now: Moment, _ actions: inout [Action]) {
        let tooOld = guilds[guild].feed.slots[slot].tooOld
        if tooOld > 0 {
            guilds[guild].feed.slots[slot].tooOld = 0
            perform([.report(.skipped(channel: guilds[guild].feed.slots[slot].id, count: tooOld))], guild, &actions)
        }
        let (ready, decided) = guilds[guild].feed.rowsEnded(slot, now: now.instant)
        release(ready, decided, guild, slot, now: now, &actions)
    }

    private mutating func release(
        _ ready: [ChannelPosition.Ready], _ decided: [GuildFeed.Action], _ guild: Int, _ slot: Int, now: Moment,
        _ actions: inout [Action]
    ) {
        // The position has passed all of them: what begins a turn must not keep it before the last is in its lane.
        for entry in ready { takeHeld(entry, guild, slot, now: now, &actions) }
        if !ready.isEmpty {
            markDirty(guild, slot, &actions)
            pump(guild, slot, now: now, &actions)
        }
        perform(decided, guild, &actions)
    }

    private mutating func take(
        _ row: FabricHistory.Row, _ sequence: Int64, _ guild: Int, _ slot: Int, now: Moment,
        _ actions: inout [Action]
    ) {
        let mark = row.withMessage { byteHash($0.id.rawBytes) } ?? 0
        guard case .accept(let held) = guilds[guild].feed.slots[slot].position.row(sequence, mark: mark) else {
            guilds[guild].duplicates &+= 1
            markDirty(guild, slot, &actions)
            return
        }
        markDirty(guild, slot, &actions)
        let bytes = held?.message ?? row.json
        bytes.withUnsafeBytes { text in
            let json = JSONView(validated: text, start: 0, end: text.count)
            guard let view = FabricMessageView(json) else { return }
            take(view, json, sequence, held: held, guild, slot, now: now, &actions)
        }
    }

    private mutating func take(
        _ view: FabricMessageView, _ json: JSONView, _ sequence: Int64, held: ChannelPosition.Held?, _ guild: Int,
        _ slot: Int, now: Moment, _ actions: inout [Action]
    ) {
        guilds[guild].feed.slots[slot].newest.advance(to: view.createdAt)
        let own = isOwn(view)
        let type = typeOf(view, guild, slot)
        guilds[guild].feed.sawRow(slot, pushable: !own && held == nil && type != .triage && type != .announce)
        if !own, !isFirstSight(view, guild) { return trace(.duplicate, sequence, guild, slot, &actions) }
        let created = held == nil ? view.createdAt.flatMap { FabricTime.seconds($0) } : nil
        let isBefore = created.map { $0 < guilds[guild].feed.slots[slot].notBefore ?? -.infinity } ?? false
        if guilds[guild].feed.slots[slot].startsInside {
            feed(guild, &actions) { $0.sawBeginning(slot, isNews: !isBefore) }
        }
        if own {
            letGo(guild, slot, now: now, &actions)
            return trace(.own, sequence, guild, slot, &actions)
        }
        if isBefore { return trace(.beforeUs, sequence, guild, slot, &actions) }
        // What follows is news too; from here on the position alone says so.
        guilds[guild].feed.slots[slot].notBefore = nil
        if let created, created < guilds[guild].feed.guildTime(now.wall) - settings.catchUpHours * 3600 {
            guilds[guild].feed.slots[slot].tooOld += 1
            return trace(.tooOld, sequence, guild, slot, &actions)
        }
        let disposition =
            held.map { WakeRule.live(type, wakeup: $0.wake) }
            ?? WakeRule.history(type, evidence: evidence(view), infer: settings.infersWake)
        if disposition == .ignore { return trace(.ignored, sequence, guild, slot, &actions) }
        let uncertain = guilds[guild].feed.slots[slot].isUncertain(sequence)
        // The socket said nothing of it: whose turn it makes it is not known.
        let mayBeAwaited = disposition == .record && held == nil && waitsForTurns && WakeRule.takesTurns(type)
        enqueue(
            view, json, guild, slot, wake: disposition == .wake, caughtUp: held?.message == nil,
            isFromAgent: agents.contains(view.author?.stringBytes), redelivered: uncertain && held?.message == nil,
            isOfOldLog: guilds[guild].feed.slots[slot].isOfOldLog(sequence, created), mayBeAwaited: mayBeAwaited,
            now: now, &actions)
    }

    private func evidence(_ view: FabricMessageView) -> WakeRule.Evidence {
        let text = view.content?.string ?? ""
        let mentions = Mentions.ids(in: view)
        let author = view.author?.string ?? ""
        return .init(
            mentionsAgent: mentions.contains(user), mentionsAnyone: !mentions.isEmpty,
            fromSystem: author == FabricRealtime.systemAuthor || text == "/ack")
    }

    /// A live message that had waited behind the gap; it is as live as it was.
    private mutating func takeHeld(
        _ entry: ChannelPosition.Ready, _ guild: Int, _ slot: Int, now: Moment, _ actions: inout [Action]
    ) {
        guard let message = entry.held.message else { return }
        message.withUnsafeBytes { text in
            let json = JSONView(validated: text, start: 0, end: text.count)
            guard let view = FabricMessageView(json) else { return }
            if isOwn(view) || (guilds[guild].hasUnsequenced && !isFirstSight(view, guild)) { return }
            guilds[guild].feed.slots[slot].newest.advance(to: view.createdAt)
            let disposition = WakeRule.live(typeOf(view, guild, slot), wakeup: entry.held.wake)
            if disposition == .ignore { return }
            enqueue(
                view, json, guild, slot, wake: disposition == .wake, caughtUp: false,
                isFromAgent: agents.contains(view.author?.stringBytes), pumps: false, now: now, &actions)
        }
    }
}
