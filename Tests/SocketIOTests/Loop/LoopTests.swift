import Foundation
import Locking
import Testing

@testable import SocketIO

actor OnLoop {
    let loop: RealtimeLoop
    var value = 0
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    init(_ loop: RealtimeLoop) { self.loop = loop }
    func add() -> Bool {
        value += 1
        return loop.isOnLoop
    }
    func get() -> Int { value }
    func leaveAndReturn(_ gate: Mailbox<Int>) async throws -> Int {
        _ = try await gate.next()
        value += 100
        return value
    }
}

@Suite(.serialized, .timeLimit(.minutes(5)))
struct LoopTests {
    /// Names of this process' threads.
    static func threads() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").map {
            (try? String(contentsOfFile: "/proc/self/task/\($0)/comm", encoding: .utf8))?
                .trimmingCharacters(in: .newlines) ?? ""
        }
    }

    @Test func runsInOrderOnItsOwnThread() async throws {
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let seen = Mailbox<(Int, Bool)>()
        for number in 0..<1000 { loop.execute { seen.put((number, loop.isOnLoop)) } }
        for number in 0..<1000 { #expect(try await seen.next() == (number, true)) }
        #expect(!loop.isOnLoop)
    }

    @Test func actorsLiveOnIt() async throws {
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let actor = OnLoop(loop)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { for _ in 0..<500 { #expect(await actor.add()) } }
            }
        }
        #expect(await actor.get() == 4000)
        let assumed = Mailbox<Int>()
        loop.execute { assumed.put(actor.assumeIsolated { $0.value }) }
        #expect(try await assumed.next() == 4000)
    }

    @Test func timersFireInOrder() async throws {
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        /// A timer is due between these two: it was scheduled after one look at the clock and before the next.
        struct Due: Sendable {
            var number: Int
            var earliest: ContinuousClock.Instant
            var latest: ContinuousClock.Instant
        }
        let seen = Mailbox<Due>()
        var dice = SeededRandom(3)
        let delays = (0..<1000).map { _ in Int(dice.next() % 200) }
        // In one turn of the loop, so that none fires before all are scheduled, however long that takes.
        loop.execute {
            for (number, delay) in delays.enumerated() {
                let before = ContinuousClock.now
                let due = Locked(Due(number: number, earliest: before, latest: before))
                loop.schedule(after: .milliseconds(delay)) {
                    let due = due.withLock { $0 }
                    #expect(ContinuousClock.now >= due.earliest)
                    seen.put(due)
                }
                due.withLock {
                    $0.earliest = before.advanced(by: .milliseconds(delay))
                    $0.latest = ContinuousClock.now.advanced(by: .milliseconds(delay))
                }
            }
        }
        var fired: [Due] = []
        for _ in delays { fired.append(try await seen.next()) }
        #expect(Set(fired.map(\.number)).count == delays.count)
        #expect(zip(fired, fired.dropFirst()).allSatisfy { $0.earliest <= $1.latest })
    }

    @Test func cancelledTimersDoNotFire() async throws {
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let seen = Mailbox<Int>()
        // In one turn of the loop, so that none is due before it is cancelled.
        loop.execute {
            let timers = (0..<1000).map { number in loop.schedule(after: .milliseconds(50)) { seen.put(number) } }
            for timer in timers.dropLast() { timer.cancel() }
        }
        #expect(try await seen.next() == 999)
        let left = Mailbox<Int>()
        loop.execute { left.put(loop.confined?.timers.count ?? -1) }
        #expect(try await left.next() == 0)
    }

    @Test func turnEndsComeAfterTheWorkOfTheTurn() async throws {
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let seen = Mailbox<String>()
        loop.execute {
            loop.onTurnEnd { seen.put("end") }
            seen.put("work")
        }
        #expect(try await seen.next() == "work")
        #expect(try await seen.next() == "end")
        loop.onTurnEnd { seen.put("from outside") }
        #expect(try await seen.next() == "from outside")
    }

    @Test func shutdownLeavesNothing() async throws {
        let name = "gone-\(UInt16.random(in: 0...UInt16.max))"
        var configuration = RealtimeLoop.Configuration()
        configuration.threadName = name
        let loop = try RealtimeLoop(configuration: configuration)
        let started = Mailbox<Int>()
        loop.execute { started.put(1) }
        _ = try await started.next()
        #expect(try Self.threads().contains(name))
        let late = Locked(0)
        loop.schedule(after: .milliseconds(1)) { loop.shutdown() }
        loop.schedule(after: .seconds(100)) { late.withLock { $0 += 1 } }
        loop.shutdown()
        loop.shutdown()
        // Who waits for a thread hears of its end a moment before the system takes it off the list.
        let end = ContinuousClock.now.advanced(by: .seconds(60))
        while try Self.threads().contains(name), .now < end { try await Task.sleep(for: .milliseconds(5)) }
        #expect(try !Self.threads().contains(name))
        #expect(late.withLock { $0 } == 0)
        #expect(loop.confined == nil)
    }

    @Test func nothingHangsAfterShutdown() async throws {
        let loop = try RealtimeLoop()
        let actor = OnLoop(loop)
        let gate = Mailbox<Int>()
        let waiting = Task { try await actor.leaveAndReturn(gate) }
        #expect(await actor.add())
        loop.shutdown()
        gate.put(1)
        #expect(try await waiting.value == 101)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { for _ in 0..<100 { _ = await actor.add() } }
            }
        }
        #expect(await actor.get() == 901)
        let ran = Mailbox<Int>()
        loop.execute { ran.put(1) }
        #expect(try await ran.next() == 1)
        loop.schedule(after: .zero) {}.cancel()
        loop.onTurnEnd { ran.put(2) }
        #expect(try await ran.next() == 2)
    }

    @Test func shutdownWhileOthersEnqueue() async throws {
        for _ in 0..<20 {
            let loop = try RealtimeLoop()
            let actor = OnLoop(loop)
            async let busy: Void = withTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask { for _ in 0..<200 { _ = await actor.add() } }
                }
            }
            loop.shutdown()
            await busy
            #expect(await actor.get() == 800)
        }
    }

    @Test func heapKeepsOrderUnderCancellation() {
        var heap = TimerHeap<Int>()
        var dice = SeededRandom(11)
        let start = ContinuousClock.now
        var alive: [UInt64: ContinuousClock.Instant] = [:]
        for id in 1...5000 as ClosedRange<UInt64> {
            let deadline = start.advanced(by: .milliseconds(Int64(dice.next() % 1000)))
            heap.add(id, at: deadline, Int(id))
            alive[id] = deadline
            if dice.next() % 3 == 0, let victim = alive.keys.randomElement(using: &dice) {
                #expect(heap.cancel(victim) != nil)
                alive[victim] = nil
            }
        }
        #expect(heap.count == alive.count)
        #expect(heap.next() == alive.values.min())
        var last = start
        while let id = heap.popDue(start.advanced(by: .seconds(2))) {
            let deadline = alive.removeValue(forKey: UInt64(id))
            #expect(deadline.map { $0 >= last } == true)
            last = deadline ?? last
        }
        #expect(alive.isEmpty)
        #expect(heap.next() == nil)
    }
}
