import ChannelStore
import Timing

/// The messages an account has yet to send: in order per channel, channels in parallel.
///
/// A plain value, part of `Outgoing`. The idempotency key of an entry is derived from its id, so that a repeat after a crash
/// or an unknown outcome is recognised by the guild.
struct Outbox: Sendable {
    enum Action: Equatable, Sendable {
        /// Upload the file at `index` of the entry.
        case upload(id: String, index: Int)
        case post(id: String)
        /// The outcome of the last post is unknown: look for it in history before it is repeated.
        case readBack(id: String)
        case store(StoreChange)
        /// The entry is settled.
        case complete(id: String, Outcome)
    }

    enum Outcome: Equatable, Sendable {
        case sent(messageId: String, sequence: Int64?)
        case dead(reason: String)
    }

    /// How an attempt failed.
    enum Failure: Equatable, Sendable {
        /// Not now: no connection, 408, 429, 5xx, no token.
        case passing(reason: String, retryAfter: Duration?)
        /// The connection was lost after the request was sent, or the answer says nothing.
        case unknownOutcome(reason: String)
        /// The guild said no, for good.
        case final(reason: String)
    }

    private enum Step: Sendable {
        case ready
        case working
        case waiting(until: ContinuousClock.Instant)
    }

    private struct Lane: Sendable {
        var queue: [String] = []
        var step = Step.ready
        var failures = 0
        /// Why the head could not be sent yet, and since when it is tried.
        var problem: (reason: String, since: ContinuousClock.Instant)?
        /// Since when the head is being sent.
        var begun: ContinuousClock.Instant?
    }

    private struct Item: Sendable {
        var entry: OutboxEntry
        /// The store was given it.
        var isKept: Bool
        /// The store has it, so it may be sent.
        var isStored: Bool
        /// A post of it may have arrived.
        var isDoubtful: Bool
    }

    private var items: [String: Item] = [:]
    private var lanes: [ChannelKey: Lane] = [:]
    private var dead: [String: OutboxEntry] = [:]
    /// The positions of the last posts, of this run and of those before.
    private var lastPosts: LastPosts
    private var nextOrder: UInt64 = 1
    private var random: SplitMix64
    /// How many dead letters are kept; the oldest goes first.
    static let deadLetterLimit = 1000

    /// - Parameter restored: what was kept. Whatever is to be sent may have been posted before the end of the last run. It
    ///   waits for `stored` like all else: the instance before may have given it to a store that does not have it yet.
    init(restored: [OutboxEntry], lastPosts: LastPosts = LastPosts(), seed: UInt64) {
        random = SplitMix64(state: seed)
        self.lastPosts = lastPosts
        for entry in restored.sorted(by: { $0.order < $1.order }) {
            if entry.order < .max { nextOrder = max(nextOrder, entry.order + 1) }
            if entry.deadReason != nil {
                dead[entry.id] = entry
            } else {
                items[entry.id] = Item(entry: entry, isKept: true, isStored: false, isDoubtful: true)
                lanes[entry.key, default: Lane()].queue.append(entry.id)
            }
        }
    }

    /// Everything that has to survive: what the store has been given, in order, and the dead letters.
    var kept: [OutboxEntry] {
        (items.values.filter(\.isKept).map(\.entry) + dead.values).sorted { $0.order < $1.order }
    }
    var count: Int { items.count }
    /// What the store was given, and is not known to have.
    var unconfirmed: [String] { items.values.filter { $0.isKept && !$0.isStored }.map(\.entry.id) }
    var deadLetters: [OutboxEntry] { dead.values.sorted { $0.order < $1.order } }
    // Asked after every change of an account's state: nothing is put in order for it.
    var deadCount: Int { dead.count }
    func isDead(_ entry: String) -> Bool { dead[entry] != nil }

    /// What is kept besides, by name.
    var notes: [String: [UInt8]] { lastPosts.notes }

    /// What is to be sent. Its `floor` is raised to the last post before it, of which it may be an exact copy: a channel's
    /// messages are sent one after the other, so that it lies behind that one wherever it arrived.
    func entry(_ id: String) -> OutboxEntry? {
        guard var entry = items[id]?.entry else { return nil }
        entry.floor = lastPosts.floor(entry.floor, in: entry.key)
        return entry
    }

    /// When the earliest waiting entry may go on.
    var due: ContinuousClock.Instant? {
        guard !lanes.isEmpty else { return nil }
        return lanes.values.compactMap { if case .waiting(let until) = $0.step { until } else { nil } }.min()
    }

