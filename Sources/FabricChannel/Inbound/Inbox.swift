import ChannelStore
import FabricAPI

/// What comes in for one account: where it is in every channel of every guild, the deliveries that wait, those the gateway
/// has, and what of all this is kept.
///
/// A plain value with one entrance: `handle` takes an event and appends what is to be done. It knows no socket, request,
/// file or clock. A delivery is in exactly one place at a time: in the lane of its channel, in `turns` (a wake delivery from
/// the moment it leaves its lane until it is settled), in `unadopted` (for the record, with the gateway, not yet safe
/// there) or in `setAside`.
///
/// What is kept and what the store holds are the same by construction: whatever changes it is followed by a change for the
/// store, in the same order (`kept` is compared with it in the tests after every step). Positions and waiting messages
/// are gathered and committed once per turn of the loop; a turn is committed before its delivery leaves.
struct Inbox {
    struct Settings: Sendable, Equatable {
        var feed = GuildFeed.Settings()
        /// Whether caught-up messages may wake the agent.
        var infersWake = true
        var catchUpHours: Double = 24
        /// How long others may write before the agent is woken by what may be its turn: up to twice that; zero: never.
        var turnPatience: Duration = .seconds(15)
        var turnTimeout: Duration = .seconds(1800)
        /// How often a delivery is delivered again after its turn died with the process; then it is set aside.
        var redeliveries = 3
        var chatter = AgentChatter.Limits()
    }

    /// The two clocks: one to wait by, one to compare with times from outside (seconds since 1970).
    struct Moment: Sendable {
        var instant: ContinuousClock.Instant
        var wall: Double
    }

    /// A wake delivery whose turn is not over.
    struct Turn {
        enum Phase: Equatable {
            /// Waits until the store has it.
            case storing(ticket: UInt64)
            case fetching
            case handedOver(deadline: ContinuousClock.Instant)
        }

        var guild: Int
        var slot: Int
        var generation: Int
        var channel: String
        var message: PendingMessage
        var phase: Phase
        var mediaDirectory: String?
        /// The host keeps it: after a crash it must not come again.
        var isAdopted = false
    }

    let account: String
    /// Where the directories for attachments are made.
    let mediaRoot: String
    var settings: Settings
    var guilds: [GuildInbox] = []
    var numbers: [String: Int] = [:]
    var turns: [String: Turn] = [:]
    /// Deliveries for the record that the gateway has and has not adopted yet.
    var unadopted: [String: StoredDelivery] = [:]
    /// Deliveries that are not tried any more, until the operator decides.
    var setAside: [StoredDelivery] = []
    var user = ""
    /// What the agent is called, where Center says it.
    var userName: String?
    var userBytes: [UInt8] = []
    /// The users known to be agents; shared by the accounts of an instance.
    let agents: AgentDirectory

    // What the store is about to be told.
    var pending: [StoreChange] = []
    var nextTicket: UInt64 = 0
    /// The flush that is under way: the next one waits for it, so that a slow store makes larger commits, not more.
    var flushTicket: UInt64?
    var isFlushDue = false
    /// Turns that wait for their commit, in order.
    var storing: [(ticket: UInt64, turn: String)] = []
    var isStoreGood = true

    /// Whether every message is accounted for with a `trace`.
    var traces = false
    /// The gateway offers a command that ends the turn of its conversation.
    var knowsStop = false
    var isDraining = false
    var isStopped = false
    var random: SplitMix64

    /// - Parameter stored: what is kept of the account.
    /// - Parameter isHandover: another instance of this process ran it until now, so the gateway still has what was handed
    ///   over.
    init(
        account: String, settings: Settings, stored: StoredAccount, isHandover: Bool, mediaRoot: String,
        agents: AgentDirectory, seed: UInt64, now: Moment, _ actions: inout [Action]
    ) {
        self.account = account
        self.settings = settings
        self.mediaRoot = mediaRoot
        self.agents = agents
        random = SplitMix64(state: seed)
        restore(stored, isHandover: isHandover, now: now, &actions)
    }

    // MARK: The entrance

    /// Takes an event and appends what is to be done. `now` is asked for only where a decision needs it.
    @inline(__always)
    mutating func handle(_ event: Event, now: @autoclosure () -> Moment, _ actions: inout [Action]) {
        if case .message(let guild, let view, let json) = event {
            guard let record = live(view, json, guild, now: now(), &actions) else { return }
            actions.append(.record(guild, slot: record.slot, isFromAgent: record.isFromAgent))
        } else {
            handleOther(event, now: now(), &actions)
        }
    }

