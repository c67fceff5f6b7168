/// Names one channel of one guild, as an account sees it.
public struct ChannelKey: Hashable, Sendable, Codable {
    /// The guild's node id.
    public var guild: String
    /// The channel's id within the guild.
    public var channel: String

    public init(guild: String, channel: String) {
        self.guild = guild
        self.channel = channel
    }
}

/// A delivery that was taken in and is not settled yet, or one that was set aside because its turns kept dying.
public struct StoredDelivery: Sendable, Codable, Equatable {
    /// The delivery id the gateway knows it by; the same when it is delivered again.
    public var id: String
    public var key: ChannelKey
    /// The message's position in its channel, when the guild gave one.
    public var sequence: Int64?
    /// Whether it wakes the agent.
    public var wake: Bool
    /// Whether it came from history rather than live.
    public var caughtUp: Bool
    /// Whether it may have been delivered before.
    public var redelivered: Bool
    /// The message object as the guild sent it, JSON text.
    public var message: [UInt8]
    /// Whether the gateway may have it. Another instance in the same process waits for its end; after a crash it is
    /// delivered again, marked.
    public var handedOver: Bool
    /// How many turns were begun for it.
    public var attempts: Int
    /// Where its attachments are, to be removed when its turn is over.
    public var mediaDirectory: String?
    /// Why it is not delivered any more; nil while it is to be. One that has a reason is kept for the operator only.
    public var deadReason: String?

    public init(
        id: String, key: ChannelKey, sequence: Int64?, wake: Bool, caughtUp: Bool, redelivered: Bool,
        message: [UInt8], handedOver: Bool, attempts: Int = 0, mediaDirectory: String? = nil,
        deadReason: String? = nil
    ) {
        self.id = id
        self.key = key
        self.sequence = sequence
        self.wake = wake
        self.caughtUp = caughtUp
        self.redelivered = redelivered
        self.message = message
        self.handedOver = handedOver
        self.attempts = attempts
        self.mediaDirectory = mediaDirectory
        self.deadReason = deadReason
    }
}

/// A file of an outgoing message.
public struct StoredMedia: Sendable, Codable, Equatable {
    /// Absolute path of the file on this machine.
    public var path: String
    /// The name the message's readers see.
    public var name: String
    /// The media type, e.g. `image/png`.
    public var mediaType: String
    /// What the guild answered when the file was uploaded, JSON text; nil until then.
    public var uploaded: [UInt8]?

    public init(path: String, name: String, mediaType: String, uploaded: [UInt8]? = nil) {
        self.path = path
        self.name = name
        self.mediaType = mediaType
        self.uploaded = uploaded
    }
}

/// An outgoing message that is not settled yet, or a dead letter.
public struct OutboxEntry: Sendable, Codable, Equatable {
    /// Unique within the account; the idempotency key is derived from it.
    public var id: String
    public var key: ChannelKey
    public var text: String
    public var media: [StoredMedia]
    /// The id of the message it answers, if any.
    public var replyTo: String?
    /// The position in the channel that its post must lie behind, to find it there when the answer got lost; nil where
    /// that was not known.
    public var floor: Int64?
    /// The order within the account; lower goes first.
    public var order: UInt64
    /// Why it can never be sent; nil while it still may be.
    public var deadReason: String?

    public init(
        id: String, key: ChannelKey, text: String, media: [StoredMedia], replyTo: String?, floor: Int64? = nil,
        order: UInt64, deadReason: String? = nil
    ) {
        self.id = id
        self.key = key
        self.text = text
        self.media = media
        self.replyTo = replyTo
        self.floor = floor
        self.order = order
        self.deadReason = deadReason
    }
}

/// What is kept of a channel's log besides the position in it.
public struct StoredLog: Sendable, Codable, Equatable {
    /// How often the log went back. Positions, and with them delivery ids, are used again after each time.
    public var era: Int
    /// While the agent's beginning in the channel is looked for: messages created before this time (seconds since 1970, by
    /// the guild's clock) are not for it. Nil once it was found.
    public var notBefore: Double?

    public init(era: Int = 0, notBefore: Double? = nil) {
        self.era = era
        self.notBefore = notBefore
    }
}

/// Everything kept of one account between two runs of it.
public struct StoredAccount: Sendable, Codable, Equatable {
    /// Per channel: everything up to this seq was taken in.
    public var cursors: [ChannelKey: Int64]
    /// Per channel with a cursor: when the newest message taken in was created, seconds since 1970 by the guild's clock.
    public var newest: [ChannelKey: Double]
    /// Per channel whose log went back, or whose beginning is being looked for.
    public var logs: [ChannelKey: StoredLog]
    /// Per channel: messages above the cursor that the guild said wake the agent. History does not repeat that.
    public var wakeups: [ChannelKey: Set<Int64>]
    /// Per channel: messages above the cursor that were taken in all the same.
    public var taken: [ChannelKey: Set<Int64>]
    /// Deliveries not settled, in the order they were taken in, and those set aside.
    public var deliveries: [StoredDelivery]
    /// Outgoing messages and dead letters, in order.
    public var outbox: [OutboxEntry]
    /// Per guild: when its channel list was last seen, seconds since 1970. A channel that is in no list before that
    /// time appeared later.
    public var listedAt: [String: Double]
    /// What else is to survive, by name.
    public var notes: [String: [UInt8]] = [:]
    /// Whether a run of the account began and did not end in good order: what lies just above a cursor may have been
    /// delivered.
    public var isRunning: Bool

    public init(
        cursors: [ChannelKey: Int64] = [:], newest: [ChannelKey: Double] = [:], logs: [ChannelKey: StoredLog] = [:],
        wakeups: [ChannelKey: Set<Int64>] = [:], taken: [ChannelKey: Set<Int64>] = [:],
        deliveries: [StoredDelivery] = [], outbox: [OutboxEntry] = [], listedAt: [String: Double] = [:],
        isRunning: Bool = false
    ) {
        self.cursors = cursors
        self.newest = newest
        self.logs = logs
        self.wakeups = wakeups
        self.taken = taken
        self.deliveries = deliveries
        self.outbox = outbox
        self.listedAt = listedAt
        self.isRunning = isRunning
    }
}
