/// The net effect of changes to one channel's cursor and what is marked above it.
struct ChannelChanges: Sendable {
    enum Cursor: Sendable {
        case unchanged
        case set(Int64)
        case gone
    }

    var cursor: Cursor = .unchanged
    /// Marks kept before that go: all, or those up to a position.
    var dropsAllMarks = false
    var dropsMarksUpTo: Int64?
    var wakeups: Set<Int64> = []
    var taken: Set<Int64> = []
}

/// The net effect of changes to what is kept of one account, in the size of what they leave behind: a cursor that moves a
/// thousand times is one change.
struct AccountChanges: Sendable {
    /// Everything kept before goes first.
    private(set) var forgetsAll = false
    /// Whether anything is kept of the account afterwards.
    private(set) var keepsAnything = false
    private(set) var forgetsChannels = false
    private(set) var running: Bool?
    private(set) var listed: [String: Double] = [:]
    private(set) var channels: [ChannelKey: ChannelChanges] = [:]
    private(set) var deliveries = KeyedChanges<StoredDelivery>()
    private(set) var outbox = KeyedChanges<OutboxEntry>()

    mutating func forgetAll() {
        self = AccountChanges()
        forgetsAll = true
    }

    mutating func add(_ change: StoreChange) {
        keepsAnything = true
        switch change {
        case .cursor(let key, let sequence): channels[key, default: ChannelChanges()].move(to: sequence)
        case .forgetChannel(let key):
            channels[key] = ChannelChanges(cursor: .gone, dropsAllMarks: true)
            forgetsChannels = true
        case .wakeup(let key, let sequence): channels[key, default: ChannelChanges()].wakeups.insert(sequence)
        case .taken(let key, let sequence): channels[key, default: ChannelChanges()].taken.insert(sequence)
        case .delivery(let delivery): deliveries.put(delivery, id: delivery.id)
        case .settled(let id): deliveries.remove(id: id)
        case .outbox(let entry): outbox.put(entry, id: entry.id)
        case .outboxRemoved(let id): outbox.remove(id: id)
        case .listed(let guild, let at): listed[guild] = at
        case .running(let value): running = value
        }
    }

    /// Applies the changes to an account in memory.
    func apply(to account: inout StoredAccount) {
        if forgetsAll { account = StoredAccount() }
        if let running { account.isRunning = running }
        for (guild, at) in listed { account.listedAt[guild] = at }
        for (key, changes) in channels {
            switch changes.cursor {
            case .unchanged: break
            case .set(let sequence): account.cursors[key] = sequence
            case .gone: account.cursors[key] = nil
            }
            var wakeups = changes.dropsAllMarks ? [] : account.wakeups[key] ?? []
            if let end = changes.dropsMarksUpTo { wakeups = wakeups.filter { $0 > end } }
            wakeups.formUnion(changes.wakeups)
            account.wakeups[key] = wakeups.isEmpty ? nil : wakeups
            var taken = changes.dropsAllMarks ? [] : account.taken[key] ?? []
            if let end = changes.dropsMarksUpTo { taken = taken.filter { $0 > end } }
            taken.formUnion(changes.taken)
            account.taken[key] = taken.isEmpty ? nil : taken
        }
        deliveries.apply(to: &account.deliveries) { $0.id }
        outbox.apply(to: &account.outbox) { $0.id }
    }
}

extension ChannelChanges {
    mutating func move(to sequence: Int64) {
        cursor = .set(sequence)
        dropsMarksUpTo = max(dropsMarksUpTo ?? sequence, sequence)
        if !wakeups.isEmpty { wakeups = wakeups.filter { $0 > sequence } }
        if !taken.isEmpty { taken = taken.filter { $0 > sequence } }
    }
}
