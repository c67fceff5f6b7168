/// One change to what is kept of an account.
public enum StoreChange: Sendable, Equatable {
    /// Everything up to `sequence` of the channel was taken in; what was kept of positions up to there is dropped with it.
    /// `newest`: when the newest message taken in was created, seconds since 1970 by the guild's clock; nil: not known.
    case cursor(ChannelKey, sequence: Int64, newest: Double? = nil)
    /// What is known of the channel's log besides the position in it.
    case log(ChannelKey, StoredLog)
    /// The positions of the channel go; its deliveries stay until they are settled, and how often its log went back stays.
    case forgetChannel(ChannelKey)
    /// A message above the cursor wakes the agent, which history will not say.
    case wakeup(ChannelKey, sequence: Int64)
    /// A message above the cursor was taken in before a gap below it was closed.
    case taken(ChannelKey, sequence: Int64)
    /// A delivery was taken in, or changed.
    case delivery(StoredDelivery)
    /// The delivery with this id is settled, or dropped.
    case settled(delivery: String)
    /// An outgoing message was accepted, or changed.
    case outbox(OutboxEntry)
    /// The outgoing message with this id was sent, or dropped.
    case outboxRemoved(id: String)
    /// The guild's channel list was seen at this time, seconds since 1970.
    case listed(guild: String, at: Double)
    /// Something else that is to survive, under a name; nil: it is not there any more.
    case note(String, [UInt8]?)
    /// A run of the account begins, or ends in good order.
    case running(Bool)
}

extension StoredAccount {
    /// Applies one change; the meaning of every change, for whatever keeps the account.
    public mutating func apply(_ change: StoreChange) {
        switch change {
        case .cursor(let key, let sequence, let time):
            cursors[key] = sequence
            newest[key] = time
            if let above = wakeups[key]?.filter({ $0 > sequence }) { wakeups[key] = above.isEmpty ? nil : above }
            if let above = taken[key]?.filter({ $0 > sequence }) { taken[key] = above.isEmpty ? nil : above }
        case .log(let key, let log):
            logs[key] = log == StoredLog() ? nil : log
        case .forgetChannel(let key):
            cursors[key] = nil
            newest[key] = nil
            if let log = logs[key] { logs[key] = log.era == 0 ? nil : StoredLog(era: log.era) }
            wakeups[key] = nil
            taken[key] = nil
        case .wakeup(let key, let sequence):
            wakeups[key, default: []].insert(sequence)
        case .taken(let key, let sequence):
            taken[key, default: []].insert(sequence)
        case .delivery(let delivery):
            if let index = deliveries.firstIndex(where: { $0.id == delivery.id }) {
                deliveries[index] = delivery
            } else {
                deliveries.append(delivery)
            }
        case .settled(let id):
            deliveries.removeAll { $0.id == id }
        case .outbox(let entry):
            if let index = outbox.firstIndex(where: { $0.id == entry.id }) {
                outbox[index] = entry
            } else {
                outbox.append(entry)
            }
        case .outboxRemoved(let id):
            outbox.removeAll { $0.id == id }
        case .listed(let guild, let at):
            listedAt[guild] = at
        case .note(let name, let value):
            notes[name] = value
        case .running(let value):
            isRunning = value
        }
    }
}
