import ChannelStore
import JSONBytes

@testable import FabricAPI
@testable import FabricChannel

/// A message in the log of a guild, and what is known of its way to the agent.
final class SimMessage {
    let id: String
    /// Counts the messages of the world.
    let number: Int
    let guild: Int
    let channel: Int
    let place: ChannelKey
    let sequence: Int64
    let author: String
    /// The guild decided that it wakes the agent.
    let wake: Bool
    /// That can be told from history too.
    let isInferable: Bool
    /// The agent's outbox entry that it came from.
    let entry: String?
    let key: String?
    let content: String
    let postedAt: Int64
    let row: [UInt8]
    let event: [UInt8]

    /// It was cut off with the end of the log.
    var isGone = false
    /// The agent is to have it.
    var isDue = false
    /// How often a gateway was given it.
    var deliveries = 0
    /// The run of the process that last took in its event.
    var heardIn: Int?
    /// The agent left the channel after it was posted.
    var wasLeft = false
    /// Its position was used before: when the guild was restored from a backup.
    var usedSince: Int64?
    /// Newer ones were taken in before the account noticed that its position was used again.
    var isHidden = false
    /// The account may not know that it was delivered.
    var isForgotten = false
    /// It was last delivered to wake the agent.
    var didWake = false
    /// It has woken the agent, whatever came of it later.
    var hasWoken = false

