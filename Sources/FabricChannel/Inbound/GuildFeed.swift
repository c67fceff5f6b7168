import FabricAPI
import Timing

/// What an agent hears of one guild: the connection's way from token to ready, the channels it is in, and where it is in
/// each of them.
///
/// A plain value: events and the time go in, actions come out. Part of the `Inbox`, which owns one per guild.
struct GuildFeed: Sendable {
    /// The way of a connection. Connected is not authenticated: the guild answers CONNECT before it checks the token, so
    /// the channel list is fetched with the same token first.
    enum Phase: String, Equatable, Sendable {
        case idle, token, connecting, authenticating, joining, catchingUp, ready, backoff
    }

    enum ListPurpose: Equatable, Sendable {
        /// Proves the token that the socket was opened with: fetched with exactly that token.
        case proof
        /// Finds what was posted between the first list and the joins, or in a channel that appeared.
        case heads
        /// The periodic comparison that notices deafness.
        case sync
    }

    enum Action: Equatable, Sendable {
        case list(ListPurpose, epoch: Int)
        case join([Int], epoch: Int, timeout: Duration)
        case leave(channel: String)
        /// Ask history for a page of the range; `number` tells its answer from one to an earlier read.
        case read(slot: Int, number: UInt64, range: ClosedRange<Int64>)
        /// Drop the socket and connect anew with another token.
        case replaceConnection(reason: String)
        case forget(channel: String)
        case phaseChanged
        case report(Report)
    }

    enum Report: Equatable, Sendable {
        case joined(channels: Int)
        case resynced(added: Int, removed: Int)
        case skipped(channel: String, count: Int64)
        case deaf(channel: String)
        case listFailed(String)
        case listDoubted(missing: Int)
        case rewound(channel: String, from: Int64, to: Int64)
        case historyFailing(channel: String, reason: String)
        case historyShort(channel: String, missing: Int64)
        case implausible(channel: String, what: String)
        case tooManyChannels
    }

    struct Settings: Sendable, Equatable {
        var syncPeriod: Duration = .seconds(60)
        var limits = ChannelPosition.Limits()
        /// How long joins are waited for at first; a guild may not acknowledge them at all.
        var joinTimeout: Duration = .seconds(2)
        /// How long once a guild was found not to acknowledge them.
        var unansweredJoinTimeout: Duration = .milliseconds(500)
        /// How long an answer of history is waited for, and how long live messages wait behind a gap that cannot be read:
        /// then they go ahead of it.
        var historyPatience: Duration = .seconds(20)
    }

    /// Why a channel list could not be had.
    enum ListFailure: Error, Equatable, Sendable {
        case refused(String)
        case passing(String)
    }

    /// Channels that push events alone may add; beyond, only lists do.
    static let unlistedLimit = 1000
    /// Shortest time between two lists that events ask for.
    static let listPause: Duration = .seconds(1)

    var settings: Settings
    private(set) var phase = Phase.idle
    /// Counts connections, so that an answer to an earlier one is recognised.
    private(set) var epoch = 0
    var slots: [ChannelSlot] = []
    @FixedInstant var nextTick: ContinuousClock.Instant?
    var deafEvents = 0
    /// The connection last found deaf.
    var deafEpoch = -1
    /// Times the guild said something that no log can be.
    var protocolErrors = 0
    var index: [String: Int] = [:]
    var freeSlots: [Int] = []
    /// What was kept of channels that no list has shown yet.
    var restored: [String: RestoredChannel]
    /// The run before did not end in good order.
    let isUncertain: Bool
    /// How often the logs of channels went back, also of those that the agent is not in now.
    var eras: [String: Int]
    /// Seconds since 1970 of the last complete list, by the guild's clock.
    var listedAt: Double?
    /// By how much the guild's clock is ahead of this machine's, in seconds. Nothing that the guild dates is compared with our
    /// own time without it.
    var clockOffset: Double = 0
    var knowsClock = false
    /// The newest creation time among the channels listed so far, by the guild's clock.
    var newestChannel = -Double.infinity
    /// A list was believed in this run.
    var hasListed = false
    var listAttempts = 0
    /// The last list lacked channels that the one before had; the next one decides.
    var isListDoubted = false
    /// Those of them that are only known from before this run.
    var doubtedChannels: Set<String> = []
    var listsUnderWay = 0
    /// A list is wanted as soon as the one under way is here.
    var wantsList = false
    var retryPurpose: ListPurpose?
    /// The guild has not acknowledged a single join of a whole batch.
    var joinsGoUnanswered = false
    /// Slots whose cursor, or lane, is ahead of what the store has.
    var dirty: [Int] = []
    /// The slots whose read failed, and when it is tried again.
    var retries: [Int: ContinuousClock.Instant] = [:]
    /// The slots whose last message may be what a rotation waits for the agent to answer, and until when others may write.
    var possibleTurns: [Int: ContinuousClock.Instant] = [:]
    /// False while the store takes nothing: then nothing is taken in, and what comes is left in the guild.
    var takesIn = true
    private var reads: UInt64 = 0
    var random: SplitMix64

