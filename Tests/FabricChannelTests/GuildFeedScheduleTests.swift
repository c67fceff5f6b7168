import FabricAPI
import Foundation
import Testing

@testable import FabricChannel

/// Random schedules of everything that can go wrong between a guild and a feed: lost, repeated and reordered events, deaf
/// sockets, drops, restarts, failed lists and reads. Afterwards, with the faults over, every message must
/// have been taken in exactly once and in order.
@Suite struct GuildFeedScheduleTests {
    @Test func nothingIsLostRepeatedOrReordered() {
        // A million once before a release: FABRIC_SCHEDULES=1000000 ./setup test --filter GuildFeedSchedule
        let count = ProcessInfo.processInfo.environment["FABRIC_SCHEDULES"].flatMap { Int($0) } ?? 10_000
        for seed in 0..<count {
            var world = FeedWorld(seed: UInt64(seed))
            world.run(steps: 80)
            let failure = world.settleAndCheck()
            #expect(failure == nil, "seed \(seed): \(failure ?? "")")
            if failure != nil { return }
        }
    }

    /// The check above must be able to fail: a feed whose gaps are not read loses messages.
    @Test func aFeedThatReadsNoGapsIsCaught() {
        var caught = 0
        for seed in 0..<50 {
            var world = FeedWorld(seed: UInt64(seed))
            world.ignoresHistory = true
            world.run(steps: 80)
            if world.settleAndCheck() != nil { caught += 1 }
        }
        #expect(caught > 25)
    }
}

/// A guild with two channels, a feed, and virtual time.
struct FeedWorld {
    struct Event {
        var channel: String
        var sequence: Int64
    }

    enum Pending {
        case list(GuildFeed.ListPurpose, epoch: Int)
        case join([Int], epoch: Int)
        case read(slot: Int, generation: Int, range: ClosedRange<Int64>)
        case retryRead(slot: Int, generation: Int)
    }

    var random: SplitMix64
    var now = ContinuousClock.now
    var wall = 1_000_000.0
    var feed: GuildFeed
    var heads: [String: Int64] = ["a": 5, "b": 0]
    var connected = false
    var deaf = false
    var joined: Set<String> = []
    var wire: [Event] = []
    var pending: [Pending] = []
    var taken: [String: [Int64]] = [:]
    var ignoresHistory = false
    var faults = true
    var deafReports = 0

    init(seed: UInt64) {
        random = SplitMix64(state: seed)
        feed = GuildFeed(
            settings: .init(limits: .init(held: 4, holes: 64, catchUp: 100_000)), restored: [:], listedAt: nil,
            seed: seed)
    }

    private mutating func chance(_ percent: Int) -> Bool { Int(random.next() % 100) < percent }

    mutating func run(steps: Int) {
        connect()
        // The first list positions the channels; what comes later counts.
        drainPending(failures: false)
        for _ in 0..<steps { step() }
    }

    private mutating func step() {
        switch random.next() % 12 {
        case 0...4: post()
        case 5: deliverSome(all: true)
        case 6, 7: answerOne()
        case 8: if chance(40) { disconnect() }
        case 9: if !connected { connect() }
        case 10: if chance(20) { deaf.toggle() } else if chance(10) { restart() }
        default: advance(seconds: Double(random.next() % 40))
        }
    }

    /// The account is stopped and started: what survives are the positions.
    private mutating func restart() {
        disconnect()
        pending = []
        feed = GuildFeed(
            settings: feed.settings, restored: feed.positions, listedAt: feed.listedAt, seed: random.next())
        connect()
    }

    private mutating func post() {
        let channel = chance(50) ? "a" : "b"
        heads[channel, default: 0] += 1
        guard connected, joined.contains(channel), !deaf else { return }
        let event = Event(channel: channel, sequence: heads[channel, default: 0])
        if faults, chance(5) { return }
        wire.append(event)
        if faults, chance(10) { wire.append(event) }
        if faults, chance(10), wire.count > 1 { wire.swapAt(wire.count - 1, wire.count - 2) }
    }

    private mutating func deliverSome(all: Bool) {
        let count = all ? wire.count : min(1, wire.count)
        for event in wire.prefix(count) {
            guard let slot = feed.slot(of: event.channel) else { continue }
            switch feed.withSlot(slot, { $0.position.live(event.sequence) }) {
            case .duplicate: break
            case .accept: taken[event.channel, default: []].append(event.sequence)
            case .hold(let range):
                feed.withSlot(slot) { $0.position.hold(event.sequence, message: [1], wake: false) }
                if let range { perform(feed.gap(range, slot: slot, skippedBefore: 0)) }
            }
        }
        wire.removeFirst(count)
    }