    init(
        id: String, number: Int, guild: SimGuild, channel: SimChannel, author: String, content: String, wake: Bool,
        isInferable: Bool, hasFile: Bool, entry: String?, key: String?, created: Int64, now: Int64
    ) {
        self.id = id
        self.number = number
        self.guild = guild.number
        self.channel = channel.number
        place = ChannelKey(guild: guild.id, channel: channel.id)
        sequence = channel.next
        self.author = author
        self.wake = wake
        self.isInferable = isInferable
        self.entry = entry
        self.key = key
        self.content = content
        postedAt = now
        let file = hasFile ? #","attachments":[{"url":"/api/files/1","name":"f"}]"# : ""
        let text =
            #"{"messageId":"\#(id)","seq":\#(sequence),"channelId":"\#(channel.id)","authorUserId":"\#(author)","#
            + #""content":"\#(content)","createdAt":\#(created)\#(file)"#
        row = Array((text + "}").utf8)
        event = Array((text + #","xType":"\#(channel.type.rawValue)","wakeup":\#(wake)}"#).utf8)
    }
}

final class SimChannel {
    let number: Int
    let id: String
    let type: FabricChannelType
    /// Seconds since 1970, by the guild's clock.
    let createdAt: Double
    var log: [SimMessage] = []
    var next: Int64
    var isMember = true
    /// When the agent came in, by the virtual clock; nil: it was there from the beginning.
    var joinedAt: Int64?
    /// The log was cut off: positions up to here are used again.
    var cutBelow: Int64?
    /// When it last was, by the virtual clock.
    var cutAt: Int64?

    init(number: Int, id: String, type: FabricChannelType, createdAt: Double, first: Int64) {
        self.number = number
        self.id = id
        self.type = type
        self.createdAt = createdAt
        next = first
    }
}

/// A connection of the agent's, as the guild sees it.
final class SimSocket {
    var joined: Set<Int> = []
    var isDeaf = false
    var isOpen = true
    /// The peer is gone without a word: no pings either.
    var isGone = false
    /// Nothing sent later arrives before this, unless the network reorders.
    var lastArrival: Int64 = 0
    private let event: (SimSocket, GuildEvent, [UInt8], SimMessage?) -> Void
    private let lost: (SimSocket) -> Void

    init(
        event: @escaping (SimSocket, GuildEvent, [UInt8], SimMessage?) -> Void, lost: @escaping (SimSocket) -> Void
    ) {
        self.event = event
        self.lost = lost
    }

    func bring(_ event: GuildEvent, _ bytes: [UInt8], _ message: SimMessage?) {
        if isOpen { self.event(self, event, bytes, message) }
    }

    func end() { lost(self) }
}

/// A guild: logs, members, idempotency keys and the sockets that are open.
final class SimGuild {
    static let agent = "u-me"

    let id: String
    let number: Int
    unowned let world: World
    var channels: [SimChannel] = []
    var sockets: [SimSocket] = []
    var keys: [String: SimMessage] = [:]
    var isDown = false
    /// The agent is a member.
    var hasAgent = true
    /// How far its clock is off.
    let skew: Double
    private var lastCreated: Int64 = 0
    /// The token that was last looked at, and when it runs out.
    var lastToken = (text: "", expiry: -Double.infinity)

    init(number: Int, world: World, skew: Double) {
        self.number = number
        self.world = world
        self.skew = skew
        id = "guild-\(number)"
    }

    /// Seconds since 1970.
    var clock: Double { World.epoch + world.schedule.seconds + skew }

    /// Times in milliseconds that no two messages share.
    private func created() -> Int64 {
        lastCreated = max(lastCreated + 1, Int64(clock * 1000))
        return lastCreated
    }

    func addChannel(_ type: FabricChannelType, isMember: Bool = true) -> SimChannel {
        let channel = SimChannel(
            number: channels.count, id: "c\(channels.count)-\(type.rawValue)", type: type, createdAt: clock,
            first: world.plan.firstSequence)
        channel.isMember = isMember
        channels.append(channel)
        return channel
    }

    @discardableResult
    func post(
        _ channel: SimChannel, author: String, content: String, wake: Bool, isInferable: Bool, hasFile: Bool = false,
        entry: String? = nil, key: String? = nil
    ) -> SimMessage {
        world.messageCount += 1
        let message = SimMessage(
            id: "m\(world.messageCount)", number: world.messageCount, guild: self, channel: channel, author: author,
            content: content,
            wake: wake, isInferable: isInferable, hasFile: hasFile, entry: entry, key: key,
            created: created(), now: world.schedule.now)
        channel.next += 1
        channel.log.append(message)
        if let key { keys[key] = message }
        world.trace("\(id)/\(channel.id) #\(message.sequence) \(message.id) by \(author) wake \(wake)")
        world.checks.posted(message, in: channel)
        // Triage hides from all it does not concern.
        if channel.type == .triage, !wake, author != Self.agent { return message }
        for socket in sockets where socket.joined.contains(channel.number) {
            push(.messageCreated, message.event, message, to: socket)
        }
        return message
    }

    func push(_ event: GuildEvent, _ bytes: [UInt8], _ message: SimMessage?, to socket: SimSocket) {
        if socket.isGone { return }
        if socket.isDeaf {
            if message != nil { world.trace("deaf: \(message?.id ?? "")") }
            return
        }
        let plan = world.plan
        if world.isFaulty, plan.has(.drops), world.schedule.random.chance(0.1) {
            world.trace("dropped: \(message?.id ?? "\(event)")")
            return
        }
        var delay = world.schedule.random.delay(0.2)
        let arrival = world.schedule.now + Int64(delay * 1e6)
        if world.isFaulty, plan.has(.reorders), world.schedule.random.chance(0.2) {
            delay += world.schedule.random.between(0, 5)
        } else {
            socket.lastArrival = max(arrival, socket.lastArrival)
            delay = Double(socket.lastArrival - world.schedule.now) / 1e6
        }
        world.schedule.after(delay) { socket.bring(event, bytes, message) }
        if world.isFaulty, plan.has(.duplicates), world.schedule.random.chance(0.1) {
            world.schedule.after(delay + world.schedule.random.between(0, 5)) {
                socket.bring(event, bytes, message)
            }
        }
    }

    func close(_ socket: SimSocket) {
        guard socket.isOpen else { return }
        socket.isOpen = false
        sockets.removeAll { $0 === socket }
        world.schedule.after(world.schedule.random.delay(1)) { socket.end() }
    }

    // MARK: What clients ask

    func list() -> [ListedChannel] {
        channels.filter(\.isMember).map { channel in
            ListedChannel(
                id: channel.id, name: "name of \(channel.id)", type: channel.type,
                lastSeq: channel.log.last?.sequence ?? world.plan.firstSequence - 1, closed: false,
                createdAt: channel.createdAt)
        }
    }

    func history(_ channel: String, _ from: Int64, _ to: Int64?, _ limit: Int) -> [FabricHistory.Row]? {
        guard let channel = channels.first(where: { $0.id == channel }), channel.isMember else { return nil }
        var rows: [FabricHistory.Row] = []
        for message in channel.log where message.sequence >= from && message.sequence <= to ?? .max {
            rows.append(.init(id: message.id, seq: message.sequence, json: message.row))
            if rows.count == limit { break }
        }
        return rows
    }

    /// Posts a message of the agent's. Nil: it is not in the channel.
    func accept(_ channel: String, _ content: String, key: String, entry: String) -> SimMessage? {
        guard let channel = channels.first(where: { $0.id == channel }), channel.isMember else { return nil }
        if world.plan.honoursKeys, let known = keys[key] { return known }
        return post(
            channel, author: Self.agent, content: content, wake: false, isInferable: true, entry: entry, key: key)
    }

    // MARK: Membership

    func setMember(_ channel: SimChannel, _ isMember: Bool) {
        guard channel.isMember != isMember else { return }
        channel.isMember = isMember
        world.trace("\(id)/\(channel.id) member \(isMember)")
        if isMember {
            channel.joinedAt = world.schedule.now
            world.checks.joined(ChannelKey(guild: id, channel: channel.id))
        } else {
            world.checks.left(channel)
            for socket in sockets { socket.joined.remove(channel.number) }
        }
        let event =
            #"{"channelId":"\#(channel.id)","userId":"\#(Self.agent)","xType":"\#(channel.type.rawValue)","#
            + #""occurredAt":\#(Int64(clock * 1000))}"#
        for socket in sockets { push(isMember ? .channelJoined : .channelLeft, Array(event.utf8), nil, to: socket) }
    }

    /// The guild is restored from a backup: the last messages of a channel are gone, and what they were posted with.
    func cutOff(_ channel: SimChannel, _ count: Int) {
        guard !channel.log.isEmpty else { return }
        let cut = Array(channel.log.suffix(count))
        channel.log.removeLast(cut.count)
        channel.cutBelow = max(channel.cutBelow ?? .min, channel.next - 1)
        channel.cutAt = world.schedule.now
        channel.next = cut[0].sequence
        for message in cut {
            message.isGone = true
            if let key = message.key { keys[key] = nil }
        }
        world.trace("\(id)/\(channel.id) restored: next is \(channel.next)")
    }
}
