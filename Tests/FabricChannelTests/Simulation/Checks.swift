import ChannelStore

@testable import FabricAPI
@testable import FabricChannel

/// What must hold, whatever happens.
///
/// - Every message that is due is delivered. Due is what others post in a channel of the agent's, from the moment on when the
///   store first has a position of the channel (of a channel that it came into later: from then on, if the clocks agree). Not
///   due is what the guild cut off before it could be read, and what was posted before the agent left the channel again. Where
///   catching up is bounded (`smallCatchUp`), as much may be missing as was reported as skipped; of a channel whose beginning
///   had to be looked for, skipping is not reported.
/// - After a restore from a backup, what is posted at a position that was used before may be missed: if the log has grown back
///   to where the account was before two lists showed it shorter, nothing but the message at that very position tells, and
///   that one is the agent's own, or was passed over, or the account never heard one there. What lies beyond is due, and
///   nothing comes twice. Until the restore is noticed, an id may mean two messages.
/// - A message whose position an event claimed that was not its own may be hidden by that one, if the account has forgotten
///   by then what the claim looked like.
///   Such a claim may also pass for a restore from a backup, after which the newest messages come again.
/// - Nothing is delivered twice but as `redelivered`, unless a crash came before the store had that the run began. A loss of
///   power may take back everything that the guild can repeat, and with it the knowledge that it was delivered, and where the
///   agent began.
/// - A channel is delivered in order within a run of the process. Not where history failed so long that live messages
///   went ahead, or did not show what there is, not where what the socket brought after a restore is released, and not
///   after a claim that was not true; and what is for the record and delivered again may come late.
/// - What the guild says wakes the agent, does; what history cannot tell only if the event was heard and no crash lost it. Not
///   after a restore: which message a kept flag belongs to is not kept.
/// - What another agent says may be held back from waking.
/// - Every message that the outbox holds is in the log once, or a dead letter. Where the guild does not know the keys, not if
///   no position to look from was known or a lie made it too high, more than a thousand were posted since, the log was cut
///   off, the agent left the channel, or a turn that sends its texts one by one was run again.
/// - The store holds what the values hold, whenever nothing is under way, and no delivery id means two messages, but after a
///   restore, a claimed position, or in a channel that the agent left and came into again.
final class Checks {
    unowned let world: World
    private var messages: [String: SimMessage] = [:]
    private var order: [SimMessage] = []
    /// Per channel: from when on messages are due.
    private var dueFrom: [ChannelKey: Int64] = [:]
    /// Per channel: the newest message that was delivered.
    private var lastDelivered: [ChannelKey: Int] = [:]
    private var skipped: [ChannelKey: Int64] = [:]
    private var hadGapTrouble: Set<ChannelKey> = []
    private var wasLeft: Set<ChannelKey> = []
    private var wentBack: Set<ChannelKey> = []
    private var claimed: [ChannelKey: Set<Int64>] = [:]
    private var wasJoined: Set<ChannelKey> = []
    /// Outbox entries that the store has had, and whether they could be looked for.
    private var accepted: [String: Bool] = [:]
    private var dead: Set<String> = []
    private var setAside: Set<String> = []
    private var steps = 0
    private(set) var comparisons = 0
    private(set) var deliveries = 0
    var largestLane = 0

    init(world: World) { self.world = world }

    private func key(_ message: SimMessage) -> ChannelKey {
        let guild = world.guilds[message.guild]
        return ChannelKey(guild: guild.id, channel: guild.channels[message.channel].id)
    }

    private func channel(_ message: SimMessage) -> SimChannel { world.guilds[message.guild].channels[message.channel] }

    // MARK: What happens

    func posted(_ message: SimMessage, in channel: SimChannel) {
        messages[message.id] = message
        order.append(message)
        guard channel.isMember, message.author != SimGuild.agent else { return }
        message.isDue = channel.type != .triage || (message.wake && message.isInferable)
        if let cut = channel.cutBelow, message.sequence <= cut { message.isHidden = true }
    }

