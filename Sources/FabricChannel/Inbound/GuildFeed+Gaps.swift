import Timing

/// Gaps: what is read from history, what a read has shown, and what follows when it shows too little.
extension GuildFeed {
    /// Reads that do not show the end of their gap are repeated so often.
    static let shortReads = 3
    /// Reads that fail are waited for so often (about half a minute with the backoff below); then the live messages go on
    /// without them.
    static let failedReads = 5

    mutating func readUpTo(_ head: Int64, slot: Int) -> [Action] {
        guard takesIn, slots[slot].lane.waitingCount < ChannelSlot.laneLimit, retries[slot] == nil,
            slots[slot].reuse == nil
        else { return [] }
        slots[slot].overflown = false
        let before = slots[slot].position.intake
        if let range = slots[slot].position.catchUp(to: head) { return reading(range, slot: slot) }
        let actions = skips(slot)
        if slots[slot].position.intake != before {
            // All of it is skipped: what comes from here on is news.
            slots[slot].notBefore = nil
            slots[slot].startsInside = false
        }
        return actions
    }

    /// A gap is to be read: what to do, and what was skipped for it.
    mutating func reading(_ range: ClosedRange<Int64>, slot: Int) -> [Action] {
        slots[slot].readFailures = 0
        slots[slot].failingSince = nil
        slots[slot].shortReads = 0
        return skips(slot) + [read(slot, range)]
    }

    /// What was skipped since it was last said.
    mutating func skips(_ slot: Int) -> [Action] {
        let skipped = slots[slot].position.skipped - slots[slot].saidSkipped
        slots[slot].saidSkipped = slots[slot].position.skipped
        guard skipped > 0 else { return [] }
        markDirty(slot)
        guard slots[slot].notBefore == nil, !slots[slot].startsInside else {
            // From before the agent came in, for all that is known: the first row behind it tells.
            slots[slot].unsaidSkipped = slots[slot].unsaidSkipped.adding(saturating: skipped)
            return []
        }
        return [.report(.skipped(channel: slots[slot].id, count: skipped))]
    }

    /// History showed a row of a channel whose beginning is looked for, `isNews` when it is from after the agent came in:
    /// then so may be all that was skipped before it.
    mutating func sawBeginning(_ slot: Int, isNews: Bool) -> [Action] {
        let said = skips(slot)
        let skipped = slots[slot].unsaidSkipped
        slots[slot].unsaidSkipped = 0
        return isNews && skipped > 0 ? said + [.report(.skipped(channel: slots[slot].id, count: skipped))] : said
    }

    /// A live message came in. When nothing is missing before it, the channel's beginning need not be looked for.
    @inline(never)
    mutating func foundNews(_ slot: Int, at sequence: Int64) {
        guard slots[slot].position.intake == sequence else { return }
        slots[slot].notBefore = nil
        slots[slot].startsInside = false
    }

    /// History showed a row of the gap; `pushable` when the socket should have brought it.
    mutating func sawRow(_ slot: Int, pushable: Bool) {
        slots[slot].readFailures = 0
        slots[slot].failingSince = nil
        slots[slot].shortReads = 0
        guard slots[slot].suspect else { return }
        slots[slot].rowsSeen += 1
        if pushable { slots[slot].provenMissed = true }
    }

    /// What is left of the gap being read.
    func remainingGap(_ slot: Int) -> ClosedRange<Int64>? {
        guard let range = slots[slot].position.reading, let intake = slots[slot].position.intake,
            intake < range.upperBound
        else { return nil }
        return max(intake + 1, range.lowerBound)...range.upperBound
    }

    /// History has no more rows of the gap. Returns the held messages that follow it.
    mutating func rowsEnded(
        _ slot: Int, now: ContinuousClock.Instant
    ) -> (ready: [ChannelPosition.Ready], actions: [Action]) {
        switch slots[slot].position.endOfRows() {
        case .complete(let ready, let next):
            return (ready, ended(slot, next: next))
        case .short(let left):
            guard slots[slot].shortReads < Self.shortReads else {
                return gaveUp(slot, left)
            }
            slots[slot].shortReads += 1
            waitForRetry(slot, now: now)
            return ([], becomeReadyIfCaughtUp())
        }
    }