    /// The message that could not be sent for the longest time, and why.
    func longestProblem(now: ContinuousClock.Instant) -> (reason: String, since: ContinuousClock.Instant)? {
        lanes.values.compactMap { lane in
            if let problem = lane.problem { return problem }
            guard case .working = lane.step, let begun = lane.begun, begun.duration(to: now) >= Self.slow else {
                return nil
            }
            return ("the guild has not answered yet", begun)
        }.min { $0.since < $1.since }
    }

    /// Why the first message of a channel, and so each behind it, could not be sent yet.
    func problem(of key: ChannelKey) -> String? { lanes[key]?.problem?.reason }

    /// An answer that takes this long is a problem; ours.
    static let slow: Duration = .seconds(5)

    /// Whether the message is known already: queued or given up.
    func contains(_ id: String) -> Bool { items[id] != nil || dead[id] != nil }

    /// Why a message was given up; nil if it was not.
    func deadReason(_ id: String) -> String? { dead[id]?.deadReason }

    /// Takes a message. Its place in the channel's order is taken; it is sent after `keep` and `stored`.
    mutating func accept(
        id: String, key: ChannelKey, text: String, media: [StoredMedia], replyTo: String?, floor: Int64?
    ) {
        let entry = OutboxEntry(
            id: id, key: key, text: text, media: media, replyTo: replyTo, floor: lastPosts.floor(floor, in: key),
            order: nextOrder)
        nextOrder &+= 1
        items[id] = Item(entry: entry, isKept: false, isStored: false, isDoubtful: false)
        lanes[key, default: Lane()].queue.append(id)
    }

    /// The files of an entry are where they outlive the turn.
    mutating func filesKept(_ id: String, _ media: [StoredMedia]) { items[id]?.entry.media = media }

    /// The entry is given to the store.
    mutating func keep(_ id: String) -> [Action] {
        guard items[id]?.isKept == false, let entry = items[id]?.entry else { return [] }
        items[id]?.isKept = true
        return [.store(.outbox(entry))]
    }

    /// The store has what it was given of an entry: it may be sent.
    mutating func stored(_ id: String) {
        if items[id]?.isKept == true { items[id]?.isStored = true }
    }

    /// An entry that was never kept is withdrawn.
    mutating func withdraw(_ id: String, now: ContinuousClock.Instant) -> [Action] {
        guard let item = items[id], !item.isKept else { return [] }
        items[id] = nil
        return leave(id, item.entry.key, now: now)
    }

    /// Begins, or goes on with, everything that may go on now.
    mutating func wake(now: ContinuousClock.Instant) -> [Action] {
        var actions: [Action] = []
        for key in lanes.keys.sorted(by: { ($0.guild, $0.channel) < ($1.guild, $1.channel) }) {
            actions += advance(key, now: now)
        }
        return actions
    }

    /// The same for one channel.
    mutating func wake(_ key: ChannelKey, now: ContinuousClock.Instant) -> [Action] { advance(key, now: now) }

    private mutating func advance(_ key: ChannelKey, now: ContinuousClock.Instant) -> [Action] {
        guard let lane = lanes[key], let id = lane.queue.first, let item = items[id], item.isStored else { return [] }
        switch lane.step {
        case .working: return []
        case .waiting(let until) where until > now: return []
        case .waiting, .ready: break
        }
        lanes[key]?.step = .working
        if let index = item.entry.media.firstIndex(where: { $0.uploaded == nil }) {
            return [.upload(id: id, index: index)]
        }
        // An upload may well take long; an answer to a post may not.
        lanes[key]?.begun = lane.begun ?? now
        // Without a place to look from, the key alone makes the repeat safe.
        if item.isDoubtful, lastPosts.floor(item.entry.floor, in: key) != nil { return [.readBack(id: id)] }
        return [.post(id: id)]
    }

    /// A file arrived at the guild; `answer` is what the guild said of it.
    mutating func uploaded(_ id: String, index: Int, answer: [UInt8], now: ContinuousClock.Instant) -> [Action] {
        guard var item = items[id], item.entry.media.indices.contains(index) else { return [] }
        item.entry.media[index].uploaded = answer
        items[id] = item
        lanes[item.entry.key]?.step = .ready
        lanes[item.entry.key]?.failures = 0
        return [.store(.outbox(item.entry))] + advance(item.entry.key, now: now)
    }

    /// The message was posted, now or by the attempt in doubt.
    mutating func posted(
        _ id: String, messageId: String, sequence: Int64?, now: ContinuousClock.Instant
    ) -> [Action] {
        guard let key = items[id]?.entry.key else { return [] }
        // In one commit with its end: whoever does not find it in the outbox knows where it lies.
        let note = sequence.flatMap { lastPosts.posted($0, in: key) }.map { [Action.store($0)] } ?? []
        return note + settle(id, .sent(messageId: messageId, sequence: sequence), now: now)
    }

