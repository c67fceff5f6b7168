/// One change to what is kept of an account.
public enum StoreChange: Sendable, Equatable {
    /// Everything up to `sequence` of the channel was taken in.
    case cursor(ChannelKey, sequence: Int64)
    /// The account is no longer in the channel.
    case forgetChannel(ChannelKey)
    /// A delivery was taken in, or changed.
    case delivery(StoredDelivery)
    /// The delivery with this id is settled.
    case settled(delivery: String)
    /// An outgoing message was accepted, or changed.
    case outbox(OutboxEntry)
    /// The outgoing message with this id was sent, or dropped.
    case outboxRemoved(id: String)
    /// The guild's channel list was seen at this time, seconds since 1970.
    case listed(guild: String, at: Double)
}

/// Keeps cursors, unfinished deliveries and the outbox of each account.
///
/// The changes of one `commit` become durable together or not at all, and commits of one account in the order of the
/// calls. An implementation that is safe across a crash completes a commit only when it is.
public protocol ChannelStore: Sendable {
    /// What is kept of `account`; empty for one never seen.
    /// - Throws: when the store cannot be read.
    func load(_ account: String) async throws -> StoredAccount

    /// Applies `changes` and then calls `completion`, exactly once: inline if nothing has to be waited for, otherwise
    /// from a thread of the store's.
    func commit(
        _ changes: [StoreChange], account: String, completion: @escaping @Sendable (Result<Void, any Error>) -> Void)

    /// Replaces everything kept of `account`: the hand-over between two instances of a module.
    func replace(_ stored: StoredAccount, account: String) async throws
}
