import ChannelStore

@testable import FabricChannel

/// What must hold of each delivery.
extension Checks {
    /// Its position was used before, and the account does not know.
    func isUnnoticed(_ message: SimMessage) -> Bool {
        guard let since = message.usedSince else { return false }
        return noticed[key(message)]?.at ?? .min < since
    }

    func delivered(_ delivery: SimDelivery) {
        guard let message = messages[delivery.message] else { return hideAll(in: delivery.place) }
        deliveries += 1
        message.deliveries += 1
        if message.author == SimGuild.agent { world.fail("\(delivery.id): its own message") }
        if isAheadOfGap(delivery.place) { gapTrouble.insert(delivery.place) }
        hideOlder(message)
        checkBeginning(delivery, message)
        checkRepeat(delivery, message)
        checkOrder(delivery, message)
        checkWake(delivery, message)
        message.isForgotten = false
        message.didWake = delivery.wake
        if delivery.wake { message.hasWoken = true }
    }

    /// It goes ahead of a gap that history did not show; of a channel whose beginning is looked for nobody says so.
    private func isAheadOfGap(_ place: ChannelKey) -> Bool {
        guard let inbox = world.account?.inbox, let guild = inbox.number(of: place.guild),
            let slot = inbox.guilds[guild].feed.slot(of: place.channel)
        else { return false }
        return inbox.guilds[guild].feed.slots[slot].position.isOpen
    }

    /// Once a newer one was taken in, its time tells nothing of those before.
    func hideOlder(_ message: SimMessage) {
        guard channel(message).cutBelow != nil else { return }
        for other in channel(message).log where other.number < message.number && other.deliveries == 0 {
            if isUnnoticed(other) { other.isHidden = true }
        }
    }

    /// What no log holds passed for the newest.
    private func hideAll(in place: ChannelKey) {
        for message in order where message.deliveries == 0 && key(message) == place && isUnnoticed(message) {
            message.isHidden = true
        }
    }

    private func checkBeginning(_ delivery: SimDelivery, _ message: SimMessage) {
        guard message.postedAt < 30_000_000, channel(message).joinedAt == nil,
            !isExcused(.left, message.wasLeft), !isExcused(.clocks, clocksDiffer)
        else { return }
        world.fail("\(delivery.id) is from before the first start")
    }

    private func checkRepeat(_ delivery: SimDelivery, _ message: SimMessage) {
        guard message.deliveries > 1, !delivery.redelivered,
            !isExcused(.forgotten, message.isForgotten),
            !isExcused(.claimed, isClaimed(message) && wentBack[delivery.place] != nil),
            !isExcused(.restoredFlag, delivery.wake && !message.wake && hasLostFlag(message)),
            !isExcused(.left, message.wasLeft)
        else { return }
        world.fail("\(delivery.id) (\(message.id)) was delivered \(message.deliveries) times, and is not marked")
    }

    private func checkOrder(_ delivery: SimDelivery, _ message: SimMessage) {
        defer { lastDelivered[delivery.place] = max(message.number, lastDelivered[delivery.place] ?? 0) }
        let place = delivery.place
        guard let last = lastDelivered[place], message.number < last,
            !isExcused(.lateRecord, delivery.redelivered && !delivery.wake),
            !isExcused(.left, wasLeft.contains(place)),
            !isExcused(.restoredOrder, wentBack[place] != nil || message.isGone || message.usedSince != nil),
            !isExcused(.claimed, claimed[place] != nil),
            !isExcused(.gapTrouble, gapTrouble.contains(place))
        else { return }
        world.fail("\(delivery.id) (\(message.id)) was delivered after m\(last)")
    }

    /// It stands where another was, or another does now, or it was heard before the restore was noticed.
    private func hasLostFlag(_ message: SimMessage) -> Bool {
        message.usedSince != nil || message.isGone || wentBack[key(message)] ?? .min > message.postedAt
    }

    /// Whose turn it is in a rotation history does not say: the last message of a log may wake, when nobody wrote behind it for
    /// a while.
    private func isPossibleTurn(_ delivery: SimDelivery, _ message: SimMessage) -> Bool {
        guard delivery.caughtUp, WakeRule.takesTurns(channel(message).type) else { return false }
        let patience = Int64(world.plan.inbox.turnPatience.inSeconds * 1e6)
        guard !begunTurns.contains(delivery.id) else { return true }
        guard world.schedule.now - message.postedAt >= patience else { return false }
        begunTurns.insert(delivery.id)
        return true
    }

    private func checkWake(_ delivery: SimDelivery, _ message: SimMessage) {
        guard delivery.wake != message.wake else { return }
        if delivery.wake {
            if isPossibleTurn(delivery, message) { return }
            guard !isExcused(.claimed, isClaimed(message)), !isExcused(.restoredFlag, hasLostFlag(message))
            else { return }
            return world.fail("\(delivery.id) wakes, and should not")
        }
        guard !isExcused(.agents, World.otherAgents.contains(message.author)), !isExcused(.left, message.wasLeft)
        else { return }
        let isOwed = message.isInferable || (message.heardIn == world.losses && message.deliveries == 1)
        guard isOwed, !isExcused(.claimed, isClaimed(message)), !isExcused(.restoredFlag, hasLostFlag(message))
        else { return }
        world.fail("\(delivery.id) does not wake\(message.isInferable ? "" : ", and its event was heard")")
    }
}
