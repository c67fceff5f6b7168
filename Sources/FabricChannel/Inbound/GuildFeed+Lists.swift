import FabricAPI
import Timing

/// The guild's channel list: which channels there are, and how far their logs go.
extension GuildFeed {
    /// A list arrived. `date` is the guild's time when it was made, `wall` this machine's; seconds since 1970.
    mutating func listed(
        _ channels: [ListedChannel], purpose: ListPurpose, epoch: Int, date: Double?, now: ContinuousClock.Instant,
        wall: Double
    ) -> [Action] {
        guard epoch == self.epoch else { return [] }
        listsUnderWay = max(0, listsUnderWay - 1)
        listAttempts = 0
        retryPurpose = nil
        if let date {
            clockOffset = date - wall
            knowsClock = true
        }
        var actions: [Action] = []
        let channels = plausible(channels, &actions)
        actions += update(with: channels, wall: wall)
        switch purpose {
        case .proof:
            actions += enter(.joining)
            actions += join(joinable)
        case .heads, .sync:
            actions += join(joinable)
            for slot in slots.indices where slots[slot].isPresent {
                actions += compare(slot, purpose: purpose)
            }
            scheduleSync(now: now)
            if isListDoubted || wantsList {
                // Not at the next period: until then nothing is known for sure.
                wantsList = false
                actions += wantList(now: now)
            }
            actions += becomeReadyIfCaughtUp()
        }
        return actions
    }

    /// Heads that no log can have are left out: they are a fault of the guild, and nothing is concluded from them.
    private mutating func plausible(_ channels: [ListedChannel], _ actions: inout [Action]) -> [ListedChannel] {
        var wrong: String?
        let checked = channels.map { channel in
            guard let head = channel.lastSeq, !ChannelPosition.valid.contains(head) else { return channel }
            wrong = channel.id
            var channel = channel
            channel.lastSeq = nil
            return channel
        }
        if let wrong {
            protocolErrors += 1
            actions.append(.report(.implausible(channel: wrong, what: "the channel list's lastSeq")))
        }
        return checked
    }

    private var joinable: [Int] {
        slots.indices.filter {
            slots[$0].isPresent && !slots[$0].joined && !slots[$0].isJoining && !slots[$0].closed
        }
    }

    private mutating func update(with channels: [ListedChannel], wall: Double) -> [Action] {
        let firstList = listedAt == nil
        let previousList = listedAt
        let newestBefore = newestKnown(channels)
        var added = 0
        var listedNow: Set<Int> = []
        for channel in channels {
            newestChannel = max(newestChannel, channel.createdAt ?? -.infinity)
            let slot: Int
            if let known = index[channel.id] {
                slot = known
                slots[slot].update(from: channel)
            } else {
                slot = insert(channel)
                added += 1
            }
            listedNow.insert(slot)
            slots[slot].isListed = true
            slots[slot].wasListed = true
            if slots[slot].isUncertain, channel.lastSeq != nil {
                slots[slot].isUncertain = false
                slots[slot].uncertainThrough = channel.lastSeq
            }
            if slots[slot].position.intake != nil { continue }
            markDirty(slot)
            if firstList || channel.closed || slots[slot].awaitsHead {
                // Without a head nothing tells old messages from new ones: the next list that has it, or the next
                // message, begins the channel.
                slots[slot].awaitsHead = channel.lastSeq == nil
                if let head = channel.lastSeq {
                    slots[slot].position.begin(at: head)
                    // The guild's time, in whole seconds: all that the head passes is from before it.
                    if knowsClock { slots[slot].beganBy = guildTime(wall) + 1 }
                }
            } else {
                let isNew = newestBefore > -.infinity && channel.createdAt.map { $0 > newestBefore } ?? false
                slots[slot].notBefore = isNew ? nil : previousList.map { $0 - listMargin }
                slots[slot].beginWhereWeCameIn()
            }
        }
        var actions: [Action] = []
        let removed = removeUnlisted(listedNow, &actions)
        guard !isListDoubted else { return actions }
        listedAt = guildTime(wall)
        restored = [:]
        hasListed = true
        if !firstList, added + removed > 0 { actions.append(.report(.resynced(added: added, removed: removed))) }
        return actions
    }

    /// How long before a list that lacked a channel the agent may have come into it. Both are the guild's times; it covers the
    /// whole seconds that HTTP has and a list on its way, or, where the guild tells no time, a clock that is a little ahead of
    /// the guild's.
    private var listMargin: Double { knowsClock ? 2 : 5 }

    /// The newest creation time of the channels that were known before this list, in an earlier run too: what is newer
    /// appeared since.
    private func newestKnown(_ channels: [ListedChannel]) -> Double {
        channels.reduce(into: newestChannel) { newest, channel in
            let isKnown =
                index[channel.id].map { slots[$0].position.intake != nil } ?? (restored[channel.id]?.cursor != nil)
            if isKnown { newest = max(newest, channel.createdAt ?? -.infinity) }
        }
    }

