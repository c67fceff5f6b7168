import ChannelStore

/// The messages an account has yet to send: in order per channel, channels in parallel.
///
/// A plain value: what happened and the time go in, what to do comes out. The idempotency key of an entry is derived from
/// its id, so that a repeat after a crash or an unknown outcome is recognised by the guild.
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
        /// Call `wake` again at this time.
        case wait(until: ContinuousClock.Instant)
    }

    enum Outcome: Equatable, Sendable {
        case sent(messageId: String, sequence: Int64?)
        case dead(reason: String)
    }

    /// How an attempt failed.
    enum Failure: Equatable, Sendable {
        /// Not now: no connection, 408, 429, 5xx, no token.
        case passing(reason: String, retryAfter: Duration?)
        /// The connection was lost after the request was sent.
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
        /// The head's last post may have arrived.
        var doubtful = false
    }

    private var entries: [String: OutboxEntry] = [:]
    private var lanes: [ChannelKey: Lane] = [:]
    private var dead: [String: OutboxEntry] = [:]
    private var nextOrder: UInt64 = 1
    private var random: SplitMix64
    /// How many dead letters are kept; the oldest goes first.
    private let deadLetterLimit = 1000

    init(restored: [OutboxEntry], seed: UInt64) {
        random = SplitMix64(state: seed)
        for entry in restored.sorted(by: { $0.order < $1.order }) {
            nextOrder = max(nextOrder, entry.order + 1)
            if entry.deadReason != nil {
                dead[entry.id] = entry
            } else {
                entries[entry.id] = entry
                lanes[entry.key, default: Lane()].queue.append(entry.id)
            }
        }
    }

    /// Everything that has to survive: what is to be sent, in order, and the dead letters.
    var all: [OutboxEntry] { (Array(entries.values) + dead.values).sorted { $0.order < $1.order } }
    var count: Int { entries.count }
    var deadLetters: [OutboxEntry] { dead.values.sorted { $0.order < $1.order } }
    func entry(_ id: String) -> OutboxEntry? { entries[id] }

    /// When the earliest waiting entry may go on.
    var nextDue: ContinuousClock.Instant? {
        lanes.values.compactMap { if case .waiting(let until) = $0.step { until } else { nil } }.min()
    }

    /// Whether a message that is still to be sent has a file in the directory.
    func uses(filesIn directory: String) -> Bool {
        entries.values.contains { $0.media.contains { $0.uploaded == nil && $0.path.hasPrefix(directory + "/") } }
    }

    /// Whether the message is known already: queued or given up.
    func contains(_ id: String) -> Bool { entries[id] != nil || dead[id] != nil }

    /// Accepts a message. The first action stores it; nothing is sent before that is done and `start` is called.
    mutating func accept(
        id: String, key: ChannelKey, text: String, media: [StoredMedia], replyTo: String?
    ) -> [Action] {
        let entry = OutboxEntry(id: id, key: key, text: text, media: media, replyTo: replyTo, order: nextOrder)
        nextOrder += 1
        entries[id] = entry
        lanes[key, default: Lane()].queue.append(id)
        return [.store(.outbox(entry))]
    }

    /// Begins, or goes on with, everything that may go on now.
    mutating func wake(now: ContinuousClock.Instant) -> [Action] {
        var actions: [Action] = []
        for key in Array(lanes.keys) { actions += advance(key, now: now) }
        return actions
    }

    /// The same for one channel.
    mutating func wake(_ key: ChannelKey, now: ContinuousClock.Instant) -> [Action] { advance(key, now: now) }

    private mutating func advance(_ key: ChannelKey, now: ContinuousClock.Instant) -> [Action] {
        guard var lane = lanes[key], let id = lane.queue.first, let entry = entries[id] else { return [] }
        switch lane.step {
        case .working: return []
        case .waiting(let until) where until > now: return []
        case .waiting, .ready: break
        }
        lane.step = .working
        defer { lanes[key] = lane }
        if let index = entry.media.firstIndex(where: { $0.uploaded == nil }) {
            return [.upload(id: id, index: index)]
        }
        if lane.doubtful { return [.readBack(id: id)] }
        return [.post(id: id)]
    }

    /// A file arrived at the guild; `answer` is what the guild said of it.
    mutating func uploaded(_ id: String, index: Int, answer: [UInt8], now: ContinuousClock.Instant) -> [Action] {
        guard var entry = entries[id], entry.media.indices.contains(index) else { return [] }
        entry.media[index].uploaded = answer
        entries[id] = entry
        lanes[entry.key]?.step = .ready
        lanes[entry.key]?.failures = 0
        return [.store(.outbox(entry))] + advance(entry.key, now: now)
    }

    /// The message was posted, now or by the attempt in doubt.
    mutating func posted(
        _ id: String, messageId: String, sequence: Int64?, now: ContinuousClock.Instant
    ) -> [Action] {
        settle(id, .sent(messageId: messageId, sequence: sequence), now: now)
    }

    /// History does not show the message in doubt: it is sent again, with the same key.
    mutating func notFound(_ id: String, now: ContinuousClock.Instant) -> [Action] {
        guard let entry = entries[id] else { return [] }
        lanes[entry.key]?.doubtful = false
        lanes[entry.key]?.step = .ready
        return advance(entry.key, now: now)
    }

    /// An upload, a post or a read-back failed.
    mutating func failed(
        _ id: String, _ failure: Failure, posting: Bool, now: ContinuousClock.Instant
    ) -> [Action] {
        guard let entry = entries[id], var lane = lanes[entry.key] else { return [] }
        let retryAfter: Duration?
        switch failure {
        case .final(let reason):
            return settle(id, .dead(reason: reason), now: now)
        case .unknownOutcome:
            if posting { lane.doubtful = true }
            retryAfter = nil
        case .passing(_, let after):
            retryAfter = after
        }
        lane.failures += 1
        // 1 s doubled to 60 s with jitter; a server's Retry-After is a lower bound, up to an hour.
        let base = Double(1 << min(lane.failures - 1, 6))
        var delay = Duration.seconds(min(base, 60) * (0.5 + random.unit() / 2))
        if let retryAfter { delay = max(delay, min(retryAfter, .seconds(3600))) }
        let until = now.advanced(by: delay)
        lane.step = .waiting(until: until)
        lanes[entry.key] = lane
        return [.wait(until: until)]
    }

    private mutating func settle(_ id: String, _ outcome: Outcome, now: ContinuousClock.Instant) -> [Action] {
        guard var entry = entries.removeValue(forKey: id) else { return [] }
        var actions: [Action] = []
        switch outcome {
        case .sent:
            actions.append(.store(.outboxRemoved(id: id)))
        case .dead(let reason):
            entry.deadReason = reason
            dead[id] = entry
            actions.append(.store(.outbox(entry)))
            if dead.count > deadLetterLimit, let oldest = dead.values.min(by: { $0.order < $1.order }) {
                dead[oldest.id] = nil
                actions.append(.store(.outboxRemoved(id: oldest.id)))
            }
        }
        actions.append(.complete(id: id, outcome))
        lanes[entry.key]?.queue.removeAll { $0 == id }
        if lanes[entry.key]?.queue.isEmpty ?? true {
            lanes[entry.key] = nil
        } else {
            lanes[entry.key]?.step = .ready
            lanes[entry.key]?.failures = 0
            lanes[entry.key]?.doubtful = false
            actions += advance(entry.key, now: now)
        }
        return actions
    }

    /// Puts a dead letter back into the queue; false when there is none with this id.
    mutating func resubmit(_ id: String, now: ContinuousClock.Instant) -> [Action]? {
        guard var entry = dead.removeValue(forKey: id) else { return nil }
        entry.deadReason = nil
        entry.order = nextOrder
        nextOrder += 1
        entries[id] = entry
        lanes[entry.key, default: Lane()].queue.append(id)
        return [.store(.outbox(entry))] + advance(entry.key, now: now)
    }

    /// Forgets a dead letter; nil when there is none with this id.
    mutating func drop(_ id: String) -> [Action]? {
        dead.removeValue(forKey: id) == nil ? nil : [.store(.outboxRemoved(id: id))]
    }
}
