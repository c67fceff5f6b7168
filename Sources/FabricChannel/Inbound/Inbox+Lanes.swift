import ChannelStore
import FabricAPI
import JSONBytes

/// Lanes: what may go to the gateway now, and what became of the deliveries for the record.
extension Inbox {
    /// Sends what may go out of a lane now.
    mutating func pump(_ guild: Int, _ slot: Int, now: Moment, _ actions: inout [Action]) {
        guard !isDraining, guilds[guild].feed.slots[slot].isListed else { return }
        while let (message, isStored) = guilds[guild].feed.slots[slot].lane.next() {
            if message.wake {
                // The agent left the channel and came back: the lane from before works at it already.
                guard turns[message.id] == nil else {
                    guilds[guild].duplicates &+= 1
                    continue
                }
                begin(message, guild, slot, &actions)
            } else {
                actions.append(.deliverRecord(guild, slot: slot, message, isStored: isStored))
            }
        }
        if guilds[guild].feed.slots[slot].overflown,
            guilds[guild].feed.slots[slot].lane.waitingCount < ChannelSlot.laneLimit / 2
        {
            feed(guild, &actions) { $0.laneHasRoom(slot) }
        }
        if guilds[guild].feed.slots[slot].lane.isEmpty { guilds[guild].feed.laneEmptied(slot) }
    }

    mutating func recordAnswered(
        _ guild: Int, _ slot: Int, _ message: PendingMessage, isStored: Bool, _ answer: DeliveryAnswer,
        _ actions: inout [Action]
    ) {
        if answer == .taken {
            keepUnadopted(message.stored(key(guild, slot), handedOver: true), &actions)
        } else if isStored {
            pending.append(.settled(delivery: message.id))
            flushSoon(&actions)
        }
    }

    mutating func recordTaken(_ guild: Int, _ slot: Int, _ json: JSONView, _ actions: inout [Action]) {
        guard let view = FabricMessageView(json) else { return }
        let prefix = guilds[guild].feed.slots[slot].deliveryPrefix(account: account, guild: guilds[guild].nodeID)
        keepUnadopted(
            StoredDelivery(
                id: prefix + DeliveryWriter.idSuffix(sequence: view.seq, messageID: view.idText),
                key: key(guild, slot), sequence: view.seq, wake: false, caughtUp: false, redelivered: false,
                message: Array(json.rawBytes), handedOver: true), &actions)
    }

    /// The gateway will adopt it later: until then it is kept, to be delivered again after a crash.
    private mutating func keepUnadopted(_ delivery: StoredDelivery, _ actions: inout [Action]) {
        unadopted[delivery.id] = delivery
        pending.append(.delivery(delivery))
        flushSoon(&actions)
    }

    // MARK: What survived

    mutating func restore(_ stored: StoredAccount, isHandover: Bool, now: Moment, _ actions: inout [Action]) {
        // An instance before that ended in good order says so, or that it did not know either.
        let isUncertain = stored.isRunning
        agents.turns.forget(account)
        addRestoredGuilds(stored, isUncertain: isUncertain)
        pending.append(.running(true))
        for delivery in stored.deliveries {
            if delivery.deadReason != nil {
                setAside.append(delivery)
            } else if delivery.handedOver, isHandover {
                takeOver(delivery, now: now)
            } else {
                restore(delivery, isUncertain: isUncertain, cursor: stored.cursors[delivery.key], &actions)
            }
        }
        flushSoon(&actions)
    }

    private mutating func addRestoredGuilds(_ stored: StoredAccount, isUncertain: Bool) {
        var channels: [String: [String: RestoredChannel]] = [:]
        for (key, sequence) in stored.cursors {
            channels[key.guild, default: [:]][key.channel, default: RestoredChannel()].cursor = sequence
            channels[key.guild]?[key.channel]?.newest = stored.newest[key]
        }
        var eras: [String: [String: Int]] = [:]
        for (key, log) in stored.logs {
            eras[key.guild, default: [:]][key.channel] = log.era
            guard let time = log.notBefore else { continue }
            channels[key.guild, default: [:]][key.channel, default: RestoredChannel()].notBefore = time
        }
        for (key, sequences) in stored.wakeups {
            channels[key.guild, default: [:]][key.channel, default: RestoredChannel()].wakeups = sequences
        }
        for (key, sequences) in stored.taken {
            channels[key.guild, default: [:]][key.channel, default: RestoredChannel()].taken = sequences
        }
        let names = Set(channels.keys).union(eras.keys).union(stored.listedAt.keys)
            .union(stored.deliveries.map(\.key.guild))
        for name in names.sorted() {
            _ = addGuild(
                name, restored: channels[name] ?? [:], eras: eras[name] ?? [:], listedAt: stored.listedAt[name],
                isUncertain: isUncertain)
        }
    }