    /// Takes out the channels that the list lacks; not when the socket says otherwise, and not before a second list lacks
    /// them: with a channel its position goes, and nothing tells any more what was missed in it.
    private mutating func removeUnlisted(_ listedNow: Set<Int>, _ actions: inout [Action]) -> Int {
        var missing: [Int] = []
        var doubted = 0
        for slot in slots.indices where slots[slot].isPresent && !listedNow.contains(slot) {
            if slots[slot].broughtSinceList {
                // What the socket brings for a channel is evidence against the list.
                slots[slot].broughtSinceList = false
                slots[slot].isListed = true
                slots[slot].isProven = true
                slots[slot].isDoubted = false
            } else if slots[slot].isProven, !slots[slot].wasListed {
                // No list ever showed it, and the socket brought it all the same: that it is missing says nothing.
                continue
            } else if slots[slot].awaitsListing {
                // The list may have been made before the agent was added; the next one decides.
                slots[slot].awaitsListing = false
            } else if slots[slot].isDoubted {
                missing.append(slot)
            } else {
                slots[slot].isDoubted = true
                doubted += 1
            }
        }
        let unseen = Set(restored.keys.filter { index[$0] == nil })
        for channel in unseen.intersection(doubtedChannels).sorted() {
            restored[channel] = nil
            actions.append(.forget(channel: channel))
        }
        doubted += unseen.subtracting(doubtedChannels).count
        doubtedChannels = unseen
        isListDoubted = doubted > 0
        if isListDoubted { actions.append(.report(.listDoubted(missing: doubted))) }
        for slot in missing {
            actions.append(.forget(channel: slots[slot].id))
            remove(slot)
        }
        return missing.count
    }

    mutating func insert(_ channel: ListedChannel) -> Int {
        let kept = restored[channel.id]
        var slot = ChannelSlot(channel, restored: kept, era: eras[channel.id] ?? 0, limits: settings.limits)
        slot.isUncertain = isUncertain && (kept != nil || !hasListed)
        if let free = freeSlots.popLast() {
            slot.generation = slots[free].generation + 1
            slots[free] = slot
            index[channel.id] = free
            return free
        }
        slots.append(slot)
        index[channel.id] = slots.count - 1
        return slots.count - 1
    }

    /// Makes room for a channel whose unsettled deliveries survived a stop, before the guild lists it.
    mutating func restore(_ channel: String) -> Int {
        if let slot = index[channel] { return slot }
        let slot = insert(
            ListedChannel(id: channel, name: nil, type: .unknown, lastSeq: nil, closed: false, createdAt: nil))
        slots[slot].awaitsListing = true
        slots[slot].cameInAfter = listedAt.map { $0 - listMargin }
        return slot
    }

    mutating func remove(_ slot: Int) {
        index[slots[slot].id] = nil
        restored[slots[slot].id] = nil
        slots[slot].isPresent = false
        // What waits in its lane was meant for the agent; no list will ever name the channel now.
        slots[slot].isListed = true
        slots[slot].isJoining = false
        retries[slot] = nil
        slots[slot].read = 0
        slots[slot].lane.letGo()
        possibleTurns[slot] = nil
        if slots[slot].lane.isEmpty { freeSlots.append(slot) }
    }

    /// A slot whose channel is gone can be used again once its lane is empty.
    mutating func laneEmptied(_ slot: Int) {
        if !slots[slot].isPresent, !freeSlots.contains(slot) { freeSlots.append(slot) }
    }

    /// The list could not be had.
    mutating func listFailed(
        _ failure: ListFailure, purpose: ListPurpose, epoch: Int, now: ContinuousClock.Instant
    ) -> [Action] {
        guard epoch == self.epoch else { return [] }
        listsUnderWay = max(0, listsUnderWay - 1)
        switch failure {
        case .refused(let words):
            return [.replaceConnection(reason: "the guild refused the token: \(words)")]
        case .passing(let words):
            listAttempts += 1
            var actions: [Action] = [.report(.listFailed(words))]
            if purpose == .sync {
                scheduleSync(now: now)
                // Nothing proves any more that the socket brings everything: that is not called connected.
                if listAttempts >= 2, phase == .ready { actions += enter(.catchingUp) }
            } else {
                let delay = Backoff(.seconds(1), upTo: .seconds(32))
                    .delay(step: listAttempts - 1, share: 0.5...1, chance: random.unit())
                retryPurpose = purpose
                nextTick = now.advanced(by: delay)
            }
            return actions
        }
    }

    // MARK: Comparing

