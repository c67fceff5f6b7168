import Testing

@testable import GatewayHost

@Suite struct CommandPlacesTests {
    let now = ContinuousClock.now

    @Test func theLastQuarterIsForAccountsThatHaveNone() {
        var places = CommandPlaces(8)
        for ticket in 1...6 { #expect(places.enter("a", ticket: UInt64(ticket), at: now) == true) }
        #expect(places.enter("a", ticket: 7, at: now) == false, "six of eight are enough for one")
        #expect(places.waitingSince("a") == now)
        #expect(places.enter("b", ticket: 8, at: now) == true)
        #expect(places.enter("c", ticket: 9, at: now) == true)
        #expect(places.enter("d", ticket: 10, at: now) == false, "all are taken")
        #expect(places.leave("a") == [10], "who has none comes first, though he came last")
        #expect(places.leave("a") == [])
        #expect(places.leave("a") == [])
        #expect(places.leave("a") == [7])
    }

    @Test func oneOrTwoPlaces() {
        var one = CommandPlaces(1)
        #expect(one.enter("a", ticket: 1, at: now) == true)
        #expect(one.enter("a", ticket: 2, at: now) == false)
        #expect(one.enter("b", ticket: 3, at: now) == false)
        #expect(one.leave("a") == [2], "both have none; the first goes first")
        var two = CommandPlaces(2)
        #expect(two.enter("a", ticket: 1, at: now) == true)
        #expect(two.enter("a", ticket: 2, at: now) == false)
        #expect(two.enter("b", ticket: 3, at: now) == true)
    }

    @Test func whoDoesNotWaitAnyMoreIsPassedOver() {
        var places = CommandPlaces(1)
        _ = places.enter("a", ticket: 1, at: now)
        _ = places.enter("b", ticket: 2, at: now)
        _ = places.enter("c", ticket: 3, at: now)
        for (ticket, waits) in [(2, true), (2, false), (1, false)] as [(UInt64, Bool)] {
            #expect(places.cancel(ticket) == waits)
        }
        #expect(places.leave("a") == [3])
    }

    /// Whatever comes: never more than all places, nobody beyond his share while it is kept, and nobody forgotten.
    @Test(arguments: 0..<200 as Range<UInt64>) func randomSchedules(seed: UInt64) {
        var random = SeededRandom(seed)
        let count = Int(random.next() % 12) + 1
        var places = CommandPlaces(count)
        var running: [String: [UInt64]] = [:]
        var waiting: [UInt64: String] = [:]
        var last: UInt64 = 0
        func admit(_ account: String, _ ticket: UInt64) {
            running[account, default: []].append(ticket)
            #expect(running.values.reduce(0) { $0 + $1.count } <= count)
            #expect(running[account]?.count == 1 || running[account]?.count ?? 0 <= count - places.kept)
        }
        for _ in 0..<300 {
            let account = ["a", "b", "c", "d"][Int(random.next() % 4)]
            switch random.next() % 5 {
            case 0, 1:
                last += 1
                if places.enter(account, ticket: last, at: now) {
                    admit(account, last)
                } else {
                    waiting[last] = account
                }
            case 2:
                guard let ticket = waiting.keys.sorted().first else { continue }
                #expect(places.cancel(ticket) == true)
                waiting[ticket] = nil
            default:
                guard running[account]?.isEmpty == false else { continue }
                running[account]?.removeLast()
                if running[account]?.isEmpty == true { running[account] = nil }
                for ticket in places.leave(account) {
                    guard let owner = waiting.removeValue(forKey: ticket) else { return #expect(Bool(false)) }
                    admit(owner, ticket)
                }
            }
        }
        while let account = running.keys.sorted().first {
            running[account]?.removeLast()
            if running[account]?.isEmpty == true { running[account] = nil }
            for ticket in places.leave(account) {
                guard let owner = waiting.removeValue(forKey: ticket) else { return #expect(Bool(false)) }
                admit(owner, ticket)
            }
        }
        #expect(waiting.isEmpty, "somebody waits though all places are free")
    }
}
