import ChannelStore
import FabricAPI
import Timing

/// A row of the guild's channel list, as far as it matters here.
struct ListedChannel: Equatable, Sendable {
    var id: String
    var name: String?
    var type: FabricChannelType
    var lastSeq: Int64?
    var closed: Bool
    /// Seconds since 1970, by the guild's clock.
    var createdAt: Double?
    var purpose: String?
    /// User ids, where the list says it.
    var onDuty: [String] = []
}

/// What is kept of a channel between two runs.
struct RestoredChannel: Equatable, Sendable {
    var cursor: Int64?
    var newest: Double?
    var notBefore: Double?
    var wakeups: Set<Int64> = []
    var taken: Set<Int64> = []
}

/// A message at a position that was used before, newer than all others: the guild's log went back.
struct ReusedPosition: Sendable {
    var position: Int64
    /// The wake flags of the messages that came at such positions.
    var wakeups: [Int64: UInt64] = [:]
}

/// One channel of a guild, as an agent is in it.
struct ChannelSlot: Sendable {
    /// Messages that may wait in a lane; beyond, the rest stays in the guild until there is room.
    static let laneLimit = 2000

    let id: String
    var name: String?
    var type: FabricChannelType
    var closed: Bool
    var purpose: String?
    var onDuty: [String] = []
    var head: Int64? {
        didSet { position.listed = head }
    }
    /// The list at hand said it: a head of an earlier one proves nothing about the present.
    var isHeadNew = false
    var joined = false
    /// A join was sent and is not over.
    var isJoining = false
    /// False once the agent left the channel; the slot is reused when its lane is empty.
    var isPresent = true
    /// Its name and type are known: from the guild's list, or, if lists never show it, from what the socket brings.
    var isListed = false
    /// Tells apart the channels that use a slot one after the other.
    var generation = 0
    var position: ChannelPosition
    var lane = Lane()
    /// Messages before this time (seconds since 1970, the guild's clock) are from before the agent came in.
    var notBefore: Double?
    /// It is to begin at its head, and no list has said yet where that is.
    var awaitsHead = false
    /// It has no position although deliveries of it are kept: what came before this time is from before the agent came in.
    var cameInAfter: Double?
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
    /// The last list lacked it; the next one decides.
    var isDoubted = false
    /// The socket brought something since the last list: a list that lacks the channel is wrong.
    var broughtSinceList = false
    /// The socket brought something that a list lacked.
    var isProven = false
    /// A list of this run showed it.
    var wasListed = false
    /// Where we were when a list first had a head below our position.
    var behindAt: Int64?
    /// The lowest head that lists had since one had it below our position.
    var lowestHead: Int64?
    /// A message came that is newer than all before, at a position that was used before.
    var reuse: ReusedPosition?
    /// The creation time of the newest message taken in when the log last went back: what is not newer is not of it.
    var oldLogEnd: Double?
    /// The highest position taken in by then. Where the list that showed it was made before the newest messages were posted,
    /// some of the log as it is now were taken in too.
    var oldLogTop: Int64?
    /// Counts how often the log went back: positions, and so delivery ids, are used again after that.
    var era: Int
    /// The creation time of the newest message taken in by this run, by the guild's clock.
    var newest = TimeMark()
    /// The same of the runs before.
    var newestBefore: Double?
    /// Of a channel that began at its head: a time by which all was written that the head passes.
    var beganBy: Double?
    /// Of what the position skipped, how much was said.
    var saidSkipped: Int64 = 0
    /// What was skipped while the channel's beginning is looked for: not said, because most of it is no loss.
    var unsaidSkipped: Int64 = 0
    /// Reads in a row that failed, or that did not show what they should.
    var readFailures = 0
    /// Since when no read of the gap brought anything.
    @FixedInstant var failingSince: ContinuousClock.Instant?
    /// Those of them in which the guild said that there is nothing.
    var shortReads = 0
    /// The read whose answer is awaited; 0: none.
    var read: UInt64 = 0
    /// Messages were left in the guild because the lane was full, or because they could not be recorded.
    var overflown = false
    /// The cursor moved, or the lane grew, and that is not stored yet.
    var cursorDirty = false
    /// The cursor, and what was taken in above it, as the store has it.
    var storedCursor: Int64?
    var storedTaken: Set<Int64> = []
    var storedNewest: Double?
    var storedLog: StoredLog
    /// Caught-up messages older than the configured age, of the read under way.
    var tooOld: Int64 = 0
    /// After a run that ended badly: up to here, what is for the record may have been delivered before.
    var uncertainThrough: Int64?
    /// Restored without a good end: `uncertainThrough` follows from the first list.
    var isUncertain = false
    /// How agents that answer each other are held.
    var chatter = AgentChatter()

