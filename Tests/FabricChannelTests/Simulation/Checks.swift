import ChannelStore

@testable import FabricAPI
@testable import FabricChannel

/// What must hold, whatever happens; where it cannot, one of `Excuse` says why.
///
/// - Every message that is due is delivered. Due is what others post in a channel of the agent's, from the moment on when the
///   store first has a position of the channel (of a channel that it came into later: from then on, if the clocks agree). Not
///   due is what the guild cut off before it could be read. What is set aside was begun as often as is allowed.
/// - Nothing is delivered twice but as `redelivered`.
/// - A channel is delivered in order within a run of the process.
/// - What the guild says wakes the agent, does; what history cannot tell only if the event was heard and no crash lost it.
/// - The rotation of a channel that takes turns never waits for the agent: the last message of its log woke it if the guild
///   says so, however it came.
/// - Every message that the outbox holds is in the log once, or a dead letter. What a turn answered is in the log. Every
///   request is answered.
/// - The store holds what the values hold, whenever nothing is under way, and no delivery id means two messages.
/// - Nothing grows without bound, no turn and no lane stays.
final class Checks {
    unowned let world: World
    var messages: [String: SimMessage] = [:]
    var order: [SimMessage] = []
    /// Those of them that may have to be delivered yet.
    var unseen: [SimMessage] = []
    /// Per channel: from when on messages are due.
    var dueFrom: [ChannelKey: Int64] = [:]
    /// Per channel: the newest message that was delivered.
    var lastDelivered: [ChannelKey: Int] = [:]
    var skipped: [ChannelKey: Int64] = [:]
    /// Channels in which history failed, or showed too little.
    var gapTrouble: Set<ChannelKey> = []
    var wasLeft: Set<ChannelKey> = []
    /// Per channel: when the account last said that its log went back.
    var wentBack: [ChannelKey: Int64] = [:]
    /// The same, as far as it has not been forgotten since, and how often it had by then.
    var noticed: [ChannelKey: (at: Int64, era: Int)] = [:]
    var claimed: [ChannelKey: Set<Int64>] = [:]
    /// When such an event was made.
    var claims: [ChannelKey: [Int64]] = [:]
    /// The highest head that a list named which was made before a restore from a backup, and came after it.
    var oldHeads: [ChannelKey: Int64] = [:]
    /// From when until when a list that lacked the channel was on its way, where nothing tells when it was made.
    var slowLists: [ChannelKey: [ClosedRange<Int64>]] = [:]
    /// What was taken in ahead of a gap by the time an instance of the account began: it knows only that something was.
    var takenBefore: [ChannelKey: Set<Int64>] = [:]
    var wasJoined: Set<ChannelKey> = []
    /// Outbox entries that the store has had, and whether they could be looked for.
    var accepted: [String: Bool] = [:]
    /// The same entries.
    private(set) var entries: [String: OutboxEntry] = [:]
    /// Channels in which an entry had the id, and so the key, of an earlier one.
    private(set) var acceptedAgain: Set<ChannelKey> = []
    /// The deliveries whose answers are among them.
    private var accepts: Set<String> = []
    var dead: Set<String> = []
    var setAside: Set<String> = []
    /// Deliveries whose turn last ended with an answer that the account took.
    var answered: Set<String> = []
    var adopted: Set<String> = []
    /// Deliveries that woke the agent because it may have been its turn.
    var begunTurns: Set<String> = []
    private var starts = 0
    var hasStartedAgain: Bool { starts > 1 || world.hasBegunAgain }
    private var steps = 0
    private(set) var comparisons = 0
    var deliveries = 0
    private(set) var excused: [Excuse: Int] = [:]

    init(world: World) { self.world = world }

    /// Asked where a check would fail: whether it need not hold for this reason.
    func isExcused(_ excuse: Excuse, _ applies: Bool) -> Bool {
        guard applies, world.plan.without != excuse else { return false }
        excused[excuse, default: 0] += 1
        return true
    }

    func key(_ message: SimMessage) -> ChannelKey { message.place }

    func channel(_ message: SimMessage) -> SimChannel { world.guilds[message.guild].channels[message.channel] }

    /// The clocks cannot tell what is from before the agent's beginning.
    var clocksDiffer: Bool { !world.plan.tellsTime && (world.plan.has(.clockJumps) || world.plan.has(.clockSkew)) }

    // MARK: What happens

    func posted(_ message: SimMessage, in channel: SimChannel) {
        messages[message.id] = message
        order.append(message)
        unseen.append(message)
        if let cut = channel.cutBelow, message.sequence <= cut { message.usedSince = channel.cutAt }
        guard channel.isMember, message.author != SimGuild.agent else { return }
        message.isDue = channel.type != .triage || (message.wake && message.isInferable)
    }