    @inline(never)
    private mutating func handleOther(_ event: Event, now: Moment, _ actions: inout [Action]) {
        guard !isStopped else { return }
        switch event {
        case .message: break
        case .session(let user, let name, let guilds): session(user, name, guilds, now: now, &actions)
        case .askedForToken(let guild): feed(guild, &actions) { $0.askedForToken() }
        case .connecting(let guild): feed(guild, &actions) { $0.connecting() }
        case .connected(let guild): feed(guild, &actions) { $0.connected() }
        case .disconnected(let guild): feed(guild, &actions) { $0.disconnected(stopped: false) }
        case .listed(let guild, let channels, let purpose, let epoch, let date):
            listed(guild, channels, purpose, epoch: epoch, date: date, now: now, &actions)
        case .listFailed(let guild, let failure, let purpose, let epoch):
            feed(guild, &actions) { $0.listFailed(failure, purpose: purpose, epoch: epoch, now: now.instant) }
        case .joinsEnded(let guild, let slots, let answered, let epoch):
            feed(guild, &actions) { $0.joinsEnded(slots, answered: answered, epoch: epoch, now: now.instant) }
        case .unreadable(let guild):
            implausible(guild, channel: "", what: "a message event that cannot be read", &actions)
        case .membership(let guild, let change, let joined):
            membership(guild, change, joined: joined, now: now, &actions)
        case .page(let guild, let slot, let number, let rows):
            page(guild, slot, number, rows, now: now, &actions)
        case .pageFailed(let guild, let slot, let number, let isFinal, let reason):
            pageFailed(guild, slot, number, isFinal: isFinal, reason: reason, now: now, &actions)
        case .recordAnswered(let guild, let slot, let message, let isStored, let answer):
            recordAnswered(guild, slot, message, isStored: isStored, answer, &actions)
        case .recordTaken(let guild, let slot, let json): recordTaken(guild, slot, json, &actions)
        case .fetched(let id): fetched(id, now: now, &actions)
        case .answered(let id, let answer): answered(id, answer, now: now, &actions)
        case .settled(let id, let outcome): settled(id, outcome, now: now, &actions)
        case .posted(let guild, let channel, let sequence): posted(guild, channel, sequence, now: now, &actions)
        case .stored(let ticket): stored(ticket, &actions)
        case .storeHealth(let isGood): storeHealth(isGood, now: now, &actions)
        case .flush: flush(&actions)
        case .tick: tick(now: now, &actions)
        case .drain: isDraining = true
        case .stop: stop(&actions)
        case .resubmit(let id): resubmit(id, now: now, &actions)
        case .drop(let id): drop(id, &actions)
        }
    }

    // MARK: What others may ask

    /// A guild's name, by its number.
    func nodeID(_ guild: Int) -> String { guilds[guild].nodeID }

    /// A channel's id, by its slot.
    func channel(_ guild: Int, _ slot: Int) -> String { guilds[guild].feed.slots[slot].id }

    /// The number of a guild that the session has.
    func number(of guild: String) -> Int? { numbers[guild].flatMap { guilds[$0].isOpen ? $0 : nil } }

    /// The constant parts of a channel's deliveries.
    func conversation(_ guild: Int, _ slot: Int, endpoint: String = "") -> ConversationText {
        let channel = guilds[guild].feed.slots[slot]
        return ConversationText(
            account: account, user: user, userName: userName, guild: guilds[guild].nodeID, channel: channel.id,
            name: channel.name, type: channel.type,
            idPrefix: channel.deliveryPrefix(account: account, guild: guilds[guild].nodeID), purpose: channel.purpose,
            onDuty: channel.onDuty, endpoint: endpoint)
    }

    /// Whether nothing of the conversation waits or is under way.
    func isFree(_ guild: Int, _ slot: Int) -> Bool {
        isSlot(guild, slot) && guilds[guild].feed.slots[slot].lane.isFree
    }

    /// Whether the gateway works at this delivery, so that a message can belong to its turn.
    func isTurn(_ id: String) -> Bool { turns[id] != nil }

    func turn(_ id: String) -> Turn? { turns[id] }

    /// The highest position that is known of a channel: a post made now lies behind it.
    func highest(_ key: ChannelKey) -> Int64? {
        guard let guild = numbers[key.guild], let slot = guilds[guild].feed.slot(of: key.channel) else { return nil }
        let channel = guilds[guild].feed.slots[slot]
        return max(channel.position.brought, channel.head ?? ChannelPosition.valid.lowerBound)
    }

    /// The guild that lists a channel; nil when none does or more than one.
    func guild(listing channel: String) -> String? {
        let found = guilds.filter { $0.isOpen && $0.feed.slot(of: channel) != nil }
        return found.count == 1 ? found[0].nodeID : nil
    }