    init(_ channel: ListedChannel, restored: RestoredChannel?, era: Int, limits: ChannelPosition.Limits) {
        id = channel.id
        name = channel.name
        type = channel.type
        closed = channel.closed
        purpose = channel.purpose
        onDuty = channel.onDuty
        head = channel.lastSeq
        isHeadNew = head != nil
        position = ChannelPosition(
            intake: restored?.cursor, wakeups: restored?.wakeups ?? [], ahead: restored?.taken ?? [], limits: limits)
        position.listed = channel.lastSeq
        self.era = era
        newestBefore = restored?.newest
        notBefore = restored?.notBefore
        startsInside = restored?.notBefore != nil
        storedCursor = restored?.cursor
        storedTaken = restored?.taken ?? []
        storedNewest = restored?.newest
        storedLog = StoredLog(era: era, notBefore: restored?.notBefore)
    }

    /// When the newest message was created that is known to have been taken in, by the guild's clock; nil: not known.
    /// A message that was taken in is newer than all that the head passed, and tells it to the millisecond.
    var newestKnown: Double? {
        let seen = newest.seconds.flatMap { $0.isFinite ? $0 : nil }
        guard let before = newestBefore else { return seen ?? beganBy }
        return max(seen ?? before, before)
    }

    /// What is kept of it: nothing where newer messages were passed over, which it would not tell from those of another log.
    var newestKept: Double? { position.isSeen ? newestKnown : nil }

    /// The log as it is kept.
    var log: StoredLog { StoredLog(era: era, notBefore: notBefore) }

    mutating func update(from channel: ListedChannel) {
        if let name = channel.name { self.name = name }
        if channel.type != .unknown { type = channel.type }
        closed = channel.closed
        purpose = channel.purpose
        onDuty = channel.onDuty
        head = channel.lastSeq ?? head
        isHeadNew = channel.lastSeq != nil
        awaitsListing = false
        broughtSinceList = false
        isDoubted = false
    }

    /// Whether what is for the record there may have been delivered by the run before. Anything, while no list has said how
    /// far the log goes.
    func isUncertain(_ sequence: Int64) -> Bool {
        isUncertain || uncertainThrough.map { sequence <= $0 } ?? false
    }

    /// Whether a row of the log as it is now may have been taken in before the log was known to have gone back.
    func isOfOldLog(_ sequence: Int64, _ created: Double?) -> Bool {
        guard let end = oldLogEnd, let top = oldLogTop, let created else { return false }
        return sequence <= top && created <= end
    }

    /// What the ids of its deliveries begin with.
    func deliveryPrefix(account: String, guild: String) -> String {
        "\(account)/\(guild)/\(id)/" + (era == 0 ? "" : "~\(era)/")
    }

    /// Positions a channel that appeared while the agent runs before its first message (seq 0 or 1): `notBefore`
    /// decides what of it is news.
    mutating func beginWhereWeCameIn() {
        position.begin(at: ChannelPosition.valid.lowerBound)
        startsInside = true
    }

    /// What a live message is to its channel.
    enum LiveStep {
        /// It is taken in; whether the slot was dirty before, and whether it may be the first that is news.
        case taken(wasDirty: Bool, mayBeNews: Bool)
        /// It stays in the guild for now.
        case full
        case not(ChannelPosition.Verdict)
    }

    /// A live message at a valid position came. All that it changes here is changed in one go: each access from outside
    /// asks anew whether the slots are shared.
    @inline(__always)
    mutating func takeLive(_ sequence: Int64, _ view: FabricMessageView, isStoreGood: Bool) -> LiveStep {
        broughtSinceList = true
        if let end = oldLogEnd, let created = view.createdAt.flatMap({ FabricTime.seconds($0) }), created <= end {
            return .not(.duplicate)
        }
        guard !overflown, lane.waitingCount < Self.laneLimit, isStoreGood else { return .full }
        if position.intake == nil, let cameInAfter {
            // The agent came back while nobody listened: this need not be the first message since.
            notBefore = cameInAfter
            beginWhereWeCameIn()
        }
        let verdict = position.live(sequence, mark: byteHash(view.id.rawBytes))
        guard verdict == .accept else { return .not(verdict) }
        let wasDirty = cursorDirty
        cursorDirty = true
        newest.advance(to: view.createdAt)
        return .taken(wasDirty: wasDirty, mayBeNews: notBefore != nil)
    }
}