    /// Where this machine's clock tells what the guild's does, messages are due from now on; otherwise from when the store
    /// has a position.
    func joined(_ key: ChannelKey) {
        let isExact = world.plan.tellsTime || (!world.plan.has(.clockJumps) && !world.plan.has(.clockSkew))
        wasJoined.insert(key)
        dueFrom[key] = isExact && world.store.durable.listedAt[key.guild] != nil ? world.schedule.now : nil
    }

    /// Delivery ids may mean two messages.
    var mayShareIDs: Bool {
        !claimed.isEmpty || !wasLeft.isEmpty || world.guilds.contains { $0.channels.contains { $0.cutBelow != nil } }
    }

    /// An event claims a position that may be another message's.
    func lied(_ key: ChannelKey, _ sequence: Int64) { claimed[key, default: []].insert(sequence) }

    private func isClaimed(_ message: SimMessage) -> Bool { claimed[key(message)]?.contains(message.sequence) ?? false }

    func left(_ channel: SimChannel) {
        for message in channel.log {
            message.mayBeMissed = true
            message.heardIn = nil
        }
        guard let guild = channel.log.first?.guild else { return }
        wasLeft.insert(ChannelKey(guild: world.guilds[guild].id, channel: channel.id))
    }

    /// An event reaches the account.
    func heard(_ message: SimMessage, _ guild: Int, in account: SimAccount) {
        guard let slot = account.inbox.guilds[guild].feed.slot(of: channel(message).id) else { return }
        let position = account.inbox.guilds[guild].feed.slots[slot].position
        guard message.sequence > position.intake ?? .min, !position.takenAhead.contains(message.sequence) else {
            return
        }
        message.heardIn = world.losses
    }

    func applied(_ change: StoreChange) {
        switch change {
        case .cursor(let key, _, _):
            if dueFrom[key] == nil { dueFrom[key] = world.schedule.now }
        case .outbox: accepted(change)
        case .delivery(let delivery):
            if delivery.deadReason != nil, let id = messageID(delivery.message) { setAside.insert(id) }
        default: break
        }
    }

    /// The store has an outgoing message, or says so.
    func accepted(_ change: StoreChange) {
        guard case .outbox(let entry) = change else { return }
        if entry.deadReason != nil { dead.insert(entry.id) }
        accepted[entry.id] = accepted[entry.id] ?? (entry.floor != nil)
    }

    /// The sender was told that the guild refused it.
    func refused(_ entry: String) { dead.insert(entry) }

    private func messageID(_ bytes: [UInt8]) -> String? {
        FabricHistory.Row(id: "", seq: nil, json: bytes).withMessage { $0.idText }
    }

    /// A channel whose first position was lost begins anew.
    func powerWasCut(_ stored: StoredAccount) {
        for key in dueFrom.keys where stored.cursors[key] == nil { dueFrom[key] = nil }
    }

    func processStarted() { lastDelivered = [:] }

    func reported(_ report: GuildFeed.Report, of guild: Int) {
        guard let name = world.account?.inbox.nodeID(guild) else { return }
        switch report {
        case .skipped(let channel, let count):
            skipped[ChannelKey(guild: name, channel: channel), default: 0] += count
        case .rewound(let channel, _, _): wentBack.insert(ChannelKey(guild: name, channel: channel))
        case .historyFailing(let channel, _), .historyShort(let channel, _):
            hadGapTrouble.insert(ChannelKey(guild: name, channel: channel))
        default: break
        }
    }

    func noticed(_ notice: Inbox.Notice, _ host: SimHost) {
        if case .turnExpired(let id) = notice, host.settled.contains(id) {
            world.fail("the turn of \(id) expired although it was settled")
        }
    }