    /// The gateway has it from the instance before: its lane waits for its end.
    private mutating func takeOver(_ delivery: StoredDelivery, now: Moment) {
        guard delivery.wake else {
            unadopted[delivery.id] = delivery
            return
        }
        guard let guild = numbers[delivery.key.guild] else { return }
        let slot = guilds[guild].feed.restore(delivery.key.channel)
        guilds[guild].feed.slots[slot].lane.begin(delivery.id)
        agents.turns.begin(delivery.key, account)
        turns[delivery.id] = Turn(
            guild: guild, slot: slot, generation: guilds[guild].feed.slots[slot].generation,
            channel: delivery.key.channel, message: PendingMessage(delivery),
            phase: .handedOver(deadline: now.instant.advanced(by: settings.turnTimeout)),
            mediaDirectory: delivery.mediaDirectory)
    }

    private mutating func restore(
        _ delivery: StoredDelivery, isUncertain: Bool, cursor: Int64?, _ actions: inout [Action]
    ) {
        guard let guild = numbers[delivery.key.guild] else { return }
        if let directory = delivery.mediaDirectory { actions.append(.removeMedia(directory)) }
        var message = PendingMessage(delivery)
        message.redelivered = message.redelivered || delivery.handedOver || (isUncertain && !message.wake)
        // The first turn, and as many again as are allowed.
        if message.attempts > settings.redeliveries, delivery.handedOver {
            let reason =
                "its turn was begun \(message.attempts) times, and each time the gateway ended before the turn did"
            setAside(message.stored(delivery.key, handedOver: false, deadReason: reason), &actions)
            return
        }
        let slot = guilds[guild].feed.restore(delivery.key.channel)
        guilds[guild].feed.slots[slot].lane.restore(message)
        // Nothing was taken in behind it. Whether its channel takes turns, the list will tell.
        if message.caughtUp, !message.wake, let sequence = message.sequence, sequence == cursor, waitsForTurns {
            guilds[guild].feed.slots[slot].lane.keepLast()
        }
        // The gateway does not have it any more: another instance that takes over must not wait for its end.
        let now = message.stored(delivery.key, handedOver: false)
        if now != delivery { pending.append(.delivery(now)) }
    }

    // MARK: Set aside

    private mutating func setAside(_ delivery: StoredDelivery, _ actions: inout [Action]) {
        setAside.append(delivery)
        pending.append(.delivery(delivery))
        // As many as there are dead letters: the oldest goes first.
        if setAside.count > 1000 { pending.append(.settled(delivery: setAside.removeFirst().id)) }
        actions.append(.notice(.setAside(delivery: delivery.id, reason: delivery.deadReason ?? "")))
        actions.append(.statusChanged)
        flushSoon(&actions)
    }

    mutating func resubmit(_ id: String, now: Moment, _ actions: inout [Action]) {
        guard let index = setAside.firstIndex(where: { $0.id == id }),
            let guild = numbers[setAside[index].key.guild]
        else { return }
        let delivery = setAside.remove(at: index)
        var message = PendingMessage(delivery)
        message.attempts = 0
        message.redelivered = true
        let slot = guilds[guild].feed.restore(delivery.key.channel)
        pending.append(.settled(delivery: id))
        guilds[guild].feed.slots[slot].lane.enqueue(message)
        markDirty(guild, slot, &actions)
        pump(guild, slot, now: now, &actions)
        actions.append(.statusChanged)
    }

    mutating func drop(_ id: String, _ actions: inout [Action]) {
        guard let index = setAside.firstIndex(where: { $0.id == id }) else { return }
        setAside.remove(at: index)
        pending.append(.settled(delivery: id))
        flushSoon(&actions)
        actions.append(.statusChanged)
    }
}

extension PendingMessage {
    /// Far beyond any limit; a damaged store may hold what cannot be counted on from.
    private static let mostAttempts = 1_000_000

    init(_ stored: StoredDelivery) {
        self.init(
            id: stored.id, sequence: stored.sequence, wake: stored.wake, caughtUp: stored.caughtUp,
            redelivered: stored.redelivered, attempts: min(max(0, stored.attempts), Self.mostAttempts),
            message: stored.message)
    }
}
