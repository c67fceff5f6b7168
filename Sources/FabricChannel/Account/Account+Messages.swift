import ChannelStore
import FabricAPI
import JSONBytes
import Logging
import SocketIO

/// What arrives live. The way of a message that needs nothing special (next in order, lane free, for the record) is
/// straight through to the gateway, without allocating.
extension Account {
    @inline(__always)
    func received(_ event: GuildEvent, _ argument: JSONView, from link: GuildLink) {
        switch event {
        case .messageCreated: messageCreated(argument, link)
        case .channelJoined: membershipChanged(argument, joined: true, link)
        case .channelLeft: membershipChanged(argument, joined: false, link)
        }
    }

    @inline(__always)
    private func messageCreated(_ argument: JSONView, _ link: GuildLink) {
        guard let view = FabricMessageView(argument), let channel = view.channelId?.stringBytes else {
            unreadable(link)
            return
        }
        guard let slot = link.slot(of: channel) else {
            unknownChannel(view, link)
            return
        }
        guard let sequence = view.seq else {
            unsequenced(view, argument, slot, link)
            return
        }
        if link.feed.slots[slot].lane.waitingCount >= ChannelSlot.laneLimit || link.feed.slots[slot].overflown {
            link.feed.withSlot(slot) {
                $0.overflown = true
                $0.position.postpone(sequence, wake: view.wakeup ?? false)
            }
            return
        }
        let skipped = link.feed.slots[slot].position.skipped
        switch link.feed.withSlot(slot, { $0.position.live(sequence) }) {
        case .duplicate:
            link.duplicates &+= 1
        case .accept:
            takeLive(view, argument, slot, link)
        case .hold(let range):
            link.feed.withSlot(slot) {
                $0.position.hold(sequence, message: Array(argument.rawBytes), wake: view.wakeup ?? false)
            }
            if let range { perform(link.feed.gap(range, slot: slot, skippedBefore: skipped), on: link) }
        }
    }

    @inline(__always)
    private func takeLive(_ view: FabricMessageView, _ argument: JSONView, _ slot: Int, _ link: GuildLink) {
        markCursor(slot, link)
        if isOwn(view) { return }
        if link.hasUnsequenced, !isFirstSight(view, link) { return }
        let type = typeOf(view, slot, link)
        let disposition = WakeRule.live(type, wakeup: view.wakeup ?? false)
        if disposition == .ignore { return }
        if disposition == .record, link.feed.slots[slot].lane.isFree {
            deliverRecord(view, argument.rawBytes, slot, link, caughtUp: false, redelivered: false)
            return
        }
        enqueue(view, argument, slot, link, wake: disposition == .wake, caughtUp: false)
    }

    func enqueue(
        _ view: FabricMessageView, _ argument: JSONView, _ slot: Int, _ link: GuildLink, wake: Bool, caughtUp: Bool
    ) {
        let text = link.text(of: slot, account: id)
        let suffix = DeliveryWriter.idSuffix(sequence: view.seq, messageID: view.idText)
        let message = PendingMessage(
            id: text.idPrefix + suffix, sequence: view.seq, wake: wake, caughtUp: caughtUp, redelivered: false,
            message: Array(argument.rawBytes))
        link.feed.withSlot(slot) { $0.lane.enqueue(message) }
        pump(link, slot)
    }

    @inline(__always)
    func isOwn(_ view: FabricMessageView) -> Bool {
        guard let author = view.author?.stringBytes else { return false }
        return ownUserBytes.withUnsafeBytes { same($0, author) } && !ownUserBytes.isEmpty
    }

    /// An event knows its channel's type; a channel first heard of by an event learns it from there.
    @inline(__always)
    func typeOf(_ view: FabricMessageView, _ slot: Int, _ link: GuildLink) -> FabricChannelType {
        guard let type = view.xType, type != .unknown else { return link.feed.slots[slot].type }
        if link.feed.slots[slot].type == .unknown {
            link.feed.withSlot(slot) { $0.type = type }
            link.forgetTexts()
        }
        return type
    }

    @inline(__always)
    func markCursor(_ slot: Int, _ link: GuildLink) {
        link.feed.withSlot(slot) { $0.cursorDirty = true }
        if !cursorsDirty { cursorMoved() }
    }

    // MARK: The unusual

    @inline(never)
    private func unreadable(_ link: GuildLink) {
        logger.warning(
            "a message event could not be read; it is looked for in history at the next comparison",
            metadata: ["guild": "\(link.nodeId)"])
    }

    /// A message from a channel we never joined, or whose joined event was lost: the channel appears with it.
    @inline(never)
    private func unknownChannel(_ view: FabricMessageView, _ link: GuildLink) {
        guard let channel = view.channelId?.string else { return }
        let created = view.createdAt.flatMap(FabricTime.seconds)
        perform(
            link.feed.channelJoined(
                channel, type: view.xType ?? .unknown, occurredAt: created, wall: environment.wallClock()),
            on: link)
        // Its first message is behind a gap now; the read brings both, and the flag is kept for it.
        if let slot = link.feed.slot(of: channel), let sequence = view.seq {
            link.feed.withSlot(slot) { $0.position.postpone(sequence, wake: view.wakeup ?? false) }
        }
    }

    /// Messages without a position are told apart by id.
    @inline(never)
    private func unsequenced(_ view: FabricMessageView, _ argument: JSONView, _ slot: Int, _ link: GuildLink) {
        link.hasUnsequenced = true
        guard isFirstSight(view, link), !isOwn(view) else { return }
        lastInboundAt = environment.wallClock()
        let type = typeOf(view, slot, link)
        let disposition = WakeRule.live(type, wakeup: view.wakeup ?? false)
        if disposition == .ignore { return }
        enqueue(view, argument, slot, link, wake: disposition == .wake, caughtUp: false)
    }

    func isFirstSight(_ view: FabricMessageView, _ link: GuildLink) -> Bool {
        link.recentIDs.insert(view.idText, in: view.channelId?.string ?? "")
    }

    @inline(never)
    private func membershipChanged(_ argument: JSONView, joined: Bool, _ link: GuildLink) {
        guard let change = FabricMembershipEvent(argument) else { return }
        let channel = change.channelId
        // The guild sends these to the user concerned; a guild that sends them to all is not followed for others.
        if let user = change.userId, user != ownUserID { return }
        link.forgetTexts()
        if joined {
            perform(
                link.feed.channelJoined(
                    channel, type: change.xType ?? .unknown,
                    occurredAt: change.occurredAt, wall: environment.wallClock()),
                on: link)
        } else {
            perform(link.feed.channelLeft(channel), on: link)
        }
        statusChanged()
    }
}