    private mutating func gaveUp(
        _ slot: Int, _ left: ClosedRange<Int64>
    ) -> (ready: [ChannelPosition.Ready], actions: [Action]) {
        let wasOpen = slots[slot].position.isOpen
        guard case .complete(let ready, let next) = slots[slot].position.giveUp(head: slots[slot].head) else {
            return ([], [])
        }
        var actions: [Action] = []
        if !wasOpen, !slots[slot].startsInside {
            let missing = left.upperBound - left.lowerBound + 1 - Int64(ready.count)
            if missing > 0 {
                actions.append(.report(.historyShort(channel: slots[slot].id, missing: missing)))
            }
        }
        return (ready, actions + ended(slot, next: next))
    }

    private mutating func ended(_ slot: Int, next: ClosedRange<Int64>?) -> [Action] {
        slots[slot].readFailures = 0
        slots[slot].shortReads = 0
        markDirty(slot)
        var actions = skips(slot)
        if let next {
            actions += reading(next, slot: slot)
        } else {
            slots[slot].startsInside = false
            slots[slot].notBefore = nil
            slots[slot].unsaidSkipped = 0
        }
        if slots[slot].suspect {
            slots[slot].suspect = false
            slots[slot].missedHead = nil
            // A head that moved while neither the socket nor history shows anything is no proof of health.
            let deaf = slots[slot].provenMissed || slots[slot].rowsSeen == 0
            slots[slot].provenMissed = false
            slots[slot].rowsSeen = 0
            // A deaf socket brings nothing of any channel: said once for each.
            if deaf, deafEpoch != epoch {
                deafEpoch = epoch
                deafEvents += 1
                actions.append(.report(.deaf(channel: slots[slot].id)))
                actions.append(
                    .replaceConnection(reason: "the socket was deaf: history had messages it did not bring"))
            }
        }
        return actions + becomeReadyIfCaughtUp()
    }

    /// A read failed. A final refusal gives the gap up; otherwise it is tried again, and after a while the live messages
    /// go on ahead of it.
    mutating func readFailed(
        _ slot: Int, isFinal: Bool, reason: String, now: ContinuousClock.Instant
    ) -> (ready: [ChannelPosition.Ready], actions: [Action]) {
        guard slots[slot].position.reading != nil else { return ([], []) }
        let report = Action.report(.historyFailing(channel: slots[slot].id, reason: reason))
        if isFinal, slots[slot].shortReads >= Self.shortReads, let left = remainingGap(slot) {
            let (ready, actions) = gaveUp(slot, left)
            return (ready, [report] + actions)
        }
        if isFinal {
            slots[slot].shortReads += 1
            // The guild shows it to us no more: what the socket brought of it may have come late.
            slots[slot].isProven = false
        }
        let isNews = slots[slot].readFailures == 0
        let since = slots[slot].failingSince ?? now
        slots[slot].failingSince = since
        guard slots[slot].readFailures < Self.failedReads, since.duration(to: now) < settings.historyPatience else {
            // The next comparison tries again.
            guard case .complete(let ready, _) = slots[slot].position.openGap() else { return ([], []) }
            slots[slot].readFailures = 0
            slots[slot].failingSince = nil
            slots[slot].shortReads = 0
            markDirty(slot)
            return (ready, [report] + becomeReadyIfCaughtUp())
        }
        waitForRetry(slot, now: now)
        return ([], (isNews ? [report] : []) + becomeReadyIfCaughtUp())
    }

    private mutating func waitForRetry(_ slot: Int, now: ContinuousClock.Instant) {
        slots[slot].readFailures += 1
        let delay = Backoff(.seconds(1), upTo: .seconds(16))
            .delay(step: slots[slot].readFailures - 1, share: 0.5...1, chance: random.unit())
        retries[slot] = now.advanced(by: delay)
    }

    /// The lane is full: the rest stays in the guild.
    mutating func pauseReading(_ slot: Int) -> [Action] {
        slots[slot].position.pauseReading()
        slots[slot].read = 0
        slots[slot].overflown = true
        return becomeReadyIfCaughtUp()
    }

    /// A lane that had overflown has room again, or the store takes what it is given again.
    mutating func laneHasRoom(_ slot: Int) -> [Action] {
        // What was left in the guild because its log may have gone back waits for the list.
        guard slots[slot].isPresent, slots[slot].overflown, takesIn, slots[slot].reuse == nil else { return [] }
        slots[slot].overflown = false
        guard phase == .ready || phase == .catchingUp || phase == .joining else { return [] }
        return readUpTo(slots[slot].position.brought, slot: slot)
    }
}
