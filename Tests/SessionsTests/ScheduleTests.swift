import Testing

@testable import Sessions

@Suite struct ScheduleTests {
    @Test func aSessionInUseIsRenewedAheadAndNobodyWaits() {
        let world = World()
        _ = world.subscribe("a")
        world.demand("a", "g1")
        world.succeed()
        for _ in 0..<50 {
            world.advance(480)
            #expect(world.open.count == 1)
            #expect(world.quick("a") != nil && world.token(world.demand("a", "g1")) != nil, "served while it renews")
            world.succeed()
        }
        #expect(world.started == 51)
    }

    @Test func aSessionNotInUseIsNotRenewed() {
        let world = World()
        world.demand("a")
        world.succeed()
        world.advance(10_000)
        #expect(world.started == 1 && world.cache.entries.isEmpty)
    }

    @Test func subscribingAloneLogsNobodyIn() {
        let world = World()
        let subscription = world.subscribe("a")
        world.advance(10_000)
        #expect(world.started == 0)
        world.unsubscribe("a", subscription)
        world.unsubscribe("a", subscription)
        #expect(world.cache.entries.isEmpty)
    }

    @Test func aSubscriptionToAnAgingSessionPlansByItsAge() {
        let world = World()
        world.demand("a")
        world.succeed()
        world.advance(470)
        _ = world.subscribe("a")
        world.advance(11)
        #expect(world.started == 2)
    }

    @Test func theLastSubscriptionStopsTheSchedule() {
        let world = World()
        let first = world.subscribe("a")
        let second = world.subscribe("a")
        world.demand("a")
        world.succeed()
        world.unsubscribe("a", first)
        world.advance(480)
        #expect(world.open.count == 1)
        world.unsubscribe("a", second)
        #expect(world.cache.entries.isEmpty && world.cancelled.count == 1 && world.published["a"] == nil)
        let late = world.open.removeFirst()
        world.cache.loginSucceeded("a", flight: late.flight, session: world.received("a"), now: world.now)
        world.absorb()
        #expect(world.cache.entries.isEmpty && world.published["a"] == nil, "a late answer resurrects nothing")
        world.advance(10_000)
        #expect(world.started == 2)
    }

    @Test func aSupersededTimerDoesNothing() {
        let world = World()
        let first = world.subscribe("a")
        world.demand("a")
        world.succeed()
        world.advance(100)
        world.unsubscribe("a", first)
        _ = world.subscribe("a")
        world.demand("a")
        world.succeed()
        world.advance(470)
        #expect(world.started == 2, "the first timer would have come at 480 s")
        world.advance(20)
        #expect(world.started == 3)
    }

    @Test func aTokenThatCannotBeReadLeavesThePlanAlone() {
        let world = World()
        _ = world.subscribe("a")
        world.demand("a")
        world.succeed()
        let plan = world.cache.entries["a"]?.plan?.at
        world.advance(60)
        world.cache.invalidate("a", token: world.quick("a") ?? "", now: world.now)
        world.absorb()
        world.succeed(lifetime: nil)
        #expect(world.cache.entries["a"]?.plan?.at == plan && plan != nil)
        world.advance(420)
        #expect(world.started == 3)
        world.succeed(lifetime: nil)
        #expect(world.cache.entries["a"]?.plan != nil, "a successful renewal always plans the next")
    }

    @Test func threeFailedRenewalsEndTheChainAndTheNextDemandStartsAnother() {
        let world = World()
        _ = world.subscribe("a")
        world.demand("a", "g1")
        world.succeed()
        world.advance(480)
        world.fail()
        for _ in 0..<2 {
            world.advance(59)
            #expect(world.open.isEmpty && world.token(world.demand("a", "g1")) != nil && world.open.isEmpty)
            world.advance(1.5)
            #expect(world.open.count == 1)
            world.fail()
        }
        #expect(world.told.last == "a ended" && world.started == 4)
        #expect(world.quick("a") == nil, "without a chain a stale token is not handed out quickly")
        world.advance(10_000)
        #expect(world.started == 4 && world.cache.entries.count == 1)
        let waiter = world.demand("a", "g1")
        world.succeed()
        #expect(world.token(waiter) != nil)
        world.advance(480)
        #expect(world.started == 6)
    }

    @Test func aRefusedRenewalBlocks() {
        let world = World()
        _ = world.subscribe("a")
        world.demand("a")
        world.succeed()
        world.advance(480)
        world.fail(.refused(reason: "revoked"))
        #expect(world.quick("a") == nil && world.kind(world.demand("a")) == .blocked)
        world.advance(3000)
        #expect(world.started == 2)
    }

    @Test func renewalsOfManyAgentsAreSpread() {
        let dice = SharedDice(7)
        let world = World(chance: { dice.next() })
        for number in 0..<1000 {
            _ = world.subscribe("\(number)")
            world.demand("\(number)")
        }
        while !world.open.isEmpty { world.succeed() }
        let plans = world.cache.entries.values.compactMap {
            $0.plan.map { world.start.duration(to: $0.at) / .seconds(1) }
        }
        #expect(plans.count == 1000 && plans.allSatisfy { $0 >= 431.9 && $0 <= 528.1 })
        #expect((plans.max() ?? 0) - (plans.min() ?? 0) > 80)
    }

    @Test func wallClockJumpsDoNotMatterAfterReceipt() {
        let world = World()
        world.demand("a", "g1")
        world.succeed()
        world.wall -= 1_000_000
        world.advance(400)
        #expect(world.quick("a") != nil)
        world.wall += 50_000_000
        #expect(world.token(world.demand("a", "g1")) != nil && world.started == 1)
    }
}