    /// Where this machine's clock tells what the guild's does, messages are due from now on; otherwise from when the store
    /// has a position.
    func joined(_ key: ChannelKey) {
        wasJoined.insert(key)
        let hasBeginning = !clocksDiffer && world.store.durable.listedAt[key.guild] != nil && !awaitsHead(key)
        dueFrom[key] = hasBeginning ? world.schedule.now : nil
    }

    /// The account has a list that does not say how far the log goes: the channel begins where the next one says it does, and
    /// that the agent left it meanwhile and came back is not known.
    private func awaitsHead(_ key: ChannelKey) -> Bool {
        guard let inbox = world.account?.inbox, let guild = inbox.number(of: key.guild),
            let slot = inbox.guilds[guild].feed.slot(of: key.channel)
        else { return false }
        return inbox.guilds[guild].feed.slots[slot].awaitsHead
    }

    /// Delivery ids may mean two messages.
    var mayShareIDs: Bool {
        !claimed.isEmpty || !wasLeft.isEmpty || world.guilds.contains { $0.channels.contains { $0.cutBelow != nil } }
    }

    /// An event claims a position that may be another message's.
    func lied(_ key: ChannelKey, _ sequence: Int64) {
        claimed[key, default: []].insert(sequence)
        claims[key, default: []].append(world.schedule.now)
    }

    func isClaimed(_ message: SimMessage) -> Bool { claimed[key(message)]?.contains(message.sequence) ?? false }

