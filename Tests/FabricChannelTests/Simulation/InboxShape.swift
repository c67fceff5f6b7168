import ChannelStore
import JSONBytes

@testable import FabricAPI

#if !FUZZ
    @testable import FabricChannel
#endif

/// Bytes that decide: each choice takes some; where they end, everything is the first choice.
struct Choices {
    private var bytes: ArraySlice<UInt8>

    init(_ bytes: some Sequence<UInt8>) { self.bytes = ArraySlice(Array(bytes)) }

    var isOver: Bool { bytes.isEmpty }

    mutating func byte() -> UInt8 { bytes.popFirst() ?? 0 }
    mutating func below(_ bound: Int) -> Int { bound <= 1 ? 0 : Int(byte()) % bound }
    /// In sixteenths.
    mutating func chance(_ sixteenths: UInt8) -> Bool { byte() & 15 < sixteenths }
    mutating func pick<Element>(_ from: [Element]) -> Element { from[below(from.count)] }
    mutating func take(_ count: Int) -> [UInt8] {
        defer { bytes = bytes.dropFirst(count) }
        return Array(bytes.prefix(count))
    }

    mutating func number() -> Int64 {
        switch below(6) {
        case 0: pick([.max, .min, .max - 1, .min + 1, 0, -1, 1, -2])
        case 1: pick([1 << 53, (1 << 53) + 1, (1 << 53) - 1, -(1 << 53)])
        case 2: take(8).reduce(0) { $0 &<< 8 | Int64($1) }
        default: Int64(below(40))
        }
    }
}

/// An inbox that is told anything: lists, events and history of any shape, in any order, as bytes decide.
struct InboxShape {
    /// What is wrong with it; nil: nothing.
    private(set) var problem: String?

    private var choices: Choices
    private var inbox: Inbox
    private var actions: [Inbox.Action] = []
    private var instant = ContinuousClock.now
    private var wall = 1.774e9
    private var reads: [(guild: Int, slot: Int, number: UInt64)] = []
    private var lists: [(guild: Int, purpose: GuildFeed.ListPurpose, epoch: Int)] = []
    private var joins: [(guild: Int, slots: [Int], epoch: Int)] = []
    private var tickets: [UInt64] = []
    private var turns: [String] = []
    private var messages = 0
    private var floods = 0

    init(_ bytes: some Sequence<UInt8>) {
        choices = Choices(bytes)
        var settings = Inbox.Settings()
        settings.feed.limits.catchUp = choices.pick([500, 0, 1, .max])
        inbox = Inbox(
            account: "me", settings: settings, stored: Self.account(&choices), isHandover: choices.chance(5),
            mediaRoot: "/m", agents: AgentDirectory(), seed: UInt64(choices.byte()),
            now: .init(instant: instant, wall: wall), &actions)
        handle(.session(user: "u-me", guilds: ["g0", "g1"]))
        settle()
    }

    /// Plays until the bytes end.
    mutating func play() {
        while !choices.isOver, problem == nil {
            step()
            settle()
            _ = inbox.kept
            _ = inbox.due
        }
    }

    private static let channels = ["c0", "c1", "c2", "", "c/3"]

