import ChannelStore
import JSONBytes
import Testing

@testable import FabricAPI
@testable import FabricChannel

/// An inbox that is told anything: lists, events and history of any shape, in any order. It never traps, and stays bounded.
@Suite struct InboxShapeTests {
    #if DEBUG
        private static let seeds: UInt64 = 300
    #else
        private static let seeds: UInt64 = 5000
    #endif

    @Test func noShapeHurts() {
        for seed in 1...Self.seeds as ClosedRange<UInt64> {
            var shape = Shape(seed: seed)
            shape.play(120)
            let (waiting, ahead) = (shape.largestLane, shape.largestAhead)
            if waiting > ChannelSlot.laneLimit + Inbox.page + 1 || ahead > 1024 + 1000 {
                Issue.record("seed \(seed): \(waiting) wait, \(ahead) are ahead")
            }
        }
    }
}

private struct Shape {
    private var random: SplitMix64
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
    private(set) var largestLane = 0
    private(set) var largestAhead = 0

    init(seed: UInt64) {
        random = SplitMix64(state: seed)
        var settings = Inbox.Settings()
        settings.feed.limits.catchUp = random.pick([0, 1, 500, .max])
        inbox = Inbox(
            account: "me", settings: settings, stored: Self.anyAccount(&random), isHandover: random.chance(0.3),
            mediaRoot: "/m", agents: AgentDirectory(), seed: seed, now: .init(instant: instant, wall: wall), &actions)
        handle(.session(user: "u-me", guilds: ["g0", "g1"]))
        settle()
    }