    init(
        settings: Settings, restored: [String: RestoredChannel], eras: [String: Int] = [:], listedAt: Double?,
        isUncertain: Bool = false, seed: UInt64
    ) {
        self.settings = settings
        self.restored = restored
        self.eras = eras
        self.listedAt = listedAt
        self.isUncertain = isUncertain
        self.random = SplitMix64(state: seed)
    }

    /// Takes up other settings. A shorter period counts from now on.
    mutating func adopt(_ settings: Settings, now: ContinuousClock.Instant) {
        let isShorter = settings.syncPeriod < self.settings.syncPeriod
        self.settings = settings
        for slot in slots.indices { slots[slot].position.limits = settings.limits }
        if isShorter, retryPurpose == nil, let due = nextTick {
            nextTick = min(due, now.advanced(by: settings.syncPeriod))
        }
    }

    /// The guild's time, when this machine's is `wall`.
    func guildTime(_ wall: Double) -> Double { wall + clockOffset }

    var channelCount: Int { index.count }
    /// Whether what was delivered before the run is still not known for certain.
    var isStillUncertain: Bool {
        guard isUncertain else { return false }
        return !hasListed
            || slots.contains { slot in
                // A log that is shorter than our position may be another one, of which something was delivered too.
                slot.isPresent
                    && (slot.isUncertain || slot.lowestHead != nil
                        || slot.uncertainThrough ?? .min > slot.position.intake ?? .min)
            }
    }
    var isReady: Bool { phase == .ready }
    func slot(of channel: String) -> Int? { index[channel] }

    // MARK: The connection

    mutating func askedForToken() -> [Action] { enter(.token) }
    mutating func connecting() -> [Action] { enter(.connecting) }

    /// The guild acknowledged the CONNECT; that proves nothing yet.
    mutating func connected() -> [Action] {
        epoch += 1
        listAttempts = 0
        listsUnderWay = 0
        wantsList = false
        nextTick = nil
        for slot in slots.indices {
            slots[slot].joined = false
            slots[slot].isJoining = false
        }
        return enter(.authenticating) + list(.proof)
    }

    /// The socket is gone; the client reconnects by itself unless the connection is being stopped.
    mutating func disconnected(stopped: Bool) -> [Action] {
        epoch += 1
        nextTick = nil
        retryPurpose = nil
        retries = [:]
        // Reads under way belong to the connection that is gone; the next one begins with a list, and reads what is
        // missing then.
        for slot in slots.indices {
            slots[slot].position.pauseReading()
            slots[slot].read = 0
            // What the old socket missed says nothing of the next one.
            slots[slot].suspect = false
            slots[slot].missedHead = nil
            slots[slot].provenMissed = false
            slots[slot].rowsSeen = 0
            slots[slot].readFailures = 0
            slots[slot].shortReads = 0
            slots[slot].failingSince = nil
            // Suspicions were of that connection.
            slots[slot].missedHead = nil
            slots[slot].suspect = false
            slots[slot].provenMissed = false
            slots[slot].rowsSeen = 0
        }
        return enter(stopped ? .idle : .backoff)
    }

    mutating func enter(_ new: Phase) -> [Action] {
        guard phase != new else { return [] }
        phase = new
        return [.phaseChanged]
    }

    mutating func becomeReadyIfCaughtUp() -> [Action] {
        guard phase == .catchingUp else { return [] }
        let waiting = slots.contains { $0.isPresent && $0.position.reading != nil && $0.readFailures == 0 }
        return waiting ? [] : enter(.ready)
    }

    /// Asks for the range, and for the message before it if that is known: it tells whether the log still is the same.
    mutating func read(_ slot: Int, _ range: ClosedRange<Int64>) -> Action {
        reads += 1
        slots[slot].read = reads
        guard let intake = slots[slot].position.intake, intake >= 0, intake == range.lowerBound - 1,
            slots[slot].position.isSeen, slots[slot].newestKnown != nil
        else { return .read(slot: slot, number: reads, range: range) }
        return .read(slot: slot, number: reads, range: intake...range.upperBound)
    }

