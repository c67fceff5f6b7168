import Testing

@testable import Sessions

/// How many logins are started in a second.
@Suite struct LoginPaceTests {
    private let start = ContinuousClock.now

    private func at(_ milliseconds: Int) -> ContinuousClock.Instant {
        start.advanced(by: .milliseconds(milliseconds))
    }

    @Test func noSecondHasMoreWheneverItBegins() {
        var pace = LoginPace()
        for time in [0, 400, 900] {
            #expect(pace.opening(atMost: 3, at(time)) == at(time))
            pace.began(at(time))
        }
        #expect(pace.opening(atMost: 3, at(999)) == at(1000), "a second after the first of the last three")
        #expect(pace.opening(atMost: 3, at(1000)) == at(1000))
        pace.began(at(1000))
        #expect(pace.opening(atMost: 3, at(1100)) == at(1400))
        #expect(pace.opening(atMost: 4, at(1100)) == at(1100))
        #expect(pace.opening(atMost: 1, at(1100)) == at(2000))
        #expect(pace.opening(atMost: 0, at(1100)) == at(1100), "no bound")
        #expect(pace.opening(atMost: .max, at(1100)) == at(1100))
    }

    @Test func noMoreThanASecondIsRemembered() {
        var pace = LoginPace()
        for time in stride(from: 0, to: 100_000, by: 10) { pace.began(at(time)) }
        #expect(pace.count == 100)
        pace.began(at(1_000_000))
        #expect(pace.count == 1)
    }

    @Test func aThousandAgentsLogInAHundredASecondInOrder() {
        let world = World(.init(loginsPerSecond: 100))
        for number in 0..<1000 { world.demand("agent \(number)") }
        var order: [String] = []
        while order.count < 1000 {
            if world.open.isEmpty {
                // It wakes by itself when the next may be started, and not before.
                world.advance(Double(order.count / 100) - world.time)
                #expect(world.open.count == 8)
                guard !world.open.isEmpty else { return }
            }
            order.append(world.open[0].agent)
            world.succeed()
        }
        #expect(order == (0..<1000).map { "agent \($0)" }, "first come first served")
        #expect(world.time == 9 && !world.startedTooFast && world.results.count == 1000)
        #expect(world.cache.queue.count == 0 && world.cache.turnAt == nil)
    }

    @Test func whoComesLaterDoesNotOvertakeThoseThatWait() {
        let world = World(.init(loginsPerSecond: 1))
        for name in ["a", "b", "c"] { world.demand(name) }
        #expect(world.open.map(\.agent) == ["a"])
        world.succeed()
        world.advance(1)
        #expect(world.open.map(\.agent) == ["b"])
        world.succeed()
        // A slot is free, and a second over when the next comes, before anything was woken.
        world.now = world.now.advanced(by: .seconds(1))
        world.demand("d")
        #expect(world.open.isEmpty)
        world.advance(0)
        #expect(world.open.map(\.agent) == ["c"])
        world.advance(1)
        #expect(world.open.map(\.agent) == ["c", "d"])
    }

    @Test func whoWaitsAndGoesLeavesItsPlaceToTheNext() {
        let world = World(.init(loginsPerSecond: 1))
        world.demand("a")
        let second = world.demand("b")
        world.demand("c")
        world.cache.cancel("b", waiter: second, now: world.now)
        world.absorb()
        world.advance(1)
        #expect(world.open.map(\.agent) == ["a", "c"])
        #expect(world.cache.isQueued("c") == false && world.cache.entries["b"]?.flight == nil)
    }

    @Test func anotherBoundIsInForceAtOnceAndCountsWhatWasStarted() {
        let world = World(.init(concurrentLogins: 100, loginsPerSecond: 2))
        for number in 0..<20 { world.demand("agent \(number)") }
        #expect(world.started == 2)
        func set(_ most: Int) {
            world.cache.setLoginsPerSecond(most, now: world.now)
            world.absorb()
        }
        set(5)
        #expect(world.started == 5)
        world.advance(0.5)
        set(1)
        world.advance(0.5)
        #expect(world.started == 6, "those of the first moment are a second ago")
        world.advance(0.9)
        #expect(world.started == 6)
        set(-1)
        #expect(world.started == 20 && world.cache.configuration.loginsPerSecond == 0)
        set(3)
        world.demand("late")
        #expect(world.started == 20, "what was started while there was no bound counts")
        world.advance(1)
        #expect(world.started == 21 && !world.startedTooFast)
    }

    /// A login that was given up was started all the same.
    @Test func abandonedLoginsCount() {
        let world = World(.init(loginsPerSecond: 2))
        for _ in 0..<3 {
            let subscription = world.subscribe("a")
            world.demand("a")
            world.unsubscribe("a", subscription)
            world.cache.credentialsChanged("a", now: world.now)
            world.absorb()
        }
        #expect(world.started == 2 && !world.startedTooFast)
        world.advance(1)
        #expect(world.started == 3)
    }

    @Test func renewalsWaitForTheirTurnWhileTokensServe() {
        let world = World(.init(loginsPerSecond: 2))
        for number in 0..<20 {
            _ = world.subscribe("\(number)")
            world.demand("\(number)", "g1")
        }
        for _ in 0..<1000 where world.results.count < 20 {
            if world.open.isEmpty { world.advance(0.1) } else { world.succeed() }
        }
        #expect(world.results.count == 20)
        // All are due in one moment, once more.
        for number in 0..<20 {
            world.cache.invalidate("\(number)", token: world.quick("\(number)") ?? "", now: world.now)
        }
        world.absorb()
        for _ in 0..<4000 where world.started < 100 {
            world.advance(0.5)
            while !world.open.isEmpty { world.succeed() }
            if world.time > 25, (0..<20).contains(where: { world.quick("\($0)") == nil }) {
                Issue.record("a token was not served at \(world.time) s")
                return
            }
        }
        #expect(world.started >= 100 && !world.startedTooFast)
    }

    @Test func nothingStaysBehind() {
        let world = World(.init(loginsPerSecond: 1))
        for number in 0..<5 { world.demand("agent \(number)") }
        world.cache.shutDown(now: world.now)
        world.absorb()
        #expect(world.cache.turnAt == nil && world.cache.alarms.count == 0 && world.results.count == 5)
        world.advance(10)
        #expect(world.started == 1)
    }
}