    /// History does not show the message in doubt: it is sent again, with the same key.
    mutating func notFound(_ id: String, now: ContinuousClock.Instant) -> [Action] {
        guard let entry = items[id]?.entry else { return [] }
        items[id]?.isDoubtful = false
        lanes[entry.key]?.step = .ready
        return advance(entry.key, now: now)
    }

    /// An upload, a post or a read-back failed.
    mutating func failed(
        _ id: String, _ failure: Failure, posting: Bool, now: ContinuousClock.Instant
    ) -> [Action] {
        guard let entry = items[id]?.entry, var lane = lanes[entry.key] else { return [] }
        let retryAfter: Duration?
        let words: String
        switch failure {
        case .final(let reason):
            return settle(id, .dead(reason: reason), now: now)
        case .unknownOutcome(let reason):
            if posting { items[id]?.isDoubtful = true }
            (words, retryAfter) = (reason, nil)
        case .passing(let reason, let after):
            (words, retryAfter) = (reason, after)
        }
        lane.failures = min(lane.failures, 1000) + 1
        lane.problem = (words, lane.problem?.since ?? now)
        // A server's Retry-After is a lower bound, up to an hour.
        var delay = Backoff(.seconds(1), upTo: .seconds(60))
            .delay(step: lane.failures - 1, share: 0.5...1, chance: random.unit())
        if let retryAfter { delay = max(delay, min(retryAfter, .seconds(3600))) }
        lane.step = .waiting(until: now.advanced(by: delay))
        lanes[entry.key] = lane
        return []
    }

    private mutating func settle(_ id: String, _ outcome: Outcome, now: ContinuousClock.Instant) -> [Action] {
        guard var entry = items.removeValue(forKey: id)?.entry else { return [] }
        var actions: [Action] = []
        switch outcome {
        case .sent:
            actions.append(.store(.outboxRemoved(id: id)))
        case .dead(let reason):
            entry.deadReason = reason
            dead[id] = entry
            actions.append(.store(.outbox(entry)))
            if dead.count > Self.deadLetterLimit, let oldest = dead.values.min(by: { $0.order < $1.order }) {
                dead[oldest.id] = nil
                actions.append(.store(.outboxRemoved(id: oldest.id)))
            }
        }
        actions.append(.complete(id: id, outcome))
        return actions + leave(id, entry.key, now: now)
    }

    private mutating func leave(_ id: String, _ key: ChannelKey, now: ContinuousClock.Instant) -> [Action] {
        let wasHead = lanes[key]?.queue.first == id
        lanes[key]?.queue.removeAll { $0 == id }
        guard lanes[key]?.queue.isEmpty == false else {
            lanes[key] = nil
            return []
        }
        guard wasHead else { return [] }
        lanes[key]?.step = .ready
        lanes[key]?.failures = 0
        lanes[key]?.problem = nil
        lanes[key]?.begun = nil
        return advance(key, now: now)
    }

    /// Puts a dead letter back into the queue; nil when there is none with this id.
    mutating func resubmit(_ id: String, now: ContinuousClock.Instant) -> [Action]? {
        guard var entry = dead.removeValue(forKey: id) else { return nil }
        entry.deadReason = nil
        entry.order = nextOrder
        nextOrder &+= 1
        items[id] = Item(entry: entry, isKept: true, isStored: true, isDoubtful: false)
        lanes[entry.key, default: Lane()].queue.append(id)
        return [.store(.outbox(entry))] + advance(entry.key, now: now)
    }

    /// The guild said no for good to a message whose sender waits: it is told, and nothing is kept.
    mutating func refuse(_ id: String, now: ContinuousClock.Instant) -> [Action] {
        guard let entry = items.removeValue(forKey: id)?.entry else { return [] }
        return [.store(.outboxRemoved(id: id))] + leave(id, entry.key, now: now)
    }

    /// Whether an attempt at the head of a channel failed before.
    func hasFailed(_ id: String) -> Bool {
        guard let item = items[id], let lane = lanes[item.entry.key] else { return false }
        return lane.problem != nil || item.isDoubtful
    }

    /// Forgets a dead letter; nil when there is none with this id.
    mutating func drop(_ id: String) -> [Action]? {
        dead.removeValue(forKey: id) == nil ? nil : [.store(.outboxRemoved(id: id))]
    }
}