    func delivered(_ delivery: SimDelivery) {
        guard let message = messages[delivery.message] else { return }
        deliveries += 1
        let isRepeat = message.deliveries > 0
        message.deliveries += 1
        let channel = channel(message)
        if message.author == SimGuild.agent { world.fail("\(delivery.id): its own message") }
        if message.postedAt < 30_000_000, channel.joinedAt == nil, !message.mayBeMissed,
            !message.mayBeMissed
        {
            world.fail("\(delivery.id) is from before the first start")
        }
        if isRepeat, !delivery.redelivered, !world.forgotRunning, claimed[delivery.place] == nil, !message.mayBeMissed {
            world.fail("\(delivery.id) (\(message.id)) was delivered \(message.deliveries) times, and is not marked")
        }
        checkOrder(delivery, message)
        checkWake(delivery, message)
    }

    private func checkOrder(_ delivery: SimDelivery, _ message: SimMessage) {
        defer { lastDelivered[delivery.place] = max(message.number, lastDelivered[delivery.place] ?? 0) }
        let isUnordered =
            delivery.redelivered && !delivery.wake || hadGapTrouble.contains(delivery.place)
            || wasLeft.contains(delivery.place) || wentBack.contains(delivery.place)
            || claimed[delivery.place] != nil
        guard let last = lastDelivered[delivery.place], message.number < last, !isUnordered else { return }
        world.fail("\(delivery.id) (\(message.id)) was delivered after m\(last)")
    }

    private func checkWake(_ delivery: SimDelivery, _ message: SimMessage) {
        // After a restore a kept flag may be another message's, and that of a used position is not kept over a restart.
        guard channel(message).cutBelow == nil else { return }
        if delivery.wake, !message.wake, !isClaimed(message) {
            world.fail("\(delivery.id) wakes, and should not")
        }
        guard message.wake, !delivery.wake, !World.otherAgents.contains(message.author), !isClaimed(message)
        else { return }
        if message.isInferable {
            world.fail("\(delivery.id) does not wake")
        } else if message.heardIn == world.losses, message.deliveries == 1 {
            world.fail("\(delivery.id) does not wake, and its event was heard")
        }
    }

    // MARK: At every step

    func step(_ account: SimAccount) {
        steps += 1
        guard steps % 8 == 0, account.isRunning else { return }
        for guild in account.inbox.guilds {
            for slot in guild.feed.slots {
                largestLane = max(largestLane, slot.lane.waitingCount)
                if slot.lane.waitingCount > ChannelSlot.laneLimit + Inbox.page + slot.position.limits.held {
                    world.fail("a lane holds \(slot.lane.waitingCount)")
                }
                if slot.position.takenAhead.count > slot.position.limits.ahead + slot.position.limits.held {
                    world.fail("\(slot.position.takenAhead.count) are taken in ahead")
                }
            }
        }
        if world.mutant == nil, steps % 32 == 0 { compare(account) }
    }

    /// What the store has, and what the values hold.
    private func compare(_ account: SimAccount) {
        guard world.store.isIdle, account.commits == 0, account.inbox.isCommitted, !mayShareIDs else { return }
        comparisons += 1
        var kept = account.inbox.kept
        kept.outbox = account.outgoing.kept
        var stored = world.store.durable
        stored.outbox.sort { $0.order < $1.order }
        kept.deliveries.sort { $0.id < $1.id }
        stored.deliveries.sort { $0.id < $1.id }
        if kept != stored { world.fail("the store differs: \(stored.differences(from: kept))") }
    }

    // MARK: At the end

    func areTakenIn(_ probes: [SimMessage]) {
        guard let account = world.account else { return }
        for message in probes
        where message.isDue && !message.mayBeMissed && !message.isHidden && message.deliveries == 0 {
            guard let guild = account.inbox.number(of: world.guilds[message.guild].id),
                let slot = account.inbox.guilds[guild].feed.slot(of: channel(message).id)
            else {
                world.fail("\(message.id): its channel is not known")
                continue
            }
            let position = account.inbox.guilds[guild].feed.slots[slot].position
            if position.intake ?? .min < message.sequence, !position.takenAhead.contains(message.sequence) {
                world.fail("\(message.id) is not taken in after two periods")
            }
        }
    }