    /// What a damaged store, or an earlier lie, may have left.
    private static func anyAccount(_ random: inout SplitMix64) -> StoredAccount {
        var account = StoredAccount(isRunning: random.chance(0.5))
        for guild in ["g0", "g1"] where random.chance(0.5) {
            let key = ChannelKey(guild: guild, channel: random.pick(channels))
            account.cursors[key] = anyNumber(&random)
            account.wakeups[key] = [anyNumber(&random), anyNumber(&random)]
            account.taken[key] = [anyNumber(&random), anyNumber(&random)]
            account.listedAt[guild] = random.pick([0, .infinity, -1e300, 1.774e9])
            account.deliveries.append(
                StoredDelivery(
                    id: "me/\(guild)/c0/1", key: key, sequence: anyNumber(&random), wake: random.chance(0.5),
                    caughtUp: false, redelivered: false, message: Array(#"{"id":"x"}"#.utf8),
                    handedOver: random.chance(0.5), attempts: Int.max - 1 - random.below(3)))
        }
        return account
    }

    private static let channels = ["c0", "c1", "c2", "", "c/3"]

    private static func anyNumber(_ random: inout SplitMix64) -> Int64 {
        switch random.below(6) {
        case 0: random.pick([.max, .min, .max - 1, .min + 1, 0, -1, 1])
        case 1: random.pick([1 << 53, (1 << 53) + 1, (1 << 53) - 1, -(1 << 53), -2])
        case 2: Int64(bitPattern: random.next())
        default: Int64(random.below(40))
        }
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
                handle(.answered(id, random.pick([.taken, .adopted, .finished])))
            case .deliverRecord(let guild, let slot, let message, let isStored):
                let answer: DeliveryAnswer = random.pick([.taken, .adopted, .finished])
                handle(.recordAnswered(guild, slot: slot, message, isStored: isStored, answer))
            default: break
            }
        }
        actions.removeAll(keepingCapacity: true)
        for guild in inbox.guilds {
            for slot in guild.feed.slots {
                largestLane = max(largestLane, slot.lane.waitingCount)
                largestAhead = max(largestAhead, slot.position.takenAhead.count)
            }
        }
    }

    mutating func play(_ steps: Int) {
        for _ in 0..<steps {
            step()
            settle()
            _ = inbox.kept
            _ = inbox.due
        }
    }

    private mutating func step() {
        let guild = random.below(2)
        switch random.below(16) {
        case 0: handle(random.chance(0.7) ? .connected(guild) : .disconnected(guild))
        case 1, 2: answerList()
        case 3: if let join = joins.popLast() { answer(join) }
        case 4, 5, 6, 7: message(guild)
        case 8, 9: answerRead()
        case 10:
            let change = event(
                #"{"channelId":"\#(random.pick(Self.channels))","userId":"u-me","occurredAt":\#(Self.anyNumber(&random))}"#
            )
            change.withUnsafeBytes { text in
                guard let change = FabricMembershipEvent(JSONView(validated: text, start: 0, end: text.count)) else {
                    return
                }
                handle(.membership(guild, change, joined: random.chance(0.6)))
            }
        case 11: if let ticket = tickets.popLast() { handle(.stored(random.chance(0.9) ? ticket : random.next())) }
        case 12:
            wall = random.pick([wall, wall + 1e6, wall - 1e6, 1e300, -1e300, 0])
            instant = instant.advanced(by: .seconds(random.below(4000)))
            handle(.tick)
        case 13: handle(.storeHealth(isGood: random.chance(0.6)))
        case 14: if let id = turns.popLast() { handle(.settled(id, random.pick([.adopted, .finished, .failed]))) }
        default:
            handle(.flush)
            handle(.posted(guild: "g\(guild)", channel: random.pick(Self.channels), sequence: Self.anyNumber(&random)))
        }
    }

    private func event(_ text: String) -> [UInt8] { Array(text.utf8) }

    private mutating func text() -> [UInt8] {
        messages += 1
        let sequence = random.chance(0.9) ? #","seq":\#(Self.anyNumber(&random))"# : ""
        let created = random.chance(0.9) ? #","createdAt":\#(Self.anyNumber(&random))"# : #","createdAt":"x""#
        return event(
            #"{"id":"m\#(random.chance(0.8) ? messages : 1)","channelId":"\#(random.pick(Self.channels))""#
                + #","authorId":"\#(random.pick(["u-1", "u-me", ""]))","content":"t","wakeup":\#(random.chance(0.3))"#
                + sequence + created + "}")
    }

    private mutating func message(_ guild: Int) {
        for _ in 0...(random.chance(0.01) ? 2500 : random.below(6)) {
            let bytes = text()
            bytes.withUnsafeBytes { raw in
                let json = JSONView(validated: raw, start: 0, end: raw.count)
                guard let view = FabricMessageView(json) else { return }
                handle(.message(guild, view, json))
                if case .record(_, let slot, _) = actions.last, random.chance(0.5) {
                    handle(.recordTaken(guild, slot: slot, json))
                }
            }
        }
    }

    private mutating func answerList() {
        guard let list = lists.popLast() else { return }
        if random.chance(0.2) {
            return handle(.listFailed(list.guild, .passing("x"), list.purpose, epoch: list.epoch))
        }
        var channels: [ListedChannel] = []
        for _ in 0..<random.below(6) {
            channels.append(
                ListedChannel(
                    id: random.pick(Self.channels), name: nil, type: random.pick([.dm, .general, .unknown, .triage]),
                    lastSeq: random.chance(0.9) ? Self.anyNumber(&random) : nil, closed: random.chance(0.1),
                    createdAt: random.pick([nil, 0, .infinity, -.infinity, .nan, 1.7e9, 1e300])))
        }
        handle(.listed(list.guild, channels, list.purpose, epoch: list.epoch))
    }

    private mutating func answer(_ join: (guild: Int, slots: [Int], epoch: Int)) {
        let slots = random.chance(0.9) ? join.slots : [-1, .max, 0]
        handle(.joinsEnded(join.guild, slots, answered: random.pick([0, 1, .max, -1]), epoch: join.epoch))
    }

    private mutating func answerRead() {
        guard let read = reads.popLast() else { return }
        let number = random.chance(0.9) ? read.number : random.next()
        let slot = random.chance(0.9) ? read.slot : random.pick([-1, .max, 0])
        if random.chance(0.2) {
            return handle(
                .pageFailed(read.guild, slot: slot, number: number, isFinal: random.chance(0.5), reason: "x"))
        }
        var rows: [FabricHistory.Row] = []
        for _ in 0..<random.below(8) {
            rows.append(.init(id: "r", seq: random.chance(0.9) ? Self.anyNumber(&random) : nil, json: text()))
        }
        if random.chance(0.7) { rows.sort { $0.seq ?? .min < $1.seq ?? .min } }
        handle(.page(read.guild, slot: slot, number: number, rows))
    }
}