    /// The slot has something that the store has not.
    @inline(__always)
    mutating func markDirty(_ slot: Int) {
        if slots[slot].cursorDirty { return }
        slots[slot].cursorDirty = true
        dirty.append(slot)
    }

    // MARK: Time

    mutating func list(_ purpose: ListPurpose) -> [Action] {
        listsUnderWay += 1
        return [.list(purpose, epoch: epoch)]
    }

    mutating func scheduleSync(now: ContinuousClock.Instant) {
        nextTick = now.advanced(by: settings.syncPeriod * (0.9 + 0.2 * random.unit()))
    }

    /// The earliest time at which `tick` has something to do.
    var due: ContinuousClock.Instant? {
        var due = nextTick
        if !retries.isEmpty, let next = retries.values.min() { due = due.map { min($0, next) } ?? next }
        if !possibleTurns.isEmpty, let next = possibleTurns.values.min() { due = due.map { min($0, next) } ?? next }
        return due
    }

    mutating func tick(now: ContinuousClock.Instant) -> [Action] {
        var actions: [Action] = []
        let again = retries.isEmpty ? [] : retries.filter { $0.value <= now }.keys.sorted()
        for slot in again {
            retries[slot] = nil
            if let range = remainingGap(slot) { actions.append(read(slot, range)) }
        }
        guard let due = nextTick, due <= now else { return actions }
        nextTick = nil
        if let purpose = retryPurpose {
            retryPurpose = nil
            return actions + list(purpose)
        }
        guard phase == .ready || phase == .catchingUp else { return actions }
        return actions + list(.sync)
    }

    // MARK: Push events

    /// The guild says that the agent is now in a channel. `occurredAt`: seconds since 1970, by the guild's clock.
    mutating func channelJoined(_ id: String, type: FabricChannelType, occurredAt: Double?, wall: Double) -> [Action] {
        if let slot = index[id], slots[slot].joined || slots[slot].isJoining { return [] }
        if index[id] == nil, slots.lazy.filter({ $0.isPresent && !$0.isListed }).count >= Self.unlistedLimit {
            protocolErrors += 1
            return [.report(.tooManyChannels)]
        }
        let slot =
            index[id]
            ?? insert(ListedChannel(id: id, name: nil, type: type, lastSeq: nil, closed: false, createdAt: nil))
        slots[slot].awaitsListing = true
        if slots[slot].position.intake == nil {
            slots[slot].notBefore = occurredAt ?? guildTime(wall) - 60
            slots[slot].beginWhereWeCameIn()
            markDirty(slot)
        }
        guard phase == .ready || phase == .catchingUp || phase == .joining else { return [] }
        return join([slot])
    }

    /// The guild says that the agent left a channel.
    mutating func channelLeft(_ id: String) -> [Action] {
        guard let slot = index[id] else { return [] }
        remove(slot)
        return [.leave(channel: id), .forget(channel: id)]
    }

    // MARK: Joins

    mutating func join(_ wanted: [Int]) -> [Action] {
        guard !wanted.isEmpty || phase == .joining else { return [] }
        for slot in wanted { slots[slot].isJoining = true }
        let timeout = joinsGoUnanswered ? settings.unansweredJoinTimeout : settings.joinTimeout
        return [.join(wanted, epoch: epoch, timeout: timeout)]
    }

    /// Every join was acknowledged, or waited for long enough. `answered`: how many were acknowledged.
    mutating func joinsEnded(_ joined: [Int], answered: Int, epoch: Int, now: ContinuousClock.Instant) -> [Action] {
        guard epoch == self.epoch else { return [] }
        if !joined.isEmpty { joinsGoUnanswered = answered == 0 }
        for slot in joined where slots.indices.contains(slot) && slots[slot].isJoining {
            slots[slot].joined = true
            slots[slot].isJoining = false
        }
        var actions: [Action] = []
        if phase == .joining {
            actions += enter(.catchingUp)
            actions.append(.report(.joined(channels: slots.lazy.filter { $0.joined && $0.isPresent }.count)))
            return actions + list(.heads)
        }
        return actions + wantList(now: now)
    }

    /// Events ask for a list: at once if none is under way and the last one is old enough, else a little later, once.
    mutating func wantList(now: ContinuousClock.Instant) -> [Action] {
        guard phase == .ready || phase == .catchingUp else { return [] }
        if listsUnderWay > 0 {
            wantsList = true
            return []
        }
        if retryPurpose == nil {
            retryPurpose = .heads
            nextTick = now.advanced(by: Self.listPause * (0.2 + 0.8 * random.unit()))
        }
        return []
    }
}
