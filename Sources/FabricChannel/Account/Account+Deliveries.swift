import ChannelStore
import FabricAPI
import JSONBytes
import Logging
import SocketIO

/// Lanes: handing messages to the gateway in order, and hearing what became of them.
extension Account {
    /// Sends what may go out of a lane now.
    func pump(_ link: GuildLink, _ slot: Int) {
        guard !isStopping, drainWaiters.isEmpty, link.feed.slots[slot].isListed else { return }
        let wasLong = link.feed.slots[slot].overflown
        while let message = link.feed.withSlot(slot, { $0.lane.next() }) {
            if message.wake {
                begin(message, link, slot)
            } else {
                message.message.withUnsafeBytes { text in
                    guard let view = FabricMessageView(JSONView(validated: text, start: 0, end: text.count)) else {
                        return
                    }
                    deliverRecord(
                        view, text, slot, link, caughtUp: message.caughtUp, redelivered: message.redelivered)
                }
            }
        }
        if wasLong, link.feed.slots[slot].lane.waitingCount < ChannelSlot.laneLimit / 2 {
            perform(link.feed.laneHasRoom(slot), on: link)
        }
        if link.feed.slots[slot].lane.isEmpty { link.feed.laneEmptied(slot) }
    }

    /// A delivery for the record: no turn, no attachments on disk. `raw` is the message as the guild sent it.
    @inline(__always)
    func deliverRecord(
        _ view: FabricMessageView, _ raw: UnsafeRawBufferPointer, _ slot: Int, _ link: GuildLink, caughtUp: Bool,
        redelivered: Bool
    ) {
        let text = link.text(of: slot, account: id)
        DeliveryWriter.write(
            view, text: text,
            facts: DeliveryFacts(wake: false, caughtUp: caughtUp, redelivered: redelivered), media: [], failed: [],
            to: buffer)
        let answer = environment.gateway.deliver(buffer.bytes)
        if answer == .taken || redelivered {
            keepUntilAdopted(view, raw, slot, link, text: text, caughtUp: caughtUp, answer: answer)
        }
    }

    /// The gateway will adopt it later: until then it is kept, to be delivered again after a crash.
    @inline(never)
    private func keepUntilAdopted(
        _ view: FabricMessageView, _ raw: UnsafeRawBufferPointer, _ slot: Int, _ link: GuildLink,
        text: ConversationText, caughtUp: Bool, answer: DeliveryAnswer
    ) {
        let delivery = text.idPrefix + DeliveryWriter.idSuffix(sequence: view.seq, messageID: view.idText)
        guard answer == .taken else {
            commit([.settled(delivery: delivery)])
            return
        }
        let stored = StoredDelivery(
            id: delivery, key: ChannelKey(guild: link.nodeId, channel: link.feed.slots[slot].id),
            sequence: view.seq, wake: false, caughtUp: caughtUp, redelivered: false, message: Array(raw),
            handedOver: true)
        unadopted[delivery] = stored
        commit([.delivery(stored)])
    }

    // MARK: Turns

    private func begin(_ message: PendingMessage, _ link: GuildLink, _ slot: Int) {
        link.feed.withSlot(slot) { $0.lane.begin(message.id) }
        turns[message.id] = Turn(
            guild: link.nodeId, channel: link.feed.slots[slot].id, slot: slot,
            generation: link.feed.slots[slot].generation, message: message, handedOver: false)
        let key = ChannelKey(guild: link.nodeId, channel: link.feed.slots[slot].id)
        // Kept before it leaves: a crash from here on delivers it again, marked as such.
        let id = message.id
        commit([.delivery(message.stored(key: key, handedOver: false))]) { account in
            account.prepare(id)
        }
    }

    /// Fetches the attachments, then hands the delivery over.
    private func prepare(_ id: String) {
        guard let turn = turns[id], let link = links[turn.guild] else { return }
        let files = turn.message.message.withUnsafeBytes { text in
            FabricAttachment.read(
                FabricMessageView(JSONView(validated: text, start: 0, end: text.count))?.attachments)
        }
        if files.isEmpty {
            handOver(id, media: [], failed: [], directory: nil)
            return
        }
        run { account in
            let fetched = await account.fetch(files, delivery: id, link: link)
            account.handOver(id, media: fetched.media, failed: fetched.failed, directory: fetched.directory)
        }
    }

