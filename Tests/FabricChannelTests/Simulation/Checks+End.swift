import ChannelStore

@testable import FabricChannel

/// What must hold once the faults have ended, and everything had its time.
extension Checks {
    func areTakenIn(_ probes: [SimMessage]) {
        guard let account = world.account else { return }
        for message in probes
        where message.isDue && message.deliveries == 0
            && !isExcused(.usedPosition, isHidden(message) || isNoticedLate(message))
        {
            guard let guild = account.inbox.number(of: world.guilds[message.guild].id),
                let slot = account.inbox.guilds[guild].feed.slot(of: channel(message).id)
            else {
                world.fail("\(message.id): its channel is not known")
                continue
            }
            let position = account.inbox.guilds[guild].feed.slots[slot].position
            guard position.intake ?? .min < message.sequence, !position.takenAhead.contains(message.sequence),
                !isExcused(.overflow, world.plan.has(.overflow))
            else { continue }
            world.fail("\(message.id) is not taken in after two periods")
        }
    }

    /// What is due and was not delivered. Asked often, so without the excuses that are counted.
    private var undelivered: some Sequence<SimMessage> {
        unseen.removeAll { message in
            !message.isDue || message.isGone || message.deliveries > 0 || setAside.contains(message.id)
        }
        return unseen.lazy.filter { [dueFrom] message in dueFrom[message.place].map { message.postedAt > $0 } ?? false }
    }

    private func mayBeMissed(_ message: SimMessage) -> Bool {
        message.wasLeft || isMisled(message) || isHidden(message) || hasNoTime(message) || isOfSlowList(message)
    }

    /// An event claimed its position; or it was posted after a restore that was noticed later, and an event that no log holds
    /// had passed for the newest message by then.
    private func isMisled(_ message: SimMessage) -> Bool {
        if isClaimed(message) { return true }
        guard message.usedSince != nil, let back = wentBack[key(message)], back > message.postedAt else { return false }
        return claims[key(message)]?.contains { $0 >= message.postedAt && $0 < back } ?? false
    }

    /// It was posted while a list that lacks its channel was on its way, which the account takes for as old as its arrival.
    private func isOfSlowList(_ message: SimMessage) -> Bool {
        slowLists[key(message)]?.contains { $0.contains(message.postedAt) } ?? false
    }

    /// It stands at a position that was used before, and the account did not notice in time.
    private func isHidden(_ message: SimMessage) -> Bool {
        message.isHidden || isUnnoticed(message) || isTakenForAnother(message) || isPassedOver(message)
    }

    /// What stood there before was taken in ahead of a gap, and an instance that began since knows only that something was.
    private func isTakenForAnother(_ message: SimMessage) -> Bool {
        guard message.usedSince != nil, takenBefore[message.place]?.contains(message.sequence) ?? false else {
            return false
        }
        return order.contains {
            $0.sequence == message.sequence && $0.isGone && $0.place == message.place
                && ($0.deliveries > 0 || $0.author == SimGuild.agent)
        }
    }

    /// A list that was made before the restore, and came after it, named a head at or beyond it.
    private func isPassedOver(_ message: SimMessage) -> Bool {
        message.usedSince != nil && message.sequence <= oldHeads[key(message)] ?? .min
    }

    /// It stands at a position that was used before, and the account noticed only after it was posted: that takes two lists.
    private func isNoticedLate(_ message: SimMessage) -> Bool {
        message.usedSince != nil && noticed[key(message)]?.at ?? .min > message.postedAt
    }

    /// It stands at a position that was used before, and no time tells it from those that were there.
    private func hasNoTime(_ message: SimMessage) -> Bool {
        guard message.usedSince != nil, wentBack[key(message)] ?? .min > message.postedAt else { return false }
        // The guild's time has whole seconds.
        return !world.plan.tellsTime || message.postedAt < (dueFrom[key(message)] ?? .min) &+ 2_000_000
    }

    var isSettled: Bool {
        guard let account = world.account, account.isRunning else { return false }
        // The cheap ones first.
        guard account.inbox.isQuiet, account.outgoing.isQuiet, world.store.isIdle,
            account.inbox.guildsAway.isEmpty, account.inbox.waitingCount == 0
        else { return false }
        let guilds = Set(world.guilds.filter(\.hasAgent).map(\.id))
        let open = account.inbox.guilds.indices.filter { account.inbox.guilds[$0].isOpen }
        return guilds == Set(open.map { account.inbox.guilds[$0].nodeID }) && undelivered.allSatisfy(mayBeMissed)
    }

    func end() {
        guard let account = world.account, account.isRunning else { return world.fail("the account does not run") }
        for turn in account.inbox.turns.keys.sorted() { world.fail("the turn of \(turn) is not over") }
        if account.inbox.waitingCount > 0 { world.fail("\(account.inbox.waitingCount) deliveries wait") }
        if !account.outgoing.isQuiet { world.fail("\(account.outgoing.outbox.count) messages are not sent") }
        if account.unanswered > 0 { world.fail("\(account.unanswered) requests have no answer") }
        for (guild, inbox) in account.inbox.guilds.enumerated() where !inbox.feed.isReady && inbox.isOpen {
            world.fail("guild \(guild) is \(inbox.feed.phase)")
        }
        checkMissing()
        checkRotations()
        checkOutbox()
        checkAnswers()
        if world.mutant == nil { compare(account) }
    }