    private var missing: [SimMessage] {
        order.filter { message in
            guard message.isDue, !message.isGone, !message.mayBeMissed, !message.isHidden, message.deliveries == 0,
                !setAside.contains(message.id), let from = dueFrom[key(message)], !isClaimed(message)
            else { return false }
            return message.postedAt > from
        }
    }

    var isSettled: Bool {
        guard let account = world.account, account.isRunning else { return false }
        let guilds = Set(world.guilds.filter(\.hasAgent).map(\.id))
        return guilds == Set(account.inbox.guilds.filter(\.isOpen).map(\.nodeID))
            && account.inbox.guilds.allSatisfy { !$0.isOpen || $0.feed.isReady } && account.inbox.isQuiet
            && account.inbox.waitingCount == 0 && account.outgoing.isQuiet
            && world.store.isIdle && missing.isEmpty
    }

    func end() {
        guard let account = world.account, account.isRunning else { return world.fail("the account does not run") }
        for turn in account.inbox.turns.keys.sorted() { world.fail("the turn of \(turn) is not over") }
        if account.inbox.waitingCount > 0 { world.fail("\(account.inbox.waitingCount) deliveries wait") }
        if !account.outgoing.isQuiet { world.fail("\(account.outgoing.outbox.count) messages are not sent") }
        for (guild, inbox) in account.inbox.guilds.enumerated() where !inbox.feed.isReady && inbox.isOpen {
            world.fail("guild \(guild) is \(inbox.feed.phase)")
        }
        checkMissing()
        checkOutbox()
        if world.mutant == nil { compare(account) }
    }

    private func checkMissing() {
        var lost: [ChannelKey: [String]] = [:]
        for message in missing { lost[key(message), default: []].append("\(message.id) #\(message.sequence)") }
        for (key, ids) in lost {
            let isUnsaid =
                world.powerWasCut || claimed[key] != nil || wasJoined.contains(key) || wentBack.contains(key)
            let isBounded = world.plan.has(.smallCatchUp)
            if !isBounded || (!isUnsaid && Int64(ids.count) > skipped[key] ?? 0) {
                world.fail("lost in \(key.guild)/\(key.channel): \(ids.prefix(10)) of \(ids.count)")
            }
        }
    }

    private func checkOutbox() {
        var found: [String: Int] = [:]
        var cut: Set<String> = []
        var left: Set<String> = []
        for message in order {
            guard let entry = message.entry else { continue }
            found[entry, default: 0] += 1
            if channel(message).cutBelow != nil { cut.insert(entry) }
            if wasLeft.contains(key(message)) { left.insert(entry) }
        }
        for (entry, canBeLookedFor) in accepted.sorted(by: { $0.key < $1.key }) {
            let count = found[entry] ?? 0
            if count == 1 || (dead.contains(entry) && count == 0) { continue }
            let isHidden =
                !canBeLookedFor || cut.contains(entry) || world.plan.has(.lyingEvents) || world.plan.has(.overflow)
            if count > 1, !world.plan.honoursKeys, isHidden { continue }
            if count > 1, cut.contains(entry) { continue }
            // What it was asked before it left the channel may be asked again when it comes back.
            if count > 1, !world.plan.honoursKeys, left.contains(entry) { continue }
            // What a turn said before it died, and says otherwise when it is run again.
            if count > 1, !world.plan.honoursKeys, entry.contains("#s"), world.hasBegunAgain { continue }
            world.fail("\(entry) is in the log \(count) times")
        }
    }
}

extension Inbox {
    /// Nothing is waiting to be given to the store.
    var isCommitted: Bool { pending.isEmpty && !isFlushDue && flushTicket == nil && storing.isEmpty }
}
