import Testing

@testable import FabricChannel

/// Who may connect to a guild, in virtual time.
@Suite struct ConnectQueueTests {
    private let start = ContinuousClock.now

    private func at(_ seconds: Double) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }

    @Test func whoIsAloneNeverWaits() {
        var queue = ConnectQueue(most: 1)
        for number in 1...5 as ClosedRange<UInt64> {
            queue.enter(number)
            #expect(queue.admit(now: start) == [number])
            #expect(queue.due == nil)
            queue.leave(number, .other, now: start)
            #expect(queue.isEmpty)
        }
    }

    @Test func placesGoToThoseThatCameFirst() {
        var queue = ConnectQueue(most: 2)
        for number in 1...6 as ClosedRange<UInt64> { queue.enter(number) }
        #expect(queue.admit(now: at(0)) == [1, 2])
        #expect(queue.isWaiting(3) && !queue.isWaiting(2))
        #expect(queue.admit(now: at(1)) == [])
        queue.leave(2, .other, now: start)
        queue.leave(4, .other, now: start)
        #expect(queue.admit(now: at(1)) == [3])
        queue.leave(1, .other, now: start)
        queue.leave(3, .other, now: start)
        // What was left long ago frees nothing.
        queue.leave(2, .other, now: start)
        #expect(queue.admit(now: at(1)) == [5, 6])
        queue.leave(5, .other, now: start)
        queue.leave(6, .other, now: start)
        #expect(queue.isEmpty && queue.due == nil)
    }

    /// A guild that does not answer is tried by so many in five seconds, and whoever has lost its place frees no other.
    @Test func aPlaceCountsForFiveSecondsAtMost() {
        var queue = ConnectQueue(most: 2)
        for number in 1...5 as ClosedRange<UInt64> { queue.enter(number) }
        #expect(queue.admit(now: at(0)) == [1, 2])
        #expect(queue.due == at(5))
        #expect(queue.admit(now: at(4.9)) == [])
        #expect(queue.admit(now: at(5)) == [3, 4])
        #expect(queue.due == at(10))
        queue.leave(1, .other, now: start)
        queue.leave(2, .other, now: start)
        #expect(queue.admit(now: at(6)) == [])
        queue.leave(3, .other, now: start)
        #expect(queue.admit(now: at(6)) == [5])
        #expect(queue.due == nil, "nobody waits")
    }

    @Test func anotherLimitCountsAtOnce() {
        var queue = ConnectQueue(most: 4)
        for number in 1...6 as ClosedRange<UInt64> { queue.enter(number) }
        #expect(queue.admit(now: at(0)) == [1, 2, 3, 4])
        queue.most = 0
        #expect(queue.most == 1 && queue.limit == 1)
        for number in 1...3 as ClosedRange<UInt64> { queue.leave(number, .other, now: start) }
        #expect(queue.admit(now: at(1)) == [])
        queue.leave(4, .other, now: start)
        #expect(queue.admit(now: at(1)) == [5])
        queue.most = 2
        queue.leave(5, .connected, now: at(1))
        #expect(queue.limit == 2)
        #expect(queue.admit(now: at(1)) == [6])
    }

    /// Few at first, one more for each that gets through, half when the guild does not get to it: as many as it can take.
    @Test func theGuildSaysHowManyItCanTake() {
        var queue = ConnectQueue(most: 128)
        #expect(queue.limit == 16)
        for number in 1...1000 as ClosedRange<UInt64> { queue.enter(number) }
        #expect(queue.admit(now: at(0)).count == 16)
        for number in 1...16 as ClosedRange<UInt64> { queue.leave(number, .connected, now: at(0.1)) }
        #expect(queue.admit(now: at(0.1)).count == 32, "twice as many in each round")
        for number in 17...200 as ClosedRange<UInt64> { queue.leave(number, .connected, now: at(0.2)) }
        #expect(queue.limit == 128)
        for number in 201...328 as ClosedRange<UInt64> { queue.leave(number, .overloaded, now: at(10)) }
        #expect(queue.limit == 64, "those that fail together are one sign")
        queue.leave(329, .overloaded, now: at(14.9))
        #expect(queue.limit == 64)
        for round in 0..<9 { queue.leave(330, .overloaded, now: at(15 + Double(round) * 5)) }
        #expect(queue.limit == 4, "it is still tried")
        queue.leave(331, .other, now: at(70))
        #expect(queue.limit == 4, "a token that is refused says nothing of it")
        queue.leave(332, .connected, now: at(70))
        #expect(queue.limit == 5)
        queue = ConnectQueue(most: 2)
        queue.leave(1, .overloaded, now: at(0))
        #expect(queue.limit == 2, "fewer than four only where it is so configured")
    }

    /// Whatever happens: no more places than there are, nobody twice, in order, and everybody comes to his turn.
    @Test(arguments: 0..<200 as Range<UInt64>) func randomSchedules(seed: UInt64) {
        var random = SplitMix64(state: seed)
        let most = 1 + Int(random.next() % 30)
        var queue = ConnectQueue(most: most)
        var now = start
        var waiting: [UInt64] = []
        var holding: [UInt64: ContinuousClock.Instant] = [:]
        func admit() {
            holding = holding.filter { $0.value.advanced(by: ConnectQueue.patience) > now }
            for number in queue.admit(now: now) {
                #expect(waiting.first == number)
                waiting.removeFirst()
                holding[number] = now
            }
            // Those that had begun when there were more places keep theirs.
            #expect(holding.count <= most && (1...most).contains(queue.limit))
            #expect(waiting.isEmpty || holding.count >= queue.limit, "somebody waits beside a free place")
            #expect((queue.due == nil) == waiting.isEmpty)
        }
        for number in 1...300 as ClosedRange<UInt64> {
            switch random.next() % 4 {
            case 0, 1:
                queue.enter(number)
                waiting.append(number)
            case 2:
                let all = waiting + holding.keys.sorted()
                guard !all.isEmpty else { continue }
                let one = all[Int(random.next() % UInt64(all.count))]
                let outcomes: [ConnectQueue.Outcome] = [.connected, .overloaded, .other]
                queue.leave(one, outcomes[Int(random.next() % 3)], now: now)
                waiting.removeAll { $0 == one }
                holding[one] = nil
            default: now = now.advanced(by: .milliseconds(Int(random.next() % 3000)))
            }
            admit()
        }
        while let due = queue.due {
            #expect(due > now, "it is looked again and again in one moment")
            guard due > now else { break }
            now = due
            admit()
        }
        #expect(waiting.isEmpty)
    }
}