    private func checkMissing() {
        var lost: [ChannelKey: [String]] = [:]
        for message in undelivered
        where !isExcused(.left, message.wasLeft) && !isExcused(.claimed, isMisled(message))
            && !isExcused(.clocks, isOfSlowList(message))
            && !isExcused(.usedPosition, isHidden(message)) && !isExcused(.noTime, hasNoTime(message))
        {
            lost[key(message), default: []].append("\(message.id) #\(message.sequence)")
        }
        for (key, ids) in lost.sorted(by: { $0.value[0] < $1.value[0] }) {
            if world.plan.has(.smallCatchUp) {
                if Int64(ids.count) <= skipped[key] ?? 0 { continue }
                let isUnsaid =
                    world.powerWasCut || claimed[key] != nil || wasJoined.contains(key) || wentBack[key] != nil
                if isExcused(.bounded, isUnsaid) { continue }
            }
            world.fail("lost in \(key.guild)/\(key.channel): \(ids.prefix(10)) of \(ids.count)")
        }
    }

    /// The guild waits for the agent where its last message woke it: the agent is to know.
    private func checkRotations() {
        for channel in world.guilds.flatMap(\.channels) where channel.isMember && WakeRule.takesTurns(channel.type) {
            guard let message = channel.log.last, message.wake, message.isDue, !message.hasWoken,
                message.deliveries > 0, !isExcused(.agents, World.otherAgents.contains(message.author)),
                !isExcused(.left, message.wasLeft), !isExcused(.claimed, claimed[key(message)] != nil),
                !isExcused(.restoredFlag, message.usedSince != nil)
            else { continue }
            world.fail("\(message.id): it is the agent's turn in \(channel.id), and nobody tells it")
        }
    }

    /// Every message that was accepted is in the log once.
    private func checkOutbox() {
        var found: [String: [SimMessage]] = [:]
        for message in order { if let entry = message.entry { found[entry, default: []].append(message) } }
        let repeated = Set(
            found.filter { $0.value.count > 1 && accepted[$0.key] == false }.map { key($0.value[0]) })
        for (entry, canBeLookedFor) in accepted.sorted(by: { $0.key < $1.key }) {
            let posts = found[entry] ?? []
            if posts.count == 1 || (dead.contains(entry) && posts.isEmpty) { continue }
            if posts.isEmpty, let entry = entries[entry] {
                let same = order.filter { $0.place == entry.key && $0.entry != nil && $0.content == entry.text }
                if isExcused(.sharedID, !same.isEmpty && acceptedAgain.contains(entry.key)) { continue }
                let isTwice = same.contains { channel($0).cutBelow != nil && found[$0.entry ?? ""]?.count ?? 0 > 1 }
                if isExcused(.cutOff, isTwice) { continue }
            }
            if isExcused(.forgottenRefusal, mayBeTakenForAnother(entry, isThere: !posts.isEmpty)) { continue }
            if let post = posts.first,
                isRepeatExcused(
                    entry, post, posts, canBeLookedFor: canBeLookedFor && !repeated.contains(key(post)))
            {
                continue
            }
            world.fail("\(entry) is in the log \(posts.count) times")
        }
    }

    /// Another message of its channel was given up, and a run that died may have forgotten it.
    private func mayBeTakenForAnother(_ id: String, isThere: Bool) -> Bool {
        guard hasStartedAgain, let entry = entries[id], !isThere || !world.plan.honoursKeys else { return false }
        return dead.contains { other in
            guard other != id, let refused = entries[other], refused.key == entry.key else { return false }
            return isThere || refused.text == entry.text
        }
    }

    private func isRepeatExcused(
        _ entry: String, _ post: SimMessage, _ posts: [SimMessage], canBeLookedFor: Bool
    ) -> Bool {
        let key = key(post)
        if isExcused(.cutOff, posts.contains { channel($0).cutBelow != nil }) { return true }
        guard !world.plan.honoursKeys else { return false }
        return isExcused(.noFloor, !canBeLookedFor)
            || isExcused(.highFloor, claimed[key]?.contains { $0 >= post.sequence } ?? false)
            || isExcused(.deepInLog, channel(post).log.count > 1000)
            || isExcused(.leftTurn, wasLeft.contains(key))
            || isExcused(.saidOtherwise, entry.contains("#s") && world.hasBegunAgain)
    }

    /// What a turn answered was accepted.
    private func checkAnswers() {
        let turns = Set(accepted.keys.compactMap { entry in entry.lastIndex(of: "#").map { String(entry[..<$0]) } })
        for id in answered.subtracting(turns).sorted() { world.fail("the answer to \(id) was not accepted") }
    }
}