    /// What a damaged store, or an earlier lie, may have left.
    private static func account(_ choices: inout Choices) -> StoredAccount {
        var account = StoredAccount(isRunning: choices.chance(8))
        for guild in ["g0", "g1"] where choices.chance(8) {
            let key = ChannelKey(guild: guild, channel: choices.pick(channels))
            account.cursors[key] = choices.number()
            account.newest[key] = choices.pick([nil, 0, .infinity, -1e300, 1.774e9])
            account.logs[key] = StoredLog(
                era: choices.pick([0, 1, .max, .min]), notBefore: choices.pick([nil, 0, .infinity, 1.774e9]))
            account.wakeups[key] = [choices.number(), choices.number()]
            account.taken[key] = [choices.number(), choices.number()]
            account.listedAt[guild] = choices.pick([0, .infinity, -1e300, 1.774e9])
            account.deliveries.append(
                StoredDelivery(
                    id: "me/\(guild)/c0/1", key: key, sequence: choices.number(), wake: choices.chance(8),
                    caughtUp: false, redelivered: false, message: Array(#"{"id":"x"}"#.utf8),
                    handedOver: choices.chance(8), attempts: choices.pick([0, .max, .max - 1, .min])))
        }
        return account
    }

    private mutating func handle(_ event: Inbox.Event) {
        inbox.handle(event, now: .init(instant: instant, wall: wall), &actions)
    }

    /// Takes note of what was asked for.
    private mutating func settle() {
        var at = 0
        while at < actions.count {
            let action = actions[at]
            at += 1
            switch action {
            case .readHistory(let guild, let slot, let number, _, _): reads.append((guild, slot, number))
            case .list(let guild, let purpose, let epoch): lists.append((guild, purpose, epoch))
            case .join(let guild, let slots, _, let epoch, _): joins.append((guild, slots, epoch))
            case .commit(_, let ticket): tickets.append(ticket)
            case .fetch(let id, _): handle(.fetched(id))
            case .deliver(let id):
                turns.append(id)
                handle(.answered(id, choices.pick([.taken, .adopted, .finished])))
            case .deliverRecord(let guild, let slot, let message, let isStored):
                let answer: DeliveryAnswer = choices.pick([.adopted, .taken, .finished])
                handle(.recordAnswered(guild, slot: slot, message, isStored: isStored, answer))
            default: break
            }
        }
        actions.removeAll(keepingCapacity: true)
        for guild in inbox.guilds {
            for slot in guild.feed.slots {
                if slot.lane.waitingCount > ChannelSlot.laneLimit + Inbox.page + slot.position.limits.held {
                    problem = "\(slot.lane.waitingCount) wait in a lane"
                }
                if slot.position.takenAhead.count > slot.position.limits.ahead + slot.position.limits.held {
                    problem = "\(slot.position.takenAhead.count) are taken in ahead"
                }
                if let intake = slot.position.intake, !ChannelPosition.valid.contains(intake) {
                    problem = "a position of \(intake)"
                }
            }
        }
    }

    private mutating func step() {
        let guild = choices.below(2)
        switch choices.below(17) {
        case 0: handle(choices.chance(11) ? .connected(guild) : .disconnected(guild))
        case 1, 2: answerList()
        case 3: if let join = joins.popLast() { answer(join) }
        case 4, 5, 6: message(guild)
        case 7: raw(guild)
        case 8, 9: answerRead()
        case 10: membership(guild)
        case 11: if let ticket = tickets.popLast() { handle(.stored(choices.chance(14) ? ticket : .max)) }
        case 12:
            wall = choices.pick([wall, wall + 1e6, wall - 1e6, 1e300, -1e300, 0])
            instant = instant.advanced(by: .seconds(choices.below(256) * 16))
            handle(.tick)
        case 13: handle(.storeHealth(isGood: choices.chance(10)))
        case 14: if let id = turns.popLast() { handle(.settled(id, choices.pick([.finished, .adopted, .failed]))) }
        case 15:
            handle(.flush)
            if choices.chance(1) { handle(.resubmit("me/g0/c0/1")) }
        default:
            let channel = choices.pick(Self.channels)
            handle(.posted(guild: "g\(guild)", channel: channel, sequence: choices.number()))
        }
    }

    private mutating func text() -> [UInt8] {
        messages += 1
        let sequence = choices.chance(15) ? #","seq":\#(choices.number())"# : ""
        let created =
            switch choices.below(8) {
            case 0: #","createdAt":"x""#
            case 1: #","createdAt":\#(choices.number())"#
            case 2: ""
            default: #","createdAt":\#(1_774_000_000_000 + Int64(choices.byte()) * 1000)"#
            }
        let id = choices.chance(13) ? messages : 1
        let text =
            #"{"id":"m\#(id)","channelId":"\#(choices.pick(Self.channels))","authorId":"\#(choices.pick(["u-1", "u-me", ""]))""#
            + #","content":"t","wakeup":\#(choices.chance(5))"# + sequence + created + "}"
        return Array(text.utf8)
    }

    private mutating func message(_ guild: Int) {
        // What overflows a lane is slow, and enough once.
        let isFlood = choices.byte() == 255 && floods < 1
        if isFlood { floods += 1 }
        for _ in 0...(isFlood ? 2500 : choices.below(6)) { hear(guild, text()) }
    }

    private mutating func hear(_ guild: Int, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { raw in
            let json = JSONView(validated: raw, start: 0, end: raw.count)
            guard let view = FabricMessageView(json) else { return handle(.unreadable(guild)) }
            handle(.message(guild, view, json))
            if case .record(_, let slot, _) = actions.last, choices.chance(8) {
                handle(.recordTaken(guild, slot: slot, json))
            }
        }
    }

    /// JSON that the bytes spell out, as an event and as history.
    private mutating func raw(_ guild: Int) {
        let bytes = choices.take(choices.below(200))
        let isJSON = bytes.withUnsafeBytes { text in (try? JSONBytes.validateWhole(text)) != nil }
        guard isJSON else { return }
        hear(guild, bytes)
        guard let read = reads.last else { return }
        handle(.page(read.guild, slot: read.slot, number: read.number, [.init(id: "r", seq: 1, json: bytes)]))
    }

    private mutating func membership(_ guild: Int) {
        let text =
            #"{"channelId":"\#(choices.pick(Self.channels))","userId":"u-me","occurredAt":\#(choices.number())}"#
        let isJoin = choices.chance(10)
        Array(text.utf8).withUnsafeBytes { text in
            guard let change = FabricMembershipEvent(JSONView(validated: text, start: 0, end: text.count)) else {
                return
            }
            handle(.membership(guild, change, joined: isJoin))
        }
    }

    private mutating func answerList() {
        guard let list = lists.popLast() else { return }
        if choices.chance(3) {
            return handle(.listFailed(list.guild, .passing("x"), list.purpose, epoch: list.epoch))
        }
        var channels: [ListedChannel] = []
        for _ in 0..<choices.below(6) {
            channels.append(
                ListedChannel(
                    id: choices.pick(Self.channels), name: nil,
                    type: choices.pick([.dm, .general, .unknown, .triage, .discuss]),
                    lastSeq: choices.chance(14) ? choices.number() : nil, closed: choices.chance(2),
                    createdAt: choices.pick([nil, 0, .infinity, -.infinity, .nan, 1.7e9, 1e300])))
        }
        let date: Double? = choices.pick([nil, 1.774e9, 1.774e9 + 100, .infinity, -.infinity, 0])
        handle(.listed(list.guild, channels, list.purpose, epoch: list.epoch, date: date))
    }

    private mutating func answer(_ join: (guild: Int, slots: [Int], epoch: Int)) {
        let slots = choices.chance(14) ? join.slots : [-1, .max, 0]
        handle(.joinsEnded(join.guild, slots, answered: choices.pick([0, 1, .max, -1]), epoch: join.epoch))
    }

    private mutating func answerRead() {
        guard let read = reads.popLast() else { return }
        let number = choices.chance(14) ? read.number : .max
        let slot = choices.chance(14) ? read.slot : choices.pick([-1, .max, 0])
        if choices.chance(3) {
            let isFinal = choices.chance(8)
            return handle(.pageFailed(read.guild, slot: slot, number: number, isFinal: isFinal, reason: "x"))
        }
        var rows: [FabricHistory.Row] = []
        for _ in 0..<choices.below(8) {
            rows.append(.init(id: "r", seq: choices.chance(14) ? choices.number() : nil, json: text()))
        }
        if choices.chance(11) { rows.sort { $0.seq ?? .min < $1.seq ?? .min } }
        handle(.page(read.guild, slot: slot, number: number, rows))
    }
}
