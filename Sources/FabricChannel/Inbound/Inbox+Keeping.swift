import ChannelStore

/// What is kept, and how the store is told.
extension Inbox {
    /// Everything that has to survive, in the order of the lanes. The store holds the same as soon as a flush is committed.
    var kept: StoredAccount {
        var kept = StoredAccount(isRunning: !isStopped)
        for (number, guild) in guilds.enumerated() {
            keep(guild, number, in: &kept)
        }
        kept.deliveries += unadopted.values.sorted { $0.id < $1.id }
        kept.deliveries += setAside
        return kept
    }

    private func keep(_ guild: GuildInbox, _ number: Int, in kept: inout StoredAccount) {
        kept.listedAt[guild.nodeID] = guild.feed.listedAt
        for (channel, era) in guild.feed.eras where era != 0 {
            kept.logs[ChannelKey(guild: guild.nodeID, channel: channel)] = StoredLog(era: era)
        }
        for (channel, restored) in guild.feed.restored {
            let key = ChannelKey(guild: guild.nodeID, channel: channel)
            kept.cursors[key] = restored.cursor
            kept.newest[key] = restored.newest
            if restored.notBefore != nil {
                kept.logs[key] = StoredLog(era: guild.feed.eras[channel] ?? 0, notBefore: restored.notBefore)
            }
            if !restored.wakeups.isEmpty { kept.wakeups[key] = restored.wakeups }
            if !restored.taken.isEmpty { kept.taken[key] = restored.taken }
        }
        for slot in guild.feed.slots {
            let key = ChannelKey(guild: guild.nodeID, channel: slot.id)
            if slot.isPresent {
                if let intake = slot.position.intake {
                    kept.cursors[key] = intake
                    kept.newest[key] = slot.newestKept
                }
                if slot.log != StoredLog() { kept.logs[key] = slot.log }
                kept.wakeups[key] = slot.position.wakeups.isEmpty ? nil : slot.position.wakeups
                kept.taken[key] = slot.position.takenAhead.isEmpty ? nil : slot.position.takenAhead
            }
            if let id = slot.lane.turn, let turn = turns[id], !turn.isAdopted {
                kept.deliveries.append(
                    turn.message.stored(key, handedOver: true, mediaDirectory: turn.mediaDirectory))
            }
            kept.deliveries += slot.lane.waiting.map { $0.stored(key, handedOver: false) }
        }
    }

    /// Something is to be committed: once the turn of the loop is over, together with whatever else comes until then.
    mutating func flushSoon(_ actions: inout [Action]) {
        guard !isFlushDue else { return }
        isFlushDue = true
        if flushTicket == nil { actions.append(.flushSoon) }
    }

    mutating func flush(_ actions: inout [Action]) {
        guard isFlushDue, flushTicket == nil else { return }
        gather(&actions)
        if pending.isEmpty {
            isFlushDue = false
        } else {
            flushTicket = commit(&actions)
        }
    }

    /// Commits what is pending.
    mutating func commit(_ actions: inout [Action]) -> UInt64 {
        nextTicket += 1
        isFlushDue = false
        actions.append(.commit(pending, ticket: nextTicket))
        pending = []
        return nextTicket
    }

    /// Adds the positions that moved and the messages that queued: a position never goes to the store without the
    /// messages that wait below it.
    mutating func gather(_ actions: inout [Action]) {
        for number in guilds.indices where !guilds[number].feed.dirty.isEmpty {
            for slot in guilds[number].feed.dirty { gather(number, slot, &actions) }
            guilds[number].feed.dirty.removeAll(keepingCapacity: true)
        }
    }

    private mutating func gather(_ number: Int, _ slot: Int, _ actions: inout [Action]) {
        guard guilds[number].feed.slots[slot].cursorDirty else { return }
        // What is skipped is said before the position that passed it is kept.
        perform(guilds[number].feed.skips(slot), number, &actions)
        guilds[number].feed.slots[slot].cursorDirty = false
        let key = key(number, slot)
        for message in guilds[number].feed.slots[slot].lane.takeUnstored() {
            pending.append(.delivery(message.stored(key, handedOver: false)))
        }
        guard guilds[number].feed.slots[slot].isPresent, let intake = guilds[number].feed.slots[slot].position.intake
        else { return }
        let taken = guilds[number].feed.slots[slot].position.takenAhead
        if !taken.isEmpty {
            for sequence in taken.subtracting(guilds[number].feed.slots[slot].storedTaken).sorted() {
                pending.append(.taken(key, sequence: sequence))
            }
        }
        guilds[number].feed.slots[slot].storedTaken = taken
        let log = guilds[number].feed.slots[slot].log
        if log != guilds[number].feed.slots[slot].storedLog {
            guilds[number].feed.slots[slot].storedLog = log
            pending.append(.log(key, log))
        }
        let newest = guilds[number].feed.slots[slot].newestKept
        if intake != guilds[number].feed.slots[slot].storedCursor
            || newest != guilds[number].feed.slots[slot].storedNewest
        {
            guilds[number].feed.slots[slot].storedCursor = intake
            guilds[number].feed.slots[slot].storedNewest = newest
            pending.append(.cursor(key, sequence: intake, newest: newest))
        }
    }

    // MARK: The store's health

    /// While the store takes nothing, nothing is taken in: what comes stays in the guild and is read when it does again.
    mutating func storeHealth(_ isGood: Bool, now: Moment, _ actions: inout [Action]) {
        guard isGood != isStoreGood else { return }
        isStoreGood = isGood
        actions.append(.statusChanged)
        for number in guilds.indices {
            guilds[number].feed.takesIn = isGood
            for slot in guilds[number].feed.slots.indices where guilds[number].feed.slots[slot].isPresent {
                if !isGood, guilds[number].feed.slots[slot].position.reading != nil {
                    feed(number, &actions) { $0.pauseReading(slot) }
                }
                if isGood, guilds[number].feed.slots[slot].overflown { pump(number, slot, now: now, &actions) }
            }
            // What a list showed meanwhile was not read.
            if isGood { feed(number, &actions) { $0.wantList(now: now.instant) } }
        }
    }

    // MARK: The end

    /// Ends in good order: turns that the gateway does not have yet go back to their lanes, and everything is committed.
    /// The commit is the last action.
    mutating func stop(_ actions: inout [Action]) {
        agents.turns.forget(account)
        for (id, turn) in turns.sorted(by: { $0.key < $1.key }) {
            if case .handedOver = turn.phase { continue }
            turns[id] = nil
            if let directory = turn.mediaDirectory { actions.append(.removeMedia(directory)) }
            // The gateway has it from the instance before, and has made it its own since.
            guard !turn.isAdopted else { continue }
            var message = turn.message
            message.attempts -= 1
            pending.append(.delivery(message.stored(key(turn.guild, turn.slot), handedOver: false)))
            if guilds[turn.guild].feed.slots[turn.slot].generation == turn.generation {
                guilds[turn.guild].feed.slots[turn.slot].lane.putBack(message)
            }
        }
        for number in guilds.indices where guilds[number].isOpen {
            guilds[number].isOpen = false
            feed(number, &actions) { $0.disconnected(stopped: true) }
            actions.append(.close(number))
        }
        gather(&actions)
        pending.append(.running(guilds.contains { $0.feed.isStillUncertain }))
        _ = commit(&actions)
        isStopped = true
    }
}