    private mutating func connect() {
        connected = true
        deaf = false
        joined = []
        perform(feed.connected())
    }

    private mutating func disconnect() {
        guard connected else { return }
        connected = false
        wire = []
        joined = []
        perform(feed.disconnected(stopped: false))
    }

    mutating func perform(_ actions: [GuildFeed.Action]) {
        for action in actions {
            switch action {
            case .list(let purpose, let epoch): pending.append(.list(purpose, epoch: epoch))
            case .join(let slots, let epoch): pending.append(.join(slots, epoch: epoch))
            case .readHistory(let slot, let generation, let range):
                pending.append(.read(slot: slot, generation: generation, range: range))
            case .replaceConnection:
                disconnect()
                connect()
            case .report(.deaf): deafReports += 1
            case .leave, .forget, .phaseChanged, .report: break
            }
        }
    }

    private mutating func answerOne() {
        guard !pending.isEmpty else { return }
        let index = Int(random.next() % UInt64(pending.count))
        answer(pending.remove(at: index), fails: faults && chance(25))
    }

    private mutating func answer(_ request: Pending, fails: Bool) {
        switch request {
        case .list(let purpose, let epoch):
            if fails {
                perform(
                    feed.listFailed(
                        chance(20) ? .refused("no") : .passing("later"), purpose: purpose, epoch: epoch, now: now))
            } else {
                let rows = heads.sorted { $0.key < $1.key }.map {
                    ListedChannel(
                        id: $0.key, name: $0.key, type: .general, lastSeq: $0.value, closed: false, createdAt: 1)
                }
                perform(feed.listed(rows, purpose: purpose, epoch: epoch, now: now, wall: wall))
            }
        case .join(let slots, let epoch):
            if epoch == feed.epoch, connected { for slot in slots { joined.insert(feed.slots[slot].id) } }
            perform(feed.joinsEnded(slots, epoch: epoch))
        case .read(let slot, let generation, let range):
            if fails {
                guard feed.historyFailed(slot, generation: generation) != nil else { return }
                pending.append(.retryRead(slot: slot, generation: generation))
            } else {
                read(slot, generation, range)
            }
        case .retryRead(let slot, let generation):
            if let range = feed.remainingGap(slot, generation: generation) {
                read(slot, generation, range)
            } else {
                end(slot, generation)
            }
        }
    }

    private mutating func read(_ slot: Int, _ generation: Int, _ range: ClosedRange<Int64>) {
        let channel = feed.slots[slot].id
        for sequence in range where sequence >= 1 && sequence <= heads[channel, default: 0] {
            if ignoresHistory { break }
            guard case .accept(let held) = feed.withSlot(slot, { $0.position.row(sequence) }) else { continue }
            feed.sawRow(slot, pushable: held == nil)
            taken[channel, default: []].append(sequence)
        }
        end(slot, generation)
    }

    private mutating func end(_ slot: Int, _ generation: Int) {
        let (ready, actions) = feed.historyEnded(slot, generation: generation)
        for (sequence, _) in ready { taken[feed.slots[slot].id, default: []].append(sequence) }
        perform(actions)
    }

    private mutating func advance(seconds: Double) {
        now = now.advanced(by: .seconds(seconds))
        wall += seconds
        perform(feed.tick(now: now))
    }

    private mutating func drainPending(failures: Bool) {
        var rounds = 0
        while !pending.isEmpty, rounds < 1000 {
            answer(pending.removeFirst(), fails: failures)
            rounds += 1
        }
    }

    /// Ends the faults and lets time pass: two periods must heal everything.
    mutating func settleAndCheck() -> String? {
        faults = false
        deliverSome(all: true)
        if !connected { connect() }
        for _ in 0..<6 {
            drainPending(failures: false)
            deliverSome(all: true)
            advance(seconds: 70)
        }
        drainPending(failures: false)
        guard feed.isReady else { return "not ready: \(feed.phase)" }
        for (channel, head) in heads {
            let first: Int64 = channel == "a" ? 6 : 1
            let expected = head >= first ? Array(first...head) : []
            if taken[channel, default: []] != expected {
                return "channel \(channel): expected \(first)...\(head), took in \(taken[channel, default: []])"
            }
        }
        return nil
    }
}