    private func handOver(_ id: String, media: [DeliveredMedia], failed: [FailedMedia], directory: String?) {
        guard var turn = turns[id], let link = links[turn.guild], !isStopping else {
            removeMedia(directory)
            return
        }
        turn.mediaDirectory = directory
        turn.handedOver = true
        turn.timer = loop.schedule(after: settings.turnTimeout) { [weak self] in
            self?.assumeIsolated { $0.turnExpired(id) }
        }
        turns[id] = turn
        let message = turn.message
        let key = ChannelKey(guild: link.nodeId, channel: link.feed.slots[turn.slot].id)
        commit([.delivery(message.stored(key: key, handedOver: true, mediaDirectory: directory))])
        let answer = message.message.withUnsafeBytes { text -> DeliveryAnswer in
            guard let view = FabricMessageView(JSONView(validated: text, start: 0, end: text.count)) else {
                return .finished
            }
            DeliveryWriter.write(
                view, text: link.text(of: turn.slot, account: self.id),
                facts: DeliveryFacts(wake: true, caughtUp: message.caughtUp, redelivered: message.redelivered),
                media: media, failed: failed, to: buffer)
            return environment.gateway.deliver(buffer.bytes)
        }
        switch answer {
        case .taken: break
        case .adopted: settle(id, .adopted)
        case .finished: settle(id, .finished)
        }
    }

    /// The gateway reports what became of a delivery.
    func settle(_ id: String, _ outcome: DeliveryOutcome) {
        unadopted[id] = nil
        if settleRestored(id, outcome) { return }
        guard turns[id] != nil, outcome != .adopted else {
            commit([.settled(delivery: id)])
            return
        }
        endTurn(id)
    }

    /// Whether the gateway works at this delivery: its turn is in a lane, or will be as soon as its guild is there again.
    func isTurn(_ id: String) -> Bool {
        turns[id] != nil || restored.deliveries.contains { $0.id == id && $0.wake }
    }

    /// A turn that was handed over can end before the guild it came from is connected here. It must not get a lane
    /// then: nobody would ever settle it again.
    private func settleRestored(_ id: String, _ outcome: DeliveryOutcome) -> Bool {
        guard let index = restored.deliveries.firstIndex(where: { $0.id == id }) else { return false }
        let stored = restored.deliveries[index]
        guard !stored.wake || outcome != .adopted else { return false }
        restored.deliveries.remove(at: index)
        acceptReplies(of: id, mediaDirectory: stored.mediaDirectory)
        checkDrained()
        return true
    }

    private func turnExpired(_ id: String) {
        guard turns[id] != nil else { return }
        logger.warning(
            "the turn's deadline passed; its conversation goes on without it",
            metadata: ["delivery": "\(id)", "seconds": "\(settings.turnTimeout.components.seconds)"])
        endTurn(id)
    }

    private func endTurn(_ id: String) {
        guard let turn = turns.removeValue(forKey: id) else { return }
        turn.timer?.cancel()
        acceptReplies(of: id, mediaDirectory: turn.mediaDirectory, unanswered: silence(in: turn))
        if let link = links[turn.guild], link.feed.slots.indices.contains(turn.slot),
            link.feed.slots[turn.slot].generation == turn.generation,
            link.feed.withSlot(turn.slot, { $0.lane.end(id) })
        {
            pump(link, turn.slot)
        }
        checkDrained()
    }

    /// What a turn that said nothing must say all the same: in a rotation everybody waits for the one whose turn it is
    /// (Fabric contract, section 4.1).
    private func silence(in turn: Turn) -> TurnReplies.Reply? {
        guard !turn.message.caughtUp, let link = links[turn.guild], let slot = link.feed.slot(of: turn.channel),
            [.discuss, .work].contains(link.feed.slots[slot].type)
        else { return nil }
        return TurnReplies.Reply(
            key: ChannelKey(guild: turn.guild, channel: turn.channel), texts: [FabricRealtime.noReply], media: [],
            replyTo: nil, requests: [])
    }

