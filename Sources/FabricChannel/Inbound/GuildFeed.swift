import FabricAPI

/// What an agent hears of one guild: the connection's way from token to ready, the channels it is in, and where it is in
/// each of them.
///
/// A plain value: events and the time go in, actions come out. Sockets, requests and timers are the business of
/// `GuildLink`. The phases are those of the design, section 5.
struct GuildFeed: Sendable {
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
        case join([Int], epoch: Int)
        case leave(channel: String)
        case readHistory(slot: Int, generation: Int, range: ClosedRange<Int64>)
        /// Drop the socket and connect anew with another token.
        case replaceConnection(reason: String, deaf: Bool)
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
        case rewound(channel: String, from: Int64, to: Int64)
        case historyGivenUp(channel: String, reason: String)
    }

    struct Settings: Sendable {
        var syncPeriod: Duration = .seconds(60)
        var limits = ChannelPosition.Limits()
    }

    /// Why a channel list could not be had.
    enum ListFailure: Error, Equatable, Sendable {
        case refused(String)
        case passing(String)
    }

    let settings: Settings
    private(set) var phase = Phase.idle
    /// Counts connections, so that an answer to an earlier one is recognised.
    private(set) var epoch = 0
    private(set) var slots: [ChannelSlot] = []
    private(set) var nextTick: ContinuousClock.Instant?
    private(set) var deafEvents = 0
    private var index: [String: Int] = [:]
    private var freeSlots: [Int] = []
    private var restored: [String: Int64]
    /// Seconds since 1970 of the last complete list, by this machine's clock.
    private(set) var listedAt: Double?
    /// The newest creation time among the channels listed so far, by the guild's clock.
    private var newestChannel = -Double.infinity
    private var listAttempts = 0
    private var retryPurpose: ListPurpose?
    private var random: SplitMix64

    init(settings: Settings, restored: [String: Int64], listedAt: Double?, seed: UInt64) {
        self.settings = settings
        self.restored = restored
        self.listedAt = listedAt
        self.random = SplitMix64(state: seed)
    }

    var channelCount: Int { index.count }

    /// Where the agent is in every channel, those included that no list has confirmed yet: what has to survive.
    var positions: [String: Int64] {
        var positions = restored
        for slot in slots where slot.isPresent { positions[slot.id] = slot.position.intake ?? positions[slot.id] }
        return positions
    }
    var isReady: Bool { phase == .ready }

    // MARK: The connection

    mutating func askedForToken() -> [Action] { enter(.token) }
    mutating func connecting() -> [Action] { enter(.connecting) }

    /// The guild acknowledged the CONNECT; that proves nothing yet.
    mutating func connected() -> [Action] {
        epoch += 1
        listAttempts = 0
        nextTick = nil
        for slot in slots.indices { slots[slot].joined = false }
        return enter(.authenticating) + [.list(.proof, epoch: epoch)]
    }

    /// The socket is gone; the client reconnects by itself unless the link is being stopped.
    mutating func disconnected(stopped: Bool) -> [Action] {
        epoch += 1
        nextTick = nil
        retryPurpose = nil
        return enter(stopped ? .idle : .backoff)
    }

    private mutating func enter(_ new: Phase) -> [Action] {
        guard phase != new else { return [] }
        phase = new
        return [.phaseChanged]
    }

    // MARK: The channel list

    /// A list arrived. `wall` is this machine's time, seconds since 1970.
    mutating func listed(
        _ channels: [ListedChannel], purpose: ListPurpose, epoch: Int, now: ContinuousClock.Instant, wall: Double
    ) -> [Action] {
        guard epoch == self.epoch else { return [] }
        listAttempts = 0
        retryPurpose = nil
        var actions = update(with: channels, wall: wall)
        switch purpose {
        case .proof:
            let toJoin = joinable
            actions += enter(.joining)
            actions.append(.join(toJoin, epoch: epoch))
        case .heads, .sync:
            let toJoin = joinable
            if !toJoin.isEmpty { actions.append(.join(toJoin, epoch: epoch)) }
            for slot in slots.indices where slots[slot].isPresent {
                actions += compare(slot, purpose: purpose)
            }
            scheduleSync(now: now)
            if phase == .catchingUp { actions += becomeReadyIfCaughtUp() }
        }
        return actions
    }

    private var joinable: [Int] {
        slots.indices.filter { slots[$0].isPresent && !slots[$0].joined && !slots[$0].closed }
    }

    private mutating func update(with channels: [ListedChannel], wall: Double) -> [Action] {
        let firstList = listedAt == nil
        let previousList = listedAt
        let newestBefore = newestChannel
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
            if slots[slot].position.intake != nil { continue }
            if firstList || channel.closed {
                slots[slot].position.begin(at: channel.lastSeq ?? 0)
            } else {
                let isNew = channel.createdAt.map { $0 > newestBefore } ?? false
                // The margin covers a clock that is a little ahead of the guild's.
                slots[slot].notBefore = isNew ? nil : previousList.map { $0 - 5 }
                slots[slot].beginWhereWeCameIn()
            }
        }
        var removed = 0
        var actions: [Action] = []
        for slot in slots.indices where slots[slot].isPresent && !listedNow.contains(slot) {
            if slots[slot].awaitsListing {
                // The list may have been made before the agent was added; the next one decides.
                slots[slot].awaitsListing = false
                continue
            }
            actions.append(.forget(channel: slots[slot].id))
            remove(slot)
            removed += 1
        }
        for id in restored.keys.sorted() where index[id] == nil { actions.append(.forget(channel: id)) }
        listedAt = wall
        restored = [:]
        if !firstList, added + removed > 0 { actions.append(.report(.resynced(added: added, removed: removed))) }
        return actions
    }

    private mutating func insert(_ channel: ListedChannel) -> Int {
        var slot = ChannelSlot(channel, intake: restored[channel.id], limits: settings.limits)
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
        return slot
    }

    private mutating func remove(_ slot: Int) {
        index[slots[slot].id] = nil
        slots[slot].isPresent = false
        if slots[slot].lane.isEmpty { freeSlots.append(slot) }
    }

    /// Compares the guild's head of a channel with what the socket brought.
    private mutating func compare(_ slot: Int, purpose: ListPurpose) -> [Action] {
        guard let head = slots[slot].head, let intake = slots[slot].position.intake else { return [] }
        var actions: [Action] = []
        if head < intake, purpose == .sync {
            if slots[slot].rewoundTo == head {
                actions.append(.report(.rewound(channel: slots[slot].id, from: intake, to: head)))
                slots[slot].position.rewind(to: head)
                slots[slot].rewoundTo = nil
            } else {
                slots[slot].rewoundTo = head
            }
            return actions
        }
        slots[slot].rewoundTo = nil
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

    private mutating func readUpTo(_ head: Int64, slot: Int) -> [Action] {
        guard slots[slot].lane.waitingCount < ChannelSlot.laneLimit else { return [] }
        let skippedBefore = slots[slot].position.skipped
        guard let range = slots[slot].position.catchUp(to: head) else { return [] }
        return reading(range, slot: slot, skippedBefore: skippedBefore)
    }

    private func reading(_ range: ClosedRange<Int64>, slot: Int, skippedBefore: Int64) -> [Action] {
        var actions: [Action] = []
        let skipped = slots[slot].position.skipped - skippedBefore
        if skipped > 0, slots[slot].notBefore == nil, !slots[slot].startsInside {
            actions.append(.report(.skipped(channel: slots[slot].id, count: skipped)))
        }
        actions.append(.readHistory(slot: slot, generation: slots[slot].generation, range: range))
        return actions
    }

    /// The list could not be had.
    mutating func listFailed(
        _ failure: ListFailure, purpose: ListPurpose, epoch: Int, now: ContinuousClock.Instant
    ) -> [Action] {
        guard epoch == self.epoch else { return [] }
        switch failure {
        case .refused(let words):
            return [.replaceConnection(reason: "the guild refused the token: \(words)", deaf: false)]
        case .passing(let words):
            listAttempts += 1
            if purpose == .sync {
                scheduleSync(now: now)
                // Nothing proves any more that the socket brings everything: that is not called connected.
                if listAttempts >= 2, phase == .ready {
                    return [.report(.listFailed(words))] + enter(.catchingUp)
                }
            } else {
                let seconds = Double(1 << min(listAttempts - 1, 5)) * (0.5 + random.unit() / 2)
                retryPurpose = purpose
                nextTick = now.advanced(by: .seconds(seconds))
            }
            return [.report(.listFailed(words))]
        }
    }

    /// Every join was acknowledged, or waited for long enough.
    mutating func joinsEnded(_ joined: [Int], epoch: Int) -> [Action] {
        guard epoch == self.epoch else { return [] }
        for slot in joined where slots.indices.contains(slot) { slots[slot].joined = true }
        var actions: [Action] = []
        if phase == .joining {
            actions += enter(.catchingUp)
            actions.append(.report(.joined(channels: slots.lazy.filter { $0.joined && $0.isPresent }.count)))
        }
        return actions + [.list(.heads, epoch: epoch)]
    }

    private mutating func becomeReadyIfCaughtUp() -> [Action] {
        let waiting = slots.contains { $0.isPresent && $0.position.reading != nil && $0.readFailures == 0 }
        return waiting ? [] : enter(.ready)
    }

    private mutating func scheduleSync(now: ContinuousClock.Instant) {
        nextTick = now.advanced(by: settings.syncPeriod * (0.9 + 0.2 * random.unit()))
    }

    /// The time of `nextTick` has come.
    mutating func tick(now: ContinuousClock.Instant) -> [Action] {
        guard let due = nextTick, due <= now else { return [] }
        nextTick = nil
        if let purpose = retryPurpose {
            retryPurpose = nil
            return [.list(purpose, epoch: epoch)]
        }
        guard phase == .ready || phase == .catchingUp else { return [] }
        return [.list(.sync, epoch: epoch)]
    }

    // MARK: Push events

    /// The guild says that the agent is now in a channel. `occurredAt`: seconds since 1970, by the guild's clock.
    mutating func channelJoined(_ id: String, type: FabricChannelType, occurredAt: Double?, wall: Double) -> [Action] {
        if let slot = index[id], slots[slot].joined { return [] }
        let slot =
            index[id]
            ?? insert(ListedChannel(id: id, name: nil, type: type, lastSeq: nil, closed: false, createdAt: nil))
        slots[slot].awaitsListing = true
        if slots[slot].position.intake == nil {
            slots[slot].notBefore = occurredAt ?? wall - 60
            slots[slot].beginWhereWeCameIn()
        }
        guard phase == .ready || phase == .catchingUp || phase == .joining else { return [] }
        return [.join([slot], epoch: epoch)]
    }

    /// The guild says that the agent left a channel.
    mutating func channelLeft(_ id: String) -> [Action] {
        guard let slot = index[id] else { return [] }
        remove(slot)
        return [.leave(channel: id), .forget(channel: id)]
    }

    // MARK: Messages

    func slot(of channel: String) -> Int? { index[channel] }

    /// Runs `body` on a slot in place.
    @inline(__always)
    mutating func withSlot<Result>(_ slot: Int, _ body: (inout ChannelSlot) -> Result) -> Result {
        body(&slots[slot])
    }

    /// A slot whose channel is gone can be used again once its lane is empty.
    mutating func laneEmptied(_ slot: Int) {
        if !slots[slot].isPresent, !freeSlots.contains(slot) { freeSlots.append(slot) }
    }

    /// A live message is ahead of a gap: what to read.
    func gap(_ range: ClosedRange<Int64>, slot: Int, skippedBefore: Int64) -> [Action] {
        reading(range, slot: slot, skippedBefore: skippedBefore)
    }

    /// History showed a row of the gap; `pushable` when the socket should have brought it.
    mutating func sawRow(_ slot: Int, pushable: Bool) {
        guard slots[slot].suspect else { return }
        slots[slot].rowsSeen += 1
        if pushable { slots[slot].provenMissed = true }
    }

    /// The whole gap was read, or given up. Returns the held messages that follow it.
    mutating func historyEnded(
        _ slot: Int, generation: Int
    ) -> (ready: [(sequence: Int64, held: ChannelPosition.Held)], actions: [Action]) {
        guard slots.indices.contains(slot), slots[slot].generation == generation else { return ([], []) }
        slots[slot].readFailures = 0
        let skippedBefore = slots[slot].position.skipped
        let (ready, next) = slots[slot].position.finishReading()
        var actions: [Action] = []
        if let next { actions += reading(next, slot: slot, skippedBefore: skippedBefore) }
        if next == nil {
            slots[slot].startsInside = false
            slots[slot].notBefore = nil
        }
        if slots[slot].suspect {
            slots[slot].suspect = false
            slots[slot].missedHead = nil
            // A head that moved while neither the socket nor history shows anything is no proof of health.
            let deaf = slots[slot].provenMissed || slots[slot].rowsSeen == 0
            slots[slot].provenMissed = false
            slots[slot].rowsSeen = 0
            if deaf {
                deafEvents += 1
                actions.append(.report(.deaf(channel: slots[slot].id)))
                actions.append(
                    .replaceConnection(
                        reason: "the socket was deaf: history had messages it did not bring", deaf: true))
            }
        }
        if phase == .catchingUp { actions += becomeReadyIfCaughtUp() }
        return (ready, actions)
    }

    /// A read failed for a passing reason. Returns how long to wait before `retryHistory`.
    mutating func historyFailed(_ slot: Int, generation: Int) -> (delay: Duration, actions: [Action])? {
        guard slots.indices.contains(slot), slots[slot].generation == generation else { return nil }
        slots[slot].readFailures += 1
        let seconds = Double(1 << min(slots[slot].readFailures - 1, 6)) * (0.5 + random.unit() / 2)
        return (.seconds(seconds), phase == .catchingUp ? becomeReadyIfCaughtUp() : [])
    }

    /// What is left of the gap after a failed read.
    func remainingGap(_ slot: Int, generation: Int) -> ClosedRange<Int64>? {
        guard slots.indices.contains(slot), slots[slot].generation == generation,
            let range = slots[slot].position.reading, let intake = slots[slot].position.intake,
            intake < range.upperBound
        else { return nil }
        return intake + 1...range.upperBound
    }

    /// A lane that had overflown has room again.
    mutating func laneHasRoom(_ slot: Int) -> [Action] {
        guard slots[slot].isPresent, slots[slot].overflown else { return [] }
        slots[slot].overflown = false
        return readUpTo(slots[slot].position.brought, slot: slot)
    }
}
