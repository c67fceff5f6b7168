/// Finds the fewest changes that leave behind what given changes of one account do: a cursor that moves a thousand times
/// is one change.
struct AccountChanges {
    /// Everything kept before goes first.
    private(set) var forgetsAll = false
    private(set) var running: Bool?
    private(set) var listed: [String: Double] = [:]
    private(set) var notes: [String: [UInt8]?] = [:]
    private(set) var channels: [ChannelKey: ChannelChanges] = [:]
    private(set) var deliveries = KeyedChanges<StoredDelivery>()
    private(set) var outbox = KeyedChanges<OutboxEntry>()

    mutating func forgetAll() {
        self = AccountChanges()
        forgetsAll = true
    }

    /// Nothing but a forgetting is in it.
    var isEmpty: Bool {
        running == nil && listed.isEmpty && notes.isEmpty && channels.isEmpty && deliveries.entries.isEmpty
            && outbox.entries.isEmpty
    }

    mutating func add(_ changes: [StoreChange]) {
        for change in changes { add(change) }
    }

    private mutating func add(_ change: StoreChange) {
        switch change {
        case .cursor(let key, let sequence, let newest):
            channels[key, default: ChannelChanges()].move(to: sequence, newest)
        case .log(let key, let log): channels[key, default: ChannelChanges()].log = log
        case .forgetChannel(let key):
            let log = channels[key]?.log
            channels[key] = ChannelChanges(forgets: true, log: log.map { StoredLog(era: $0.era) })
        case .wakeup(let key, let sequence): channels[key, default: ChannelChanges()].wakeups.insert(sequence)
        case .taken(let key, let sequence): channels[key, default: ChannelChanges()].taken.insert(sequence)
        case .delivery(let delivery): deliveries.put(delivery, id: delivery.id)
        case .settled(let id): deliveries.remove(id: id)
        case .outbox(let entry): outbox.put(entry, id: entry.id)
        case .outboxRemoved(let id): outbox.remove(id: id)
        case .listed(let guild, let at): listed[guild] = at
        case .note(let name, let value): notes.updateValue(value, forKey: name)
        case .running(let value): running = value
        }
    }

    var changes: [StoreChange] {
        var result: [StoreChange] = []
        if let running { result.append(.running(running)) }
        for (guild, at) in listed { result.append(.listed(guild: guild, at: at)) }
        for (name, value) in notes { result.append(.note(name, value)) }
        for (key, channel) in channels { channel.append(to: &result, key: key) }
        for entry in deliveries.entries {
            if entry.dropsKept { result.append(.settled(delivery: entry.id)) }
            if let delivery = entry.element { result.append(.delivery(delivery)) }
        }
        for entry in outbox.entries {
            if entry.dropsKept { result.append(.outboxRemoved(id: entry.id)) }
            if let message = entry.element { result.append(.outbox(message)) }
        }
        return result
    }
}

/// The net effect of changes to one channel's cursor and what is marked above it.
struct ChannelChanges {
    var forgets = false
    /// How the log stands at the end; nil: as before, but for what the forgetting does to it.
    var log: StoredLog?
    var cursor: Int64?
    var newest: Double?
    /// The farthest the cursor was: marks kept before are dropped up to there.
    var farthest: Int64?
    var wakeups: Set<Int64> = []
    var taken: Set<Int64> = []

    mutating func move(to sequence: Int64, _ newest: Double?) {
        cursor = sequence
        self.newest = newest
        farthest = max(farthest ?? sequence, sequence)
        if !wakeups.isEmpty { wakeups = wakeups.filter { $0 > sequence } }
        if !taken.isEmpty { taken = taken.filter { $0 > sequence } }
    }

    func append(to changes: inout [StoreChange], key: ChannelKey) {
        if forgets { changes.append(.forgetChannel(key)) }
        if let log { changes.append(.log(key, log)) }
        if let cursor {
            if let farthest, farthest > cursor { changes.append(.cursor(key, sequence: farthest)) }
            changes.append(.cursor(key, sequence: cursor, newest: newest))
        }
        for sequence in wakeups { changes.append(.wakeup(key, sequence: sequence)) }
        for sequence in taken { changes.append(.taken(key, sequence: sequence)) }
    }
}