    /// Lets go of a delivery, and keeps its answer in the same step.
    private func acceptReplies(of id: String, mediaDirectory: String?, unanswered: TurnReplies.Reply? = nil) {
        let said = segments.removeValue(forKey: id) ?? 0
        var changes: [StoreChange] = []
        var accepted: [String] = []
        var turnReplies = replies.end(id)
        if turnReplies.isEmpty, said == 0, let unanswered { turnReplies = [unanswered] }
        for (number, reply) in turnReplies.enumerated() {
            let entry = "\(id)#\(number)"
            accepted.append(entry)
            changes += acceptReply(reply, id: entry)
        }
        releaseMedia(mediaDirectory)
        changes.append(.settled(delivery: id))
        let entries = accepted
        commit(changes) { account in
            for entry in entries { account.sendAccepted(entry) }
        }
    }

    /// Puts the unsettled deliveries of an earlier run back into their lanes.
    func restoreDeliveries(_ link: GuildLink) {
        for stored in restored.deliveries where stored.key.guild == link.nodeId {
            let slot = link.feed.restore(stored.key.channel)
            let message = PendingMessage(
                id: stored.id, sequence: stored.sequence, wake: stored.wake, caughtUp: stored.caughtUp,
                redelivered: stored.redelivered || stored.handedOver, message: stored.message)
            if stored.handedOver, isHandover {
                guard stored.wake else {
                    unadopted[stored.id] = stored
                    continue
                }
                // The gateway still has it: the lane waits for its turn to end.
                link.feed.withSlot(slot) { $0.lane.begin(stored.id) }
                let id = stored.id
                turns[id] = Turn(
                    guild: link.nodeId, channel: stored.key.channel, slot: slot,
                    generation: link.feed.slots[slot].generation, message: message,
                    timer: loop.schedule(after: settings.turnTimeout) { [weak self] in
                        self?.assumeIsolated { $0.turnExpired(id) }
                    }, mediaDirectory: stored.mediaDirectory, handedOver: true)
            } else {
                // It is fetched again with the delivery.
                removeMedia(stored.mediaDirectory)
                link.feed.withSlot(slot) { $0.lane.enqueue(message) }
            }
        }
        restored.deliveries.removeAll { $0.key.guild == link.nodeId }
        // Turns that went on while there was no link: their lanes wait for them.
        for (id, turn) in turns where turn.guild == link.nodeId {
            let slot = link.feed.restore(turn.channel)
            guard link.feed.slots[slot].lane.turn == nil else { continue }
            link.feed.withSlot(slot) { $0.lane.begin(id) }
            turns[id]?.slot = slot
            turns[id]?.generation = link.feed.slots[slot].generation
        }
    }

    // MARK: The store

    /// Stores changes in order, and goes on when they are safe.
    func commit(_ changes: [StoreChange], then next: (@Sendable (isolated Account) -> Void)? = nil) {
        environment.store.commit(changes, account: id) { [weak self] in
            guard let next, let self else { return }
            if self.loop.isOnLoop {
                self.assumeIsolated { next($0) }
            } else {
                self.loop.execute { self.assumeIsolated { next($0) } }
            }
        }
    }

    /// Cursors move with every message; they are stored together, a little later.
    func cursorMoved() {
        cursorsDirty = true
        lastInboundAt = environment.wallClock()
        _ = loop.schedule(after: .milliseconds(200)) { [weak self] in self?.assumeIsolated { $0.storeCursors() } }
    }

    func storeCursors() {
        guard cursorsDirty else { return }
        cursorsDirty = false
        var changes: [StoreChange] = []
        for (guild, link) in links {
            for slot in link.feed.slots.indices where link.feed.slots[slot].cursorDirty {
                link.feed.withSlot(slot) { $0.cursorDirty = false }
                if let intake = link.feed.slots[slot].position.intake {
                    let key = ChannelKey(guild: guild, channel: link.feed.slots[slot].id)
                    changes.append(.cursor(key, sequence: intake))
                }
            }
        }
        if !changes.isEmpty { commit(changes) }
    }
}

extension PendingMessage {
    func stored(key: ChannelKey, handedOver: Bool, mediaDirectory: String? = nil) -> StoredDelivery {
        StoredDelivery(
            id: id, key: key, sequence: sequence, wake: wake, caughtUp: caughtUp, redelivered: redelivered,
            message: message, handedOver: handedOver, mediaDirectory: mediaDirectory)
    }
}
