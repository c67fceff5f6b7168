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

/// A delivery that was handed (or is about to be handed) to the gateway and is not settled yet.
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
    /// Whether the gateway has it: true means that it must not be delivered again within this process.
    public var handedOver: Bool
    /// Where its attachments are, to be removed when its turn is over.
    public var mediaDirectory: String?

    public init(
        id: String, key: ChannelKey, sequence: Int64?, wake: Bool, caughtUp: Bool, redelivered: Bool,
        message: [UInt8], handedOver: Bool, mediaDirectory: String? = nil
    ) {
        self.id = id
        self.key = key
        self.sequence = sequence
        self.wake = wake
        self.caughtUp = caughtUp
        self.redelivered = redelivered
        self.message = message
        self.handedOver = handedOver
        self.mediaDirectory = mediaDirectory
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
    /// How often it was tried.
    public var attempts: Int
    /// The order within the account; lower goes first.
    public var order: UInt64
    /// Why it can never be sent; nil while it still may be.
    public var deadReason: String?

    public init(
        id: String, key: ChannelKey, text: String, media: [StoredMedia], replyTo: String?, attempts: Int = 0,
        order: UInt64, deadReason: String? = nil
    ) {
        self.id = id
        self.key = key
        self.text = text
        self.media = media
        self.replyTo = replyTo
        self.attempts = attempts
        self.order = order
        self.deadReason = deadReason
    }
}

/// Everything kept of one account between two runs of it.
public struct StoredAccount: Sendable, Codable, Equatable {
    /// Per channel: everything up to this seq was taken in.
    public var cursors: [ChannelKey: Int64]
    /// Deliveries not settled, in the order they were taken in.
    public var deliveries: [StoredDelivery]
    /// Outgoing messages and dead letters, in order.
    public var outbox: [OutboxEntry]
    /// Per guild: when its channel list was last seen, seconds since 1970. A channel that is in no list before that
    /// time appeared later.
    public var listedAt: [String: Double]

    public init(
        cursors: [ChannelKey: Int64] = [:], deliveries: [StoredDelivery] = [], outbox: [OutboxEntry] = [],
        listedAt: [String: Double] = [:]
    ) {
        self.cursors = cursors
        self.deliveries = deliveries
        self.outbox = outbox
        self.listedAt = listedAt
    }
}