    /// The earliest time at which `tick` has something to do.
    var due: ContinuousClock.Instant? {
        var due: ContinuousClock.Instant?
        // In place: copying a guild for every event costs more than all else where there are a thousand.
        for guild in guilds.indices where guilds[guild].isOpen {
            guard let next = guilds[guild].feed.due else { continue }
            due = due.map { min($0, next) } ?? next
        }
        for turn in turns.values {
            guard case .handedOver(let deadline) = turn.phase else { continue }
            due = due.map { min($0, deadline) } ?? deadline
        }
        return due
    }

    var isQuiet: Bool { turns.isEmpty }

    /// How many guilds the session has, and how many of them are connected.
    var readiness: (open: Int, ready: Int) {
        var (open, ready) = (0, 0)
        for guild in guilds.indices where guilds[guild].isOpen {
            open += 1
            if guilds[guild].feed.isReady { ready += 1 }
        }
        return (open, ready)
    }

    /// The numbers of those that are not connected.
    var guildsAway: Set<Int> {
        Set(guilds.indices.filter { guilds[$0].isOpen && !guilds[$0].feed.isReady })
    }

    /// Changes with every name that is a part of its channels' deliveries.
    @inline(__always)
    func namesVersion(_ guild: Int) -> Int { guilds[guild].namesVersion }

    func phase(_ guild: Int) -> GuildFeed.Phase { guilds[guild].feed.phase }

    var setAsideCount: Int { setAside.count }

    var laneCount: Int { guilds.reduce(0) { $0 + $1.feed.slots.count { !$0.lane.isEmpty } } }

    var waitingCount: Int { guilds.reduce(0) { $0 + $1.feed.slots.reduce(0) { $0 + $1.lane.waitingCount } } }

    /// How many agents are not listened to at the moment, counted per conversation.
    func agentsHeld(now: ContinuousClock.Instant) -> Int {
        guilds.reduce(0) { $0 + $1.feed.slots.reduce(0) { $0 + $1.chatter.heldAuthors(now: now) } }
    }

    /// Takes up other settings; what is under way goes on.
    mutating func adopt(_ settings: Settings, now: ContinuousClock.Instant) {
        self.settings = settings
        for guild in guilds.indices { guilds[guild].feed.adopt(settings.feed, now: now) }
    }

    // MARK: Time

    private mutating func tick(now: Moment, _ actions: inout [Action]) {
        for guild in guilds.indices where guilds[guild].isOpen {
            feed(guild, &actions) { $0.tick(now: now.instant) }
            endWaits(guild, now: now, &actions)
        }
        for (id, turn) in turns.sorted(by: { $0.key < $1.key }) {
            guard case .handedOver(let deadline) = turn.phase, deadline <= now.instant else { continue }
            actions.append(.notice(.turnExpired(delivery: id)))
            endTurn(id, .finished, now: now, &actions)
        }
    }
}

/// One guild, as an inbox has it: kept for as long as anything of it is, whether the session has it or not.
struct GuildInbox {
    let nodeID: String
    var feed: GuildFeed
    var isOpen = false
    var recentIDs = RecentIDs()
    /// Messages without a position have been seen, so ids have to be remembered for the others too.
    var hasUnsequenced = false
    var duplicates = 0
    var skipped: Int64 = 0
    /// Messages that the guild says it has, and that its history did not show.
    var missing: Int64 = 0
    /// Counts changes of names and types, so that what was written with them is written anew.
    var namesVersion = 0
    private var lastChannel: [UInt8] = []
    private var lastSlot = -1

    init(nodeID: String, feed: GuildFeed) {
        self.nodeID = nodeID
        self.feed = feed
    }

    /// The slot of a channel named by raw bytes, if it was the last that was looked for: messages come in runs.
    @inline(__always)
    func lastSlot(of channel: UnsafeRawBufferPointer) -> Int? {
        guard lastSlot >= 0, lastChannel.count == channel.count, lastChannel.withUnsafeBytes({ same($0, channel) })
        else { return nil }
        return lastSlot
    }

    @inline(never)
    mutating func findSlot(of channel: UnsafeRawBufferPointer) -> Int? {
        guard let slot = feed.slot(of: String(decoding: channel, as: UTF8.self)) else { return nil }
        lastChannel = Array(channel)
        lastSlot = slot
        return slot
    }

    /// Slots change hands, and names change, only through lists and push events.
    mutating func namesChanged() {
        lastSlot = -1
        namesVersion += 1
    }
}