    func left(_ channel: SimChannel) {
        for message in channel.log {
            message.wasLeft = true
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
        if message.sequence - 1 == position.intake { hideOlder(message) }
    }

    /// History showed it, and it was taken in or passed over.
    func read(_ id: String) { if let message = messages[id] { hideOlder(message) } }

    /// An instance of the account begins.
    func began(with stored: StoredAccount) {
        for (key, taken) in stored.taken { takenBefore[key, default: []].formUnion(taken) }
    }

    /// A list arrives.
    func listed(_ channels: [ListedChannel], of guild: SimGuild, madeAt: Int64) {
        for channel in guild.channels {
            let key = ChannelKey(guild: guild.id, channel: channel.id)
            guard let listed = channels.first(where: { $0.id == channel.id }) else {
                if !world.plan.tellsTime, channel.isMember, world.schedule.now > madeAt + 5_000_000 {
                    slowLists[key, default: []].append(madeAt...world.schedule.now)
                }
                continue
            }
            guard let cutAt = channel.cutAt, madeAt <= cutAt, let head = listed.lastSeq,
                ChannelPosition.valid.contains(head)
            else { continue }
            oldHeads[key] = max(oldHeads[key] ?? .min, head)
        }
    }

    func applied(_ change: StoreChange) {
        switch change {
        case .cursor(let key, let sequence, _):
            if dueFrom[key] == nil, isPosition(sequence, key) { dueFrom[key] = world.schedule.now }
        case .outbox: accepted(change)
        case .delivery(let delivery):
            guard delivery.deadReason != nil, let id = messageID(delivery.message) else { return }
            setAside.insert(id)
            answered.remove(delivery.id)
            if delivery.attempts <= world.plan.redeliveries {
                world.fail("\(delivery.id) was set aside after \(delivery.attempts) attempts")
            }
        default: break
        }
    }

    /// The store has an outgoing message, or says so.
    func accepted(_ change: StoreChange) {
        guard case .outbox(let entry) = change else { return }
        if entry.deadReason != nil { dead.insert(entry.id) }
        if let known = entries[entry.id],
            known.order != entry.order || known.text != entry.text || known.floor != entry.floor
        {
            acceptedAgain.insert(entry.key)
        }
        guard accepted[entry.id] == nil else { return }
        accepted[entry.id] = entry.floor != nil
        entries[entry.id] = entry
        guard let mark = entry.id.lastIndex(of: "#"), !entry.id.contains("#s") else { return }
        accepts.insert(String(entry.id[..<mark]))
    }

    /// The sender was told that the guild refused it.
    func refused(_ entry: String) { dead.insert(entry) }

    private func messageID(_ bytes: [UInt8]) -> String? {
        FabricHistory.Row(id: "", seq: nil, json: bytes).withMessage { $0.idText }
    }

    /// A run ends of which the next may know nothing, or, if only `wakes` were forgotten, that it was: what is for the record
    /// is marked then, unless a restore from a backup has to be noticed again.
    func forgot(onlyWakes: Bool) {
        for message in order where message.deliveries > 0 {
            if onlyWakes, !message.didWake, wentBack[key(message)] == nil { continue }
            message.isForgotten = true
        }
    }

    /// The process died; `stored` is what the next one finds.
    func died(losesPower: Bool, _ stored: StoredAccount) {
        // What was noticed and not kept has to be noticed again.
        let known = noticed.filter { stored.logs[$0.key]?.era ?? 0 >= $0.value.era }
        for message in order where message.deliveries > 0 && message.usedSince != nil {
            if noticed[key(message)] != nil, known[key(message)] == nil { message.isForgotten = true }
        }
        noticed = known
        // What the gateway had adopted is its own to run again, and a loss of power may take the flag that wakes.
        answered = answered.filter { id in hasAnswer(id) || !(losesPower || adopted.contains(id)) }
    }

    // MARK: Turns

    private func hasAnswer(_ id: String) -> Bool { accepts.contains(id) }

    /// The agent is asked. What it said before is lost, unless it was accepted.
    func asked(_ id: String) {
        answered.remove(id)
        guard hasAnswer(id), !isExcused(.sharedID, mayShareIDs) else { return }
        world.fail("\(id) is asked again, and its answer was accepted")
    }

    /// What the agent said at the end of its turn reaches the account; `isTurn`: and its turn is not over there.
    func said(_ id: String, isTurn: Bool) { if isTurn { answered.insert(id) } }

    /// The account said no.
    func notTaken(_ id: String) { answered.remove(id) }

    /// A channel whose first position was lost begins anew.
    func powerWasCut(_ stored: StoredAccount) {
        for key in dueFrom.keys where stored.cursors[key].map({ !isPosition($0, key) }) ?? true { dueFrom[key] = nil }
    }

    /// Before the first message of a channel whose beginning is looked for is none, where no clock tells that beginning.
    private func isPosition(_ sequence: Int64, _ key: ChannelKey) -> Bool {
        guard clocksDiffer, sequence < world.plan.firstSequence else { return true }
        return !wasJoined.contains(key) && world.store.durable.logs[key]?.notBefore == nil
    }

    func processStarted() {
        lastDelivered = [:]
        starts += 1
    }

    func reported(_ report: GuildFeed.Report, of guild: Int) {
        guard let name = world.account?.inbox.nodeID(guild) else { return }
        switch report {
        case .skipped(let channel, let count):
            skipped[ChannelKey(guild: name, channel: channel), default: 0] += count
        case .rewound(let channel, _, _):
            let key = ChannelKey(guild: name, channel: channel)
            wentBack[key] = world.schedule.now
            noticed[key] = (world.schedule.now, world.account?.inbox.guilds[guild].feed.eras[channel] ?? 0)
        case .historyFailing(let channel, _), .historyShort(let channel, _):
            gapTrouble.insert(ChannelKey(guild: name, channel: channel))
        default: break
        }
    }

    func noticed(_ notice: Inbox.Notice, _ host: SimHost) {
        guard case .turnExpired(let id) = notice else { return }
        answered.remove(id)
        if host.settled.contains(id), !isExcused(.sharedID, mayShareIDs) {
            world.fail("the turn of \(id) expired although it was settled")
        }
    }

    // MARK: At every step

    func step(_ account: SimAccount) {
        steps += 1
        guard steps % 8 == 0, account.isRunning else { return }
        for guild in account.inbox.guilds.indices {
            for slot in account.inbox.guilds[guild].feed.slots.indices { checkSize(account, guild, slot) }
        }
        if account.inbox.turns.count > account.inbox.guilds.reduce(0, { $0 + 2 * $1.feed.slots.count }) {
            world.fail("\(account.inbox.turns.count) turns run at once")
        }
        if world.mutant == nil, steps % 32 == 0 { compare(account) }
    }

    private func checkSize(_ account: SimAccount, _ guild: Int, _ slot: Int) {
        let limits = account.inbox.guilds[guild].feed.slots[slot].position.limits
        let waiting = account.inbox.guilds[guild].feed.slots[slot].lane.waitingCount
        if waiting > ChannelSlot.laneLimit + Inbox.page + limits.held { world.fail("a lane holds \(waiting)") }
        let ahead = account.inbox.guilds[guild].feed.slots[slot].position.takenAhead.count
        if ahead > limits.ahead + limits.held { world.fail("\(ahead) are taken in ahead") }
        let flags = account.inbox.guilds[guild].feed.slots[slot].position.wakeups.count
        if flags > limits.held * 5 { world.fail("\(flags) flags are kept") }
    }

    /// What the store has, and what the values hold.
    func compare(_ account: SimAccount) {
        guard world.store.isIdle, account.commits == 0, account.inbox.isCommitted else { return }
        comparisons += 1
        var kept = account.inbox.kept
        kept.outbox = account.outgoing.kept
        kept.notes = account.outgoing.outbox.notes
        var stored = world.store.durable
        stored.outbox.sort { $0.order < $1.order }
        kept.deliveries.sort { $0.id < $1.id }
        stored.deliveries.sort { $0.id < $1.id }
        guard kept != stored, !isExcused(.sharedID, mayShareIDs) else { return }
        world.fail("the store differs: \(stored.differences(from: kept))")
    }
}

extension Inbox {
    /// Nothing is waiting to be given to the store.
    var isCommitted: Bool { pending.isEmpty && !isFlushDue && flushTicket == nil && storing.isEmpty }
}
