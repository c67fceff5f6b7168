import ChannelStore
import FabricAPI
import JSONBytes

/// Turns: a wake delivery from the moment it leaves its lane until it is settled.
extension Inbox {
    /// Begins a turn. It is kept before it leaves: a crash from here on delivers it again, marked as such.
    mutating func begin(_ message: PendingMessage, _ guild: Int, _ slot: Int, _ actions: inout [Action]) {
        var message = message
        message.attempts += 1
        guilds[guild].feed.slots[slot].lane.begin(message.id)
        agents.turns.begin(key(guild, slot), account)
        let directory = hasFiles(message) ? newDirectory() : nil
        // Before those that wait behind it, which it was ahead of in the lane.
        pending.append(.delivery(message.stored(key(guild, slot), handedOver: true, mediaDirectory: directory)))
        gather(&actions)
        let ticket = commit(&actions)
        turns[message.id] = Turn(
            guild: guild, slot: slot, generation: guilds[guild].feed.slots[slot].generation,
            channel: guilds[guild].feed.slots[slot].id, message: message, phase: .storing(ticket: ticket),
            mediaDirectory: directory)
        storing.append((ticket, message.id))
    }

    private func hasFiles(_ message: PendingMessage) -> Bool {
        message.withView { $0.attachments.map { $0.rawBytes.count > 2 } ?? false } ?? false
    }

    private mutating func newDirectory() -> String {
        let name = AttachmentName.safe(account, fallback: "account").prefix(60)
        return "\(mediaRoot)/\(name)-\(String(random.next(), radix: 16))\(String(random.next(), radix: 16))"
    }

    /// The store has what was committed up to `ticket`: turns that waited for it go on.
    mutating func stored(_ ticket: UInt64, _ actions: inout [Action]) {
        while let first = storing.first, first.ticket <= ticket {
            storing.removeFirst()
            guard let turn = turns[first.turn], turn.phase == .storing(ticket: first.ticket) else { continue }
            turns[first.turn]?.phase = .fetching
            actions.append(.fetch(first.turn, directory: turn.mediaDirectory))
        }
        if let flush = flushTicket, flush <= ticket {
            flushTicket = nil
            if isFlushDue { self.flush(&actions) }
        }
    }

    mutating func fetched(_ id: String, now: Moment, _ actions: inout [Action]) {
        guard let turn = turns[id], turn.phase == .fetching else { return }
        turns[id]?.phase = .handedOver(deadline: now.instant.advanced(by: settings.turnTimeout))
        actions.append(.deliver(id))
    }

    mutating func answered(_ id: String, _ answer: DeliveryAnswer, now: Moment, _ actions: inout [Action]) {
        switch answer {
        case .taken: break
        case .adopted: settled(id, .adopted, now: now, &actions)
        case .finished: settled(id, .finished, now: now, &actions)
        }
    }

    /// The gateway reports what became of a delivery.
    mutating func settled(_ id: String, _ outcome: DeliveryOutcome, now: Moment, _ actions: inout [Action]) {
        // A claimed position can give a record the id of a turn: the end is the turn's.
        if turns[id] == nil || outcome == .adopted, unadopted.removeValue(forKey: id) != nil {
            pending.append(.settled(delivery: id))
            flushSoon(&actions)
            return
        }
        guard let turn = turns[id] else { return }
        guard outcome == .adopted else { return endTurn(id, outcome, now: now, &actions) }
        guard !turn.isAdopted else { return }
        turns[id]?.isAdopted = true
        pending.append(.settled(delivery: id))
        flushSoon(&actions)
    }

    mutating func endTurn(_ id: String, _ outcome: DeliveryOutcome, now: Moment, _ actions: inout [Action]) {
        guard let turn = turns.removeValue(forKey: id) else { return }
        agents.turns.end(ChannelKey(guild: guilds[turn.guild].nodeID, channel: turn.channel), account)
        let isHere = guilds[turn.guild].feed.slots[turn.slot].generation == turn.generation
        let type = isHere ? guilds[turn.guild].feed.slots[turn.slot].type : .unknown
        // Whoever carries this out commits the end together with the answer: see `EndedTurn`.
        actions.append(
            .endTurn(
                EndedTurn(
                    id: id, guild: guilds[turn.guild].nodeID, channel: turn.channel, outcome: outcome,
                    mustAnswer: WakeRule.takesTurns(type),
                    mediaDirectory: turn.mediaDirectory)))
        if isHere, guilds[turn.guild].feed.slots[turn.slot].lane.end(id) {
            pump(turn.guild, turn.slot, now: now, &actions)
        }
    }

    /// Our own message is in the log: it needs no delivery.
    mutating func posted(
        _ guild: String, _ channel: String, _ sequence: Int64, now: Moment, _ actions: inout [Action]
    ) {
        guard let number = numbers[guild], let slot = guilds[number].feed.slot(of: channel),
            ChannelPosition.valid.contains(sequence)
        else { return }
        guilds[number].feed.slots[slot].position.passOver(sequence)
        markDirty(number, slot, &actions)
        letGo(number, slot, now: now, &actions)
    }
}
