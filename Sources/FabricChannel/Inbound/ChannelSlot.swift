import FabricAPI

/// A row of the guild's channel list, as far as it matters here.
struct ListedChannel: Equatable, Sendable {
    var id: String
    var name: String?
    var type: FabricChannelType
    var lastSeq: Int64?
    var closed: Bool
    /// Seconds since 1970, by the guild's clock.
    var createdAt: Double?
}

/// One channel of a guild, as an agent is in it.
struct ChannelSlot: Sendable {
    /// Messages that may wait in a lane; beyond, the rest stays in the guild until there is room.
    static let laneLimit = 2000

    let id: String
    var name: String?
    var type: FabricChannelType
    var closed: Bool
    var head: Int64?
    var joined = false
    /// False once the agent left the channel; the slot is reused when its lane is empty.
    var isPresent = true
    /// The guild's list had it: its name and type are known.
    var isListed = false
    /// Tells apart the channels that use a slot one after the other.
    var generation = 0
    var position: ChannelPosition
    var lane = Lane()
    /// Messages before this time (seconds since 1970, the guild's clock) are from before the agent came in.
    var notBefore: Double?
    /// The channel's beginning is being looked for: what lies before is not a loss.
    var startsInside = false
    /// A head that the socket had not brought when the channels were last compared.
    var missedHead: Int64?
    /// A head was missed for a whole period: what the read finds tells whether the socket is deaf.
    var suspect = false
    var provenMissed = false
    var rowsSeen = 0
    /// Known from a push event only; a list that lacks it may be older than the event.
    var awaitsListing = false
    /// A head below our position, seen once.
    var rewoundTo: Int64?
    var readFailures = 0
    /// Messages were left in the guild because the lane was full.
    var overflown = false
    /// The cursor moved and is not stored yet.
    var cursorDirty = false

    init(_ channel: ListedChannel, intake: Int64?, limits: ChannelPosition.Limits) {
        id = channel.id
        name = channel.name
        type = channel.type
        closed = channel.closed
        head = channel.lastSeq
        position = ChannelPosition(intake: intake, limits: limits)
    }

    mutating func update(from channel: ListedChannel) {
        if let name = channel.name { self.name = name }
        if channel.type != .unknown { type = channel.type }
        closed = channel.closed
        head = channel.lastSeq ?? head
        awaitsListing = false
    }

    /// Positions a channel that appeared while the agent runs before its first message (seq 0 or 1): `notBefore`
    /// decides what of it is news.
    mutating func beginWhereWeCameIn() {
        position.begin(at: -1)
        startsInside = true
    }
}