    /// Compares the guild's head of a channel with what the socket brought.
    private mutating func compare(_ slot: Int, purpose: ListPurpose) -> [Action] {
        guard let intake = slots[slot].position.intake else { return [] }
        if let reuse = slots[slot].reuse {
            let head = slots[slot].isHeadNew ? slots[slot].head : nil
            slots[slot].reuse = nil
            // A list that does not say how far the log goes leaves the socket's word.
            if head ?? .max >= reuse.position { return wentBack(slot, to: head ?? reuse.position, reuse: reuse) }
        }
        // This list does not say how far it goes; the socket did.
        guard slots[slot].isHeadNew, let head = slots[slot].head else {
            return readUpTo(slots[slot].position.brought, slot: slot)
        }
        slots[slot].isHeadNew = false
        slots[slot].position.believe(head: head)
        if head < intake { return behind(slot, head: head, intake: intake, purpose: purpose) }
        slots[slot].behindAt = nil
        slots[slot].lowestHead = nil
        foundEmpty(slot, head: head)
        guard head > slots[slot].position.brought else {
            slots[slot].missedHead = nil
            // The socket brought it, but an overflow or a failed read left it for later.
            return readUpTo(head, slot: slot)
        }
        if purpose == .heads { return readUpTo(head, slot: slot) }
        if let missed = slots[slot].missedHead, missed > slots[slot].position.brought {
            slots[slot].suspect = true
            slots[slot].missedHead = head
            return readUpTo(head, slot: slot)
        }
        slots[slot].missedHead = head
        return []
    }

    /// The list shows a channel with nothing in it, and the agent is in it: whatever comes is news. Not in one whose log went
    /// back, where the time tells what was there before.
    private mutating func foundEmpty(_ slot: Int, head: Int64) {
        guard slots[slot].notBefore != nil, slots[slot].era == 0, head == ChannelPosition.valid.lowerBound,
            slots[slot].position.intake == head, slots[slot].position.brought == head
        else { return }
        slots[slot].notBefore = nil
        slots[slot].startsInside = false
        markDirty(slot)
    }

    /// The head is below our position. A list may lag behind the socket, so it is believed when it is still below where
    /// we were a period ago.
    private mutating func behind(_ slot: Int, head: Int64, intake: Int64, purpose: ListPurpose) -> [Action] {
        slots[slot].lowestHead = min(slots[slot].lowestHead ?? head, head)
        if purpose == .sync {
            if let before = slots[slot].behindAt, head < before { return wentBack(slot, to: head, reuse: nil) }
            if slots[slot].behindAt == nil { slots[slot].behindAt = intake }
        }
        return slots[slot].overflown ? readUpTo(slots[slot].position.brought, slot: slot) : []
    }

    /// The guild's log went back: it was restored from a backup, and may have grown since. What is newer than all that was
    /// taken in is read; were it the same log after all, that is nothing.
    mutating func wentBack(_ slot: Int, to head: Int64, reuse: ReusedPosition?) -> [Action] {
        guard let intake = slots[slot].position.intake else { return [] }
        let lowest = min(head, slots[slot].lowestHead ?? head)
        slots[slot].behindAt = nil
        slots[slot].lowestHead = nil
        slots[slot].reuse = nil
        slots[slot].missedHead = nil
        slots[slot].read = 0
        retries[slot] = nil
        slots[slot].era = min(slots[slot].era, .max - 1) + 1
        eras[slots[slot].id] = slots[slot].era
        // What is kept is of another log.
        slots[slot].storedCursor = nil
        slots[slot].storedNewest = nil
        slots[slot].storedTaken = []
        slots[slot].storedLog.notBefore = nil
        // What the run before delivered of the new log is not known.
        if isUncertain { slots[slot].uncertainThrough = head }
        var actions: [Action] = [
            .forget(channel: slots[slot].id), .report(.rewound(channel: slots[slot].id, from: intake, to: head)),
        ]
        markDirty(slot)
        // The times of the same guild: no clock of ours is in it.
        slots[slot].oldLogEnd = slots[slot].newestKnown
        slots[slot].oldLogTop = max(intake, slots[slot].position.takenAhead.max() ?? intake)
        guard let newest = slots[slot].newestKnown.map(\.nextUp) ?? slots[slot].notBefore else {
            // Nothing tells what of it is new, but that what lies above the lowest head that was seen is.
            slots[slot].position.rewind(to: lowest)
            return actions + readUpTo(max(head, slots[slot].position.brought), slot: slot)
        }
        slots[slot].notBefore = newest
        slots[slot].startsInside = true
        slots[slot].position.rewind(to: ChannelPosition.valid.lowerBound)
        if let reuse {
            slots[slot].position.wanted(reuse.position)
            for (sequence, mark) in reuse.wakeups {
                slots[slot].position.postpone(sequence, wake: true, mark: mark)
            }
        }
        actions += readUpTo(max(head, slots[slot].position.brought), slot: slot)
        return actions
    }
}
