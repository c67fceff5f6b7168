import FabricAPI
import SocketIO

/// What an account holds for one guild: the feed that decides, and the socket that it decides about.
///
/// Confined to the account's actor; it is a class only so that the feed can be changed in place.
// Unchecked: only code isolated to the account that made it touches it; tasks of the account carry the reference across
// their suspensions, and use it again only when they are back on the account.
final class GuildLink: @unchecked Sendable {
    let guild: FabricGuild
    let nodeId: String
    let endpoint: String
    var feed: GuildFeed
    var client: SocketIOClient?
    var delegate: GuildSocketDelegate?
    /// The token that the present socket was opened with.
    var token: String?
    var lastDisconnect: String?
    var reconnectAttempts = 0
    var lastConnectedAt: Double?
    var timer: LoopTimer?
    var timerDue: ContinuousClock.Instant?
    /// Its place on the board of those who wait for the guild.
    var boardNumber: UInt64?
    var recentIDs = RecentIDs()
    /// Messages without a position have been seen, so ids have to be remembered for the others too.
    var hasUnsequenced = false
    var duplicates = 0
    private var texts: [ConversationText?] = []
    private var lastChannel: [UInt8] = []
    private var lastSlot = -1

    init(guild: FabricGuild, nodeId: String, endpoint: String, feed: GuildFeed) {
        self.guild = guild
        self.nodeId = nodeId
        self.endpoint = endpoint
        self.feed = feed
    }

    /// The slot of a channel named by raw bytes; remembers the last answer, because messages come in runs.
    @inline(__always)
    func slot(of channel: UnsafeRawBufferPointer) -> Int? {
        if lastSlot >= 0, lastChannel.count == channel.count, lastChannel.withUnsafeBytes({ same($0, channel) }) {
            return lastSlot
        }
        return findSlot(of: channel)
    }

    @inline(never)
    private func findSlot(of channel: UnsafeRawBufferPointer) -> Int? {
        guard let slot = feed.slot(of: String(decoding: channel, as: UTF8.self)) else { return nil }
        lastChannel = Array(channel)
        lastSlot = slot
        return slot
    }

    /// Slots change hands, and names change, only through lists and push events.
    func forgetTexts() {
        lastSlot = -1
        texts = []
    }

    /// The constant parts of a channel's deliveries.
    @inline(__always)
    func text(of slot: Int, account: String) -> ConversationText {
        if slot < texts.count, let text = texts[slot] { return text }
        return makeText(of: slot, account: account)
    }

    @inline(never)
    private func makeText(of slot: Int, account: String) -> ConversationText {
        while texts.count <= slot { texts.append(nil) }
        let channel = feed.slots[slot]
        let text = ConversationText(
            account: account, guild: nodeId, channel: channel.id, name: channel.name, type: channel.type)
        texts[slot] = text
        return text
    }
}

@inline(__always)
func same(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard let x = a.baseAddress, let y = b.baseAddress else { return true }
    var at = 0
    while at &+ 8 <= a.count {
        if (x + at).loadUnaligned(as: UInt64.self) != (y + at).loadUnaligned(as: UInt64.self) { return false }
        at &+= 8
    }
    while at < a.count {
        if x.load(fromByteOffset: at, as: UInt8.self) != y.load(fromByteOffset: at, as: UInt8.self) { return false }
        at &+= 1
    }
    return true
}
