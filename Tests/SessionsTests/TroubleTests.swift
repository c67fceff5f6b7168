import Testing

@testable import Sessions

/// What Center does wrong for a while, and what is said about it.
@Suite struct TroubleTests {
    @Test(arguments: [0, 0.25, 0.5, 1]) func theFloorOfAStatedLifetimeHoldsUnderJitter(_ chance: Double) {
        let world = World(chance: { chance })
        _ = world.subscribe("a")
        world.demand("a")
        world.succeed(lifetime: nil, stated: 20)
        world.advance(29.9)
        #expect(world.started == 1)
        world.advance(3.2)
        #expect(world.started == 2)
    }

    @Test func aRemarkIsMadeOncePerKindAndDay() {
        let world = World()
        for agent in ["a", "b"] {
            _ = world.subscribe(agent)
            world.demand(agent)
            world.succeed(lifetime: -30)
        }
        for _ in 0..<5 {
            world.advance(480)
            while !world.open.isEmpty { world.succeed(lifetime: -31) }
        }
        let notices = world.told.filter { $0.contains("notice") }
        #expect(notices.count == 1 && notices[0].contains("a notice: a token arrived with an expiry 30 s in the past"))
        for _ in 0..<180 {
            world.advance(480)
            while !world.open.isEmpty { world.succeed(lifetime: -31) }
        }
        #expect(world.told.count { $0.contains("notice") } == 2)
    }

    @Test func aFailureIsSaidOnceAndItsEndToo() {
        let world = World()
        _ = world.subscribe("a")
        world.demand("a")
        world.succeed()
        world.told = []
        world.advance(480)
        world.fail(.passing(reason: "503", retryAfter: nil))
        world.advance(60)
        world.fail(.passing(reason: "no route", retryAfter: nil))
        world.advance(60)
        #expect(world.told == ["a failed: 503"])
        world.succeed()
        #expect(world.told == ["a failed: 503", "a recovered", "a renewed"])
        world.advance(480)
        world.fail(.passing(reason: "503", retryAfter: nil))
        #expect(world.told.last == "a failed: 503" && world.told.count == 4)
    }

    @Test func aGuildListedWithoutATokenCostsOneLogin() {
        let world = World()
        _ = world.subscribe("a")
        let first = world.demand("a", "g2")
        world.succeed(withoutToken: ["g2"])
        guard case .unavailable(let pause)? = world.kind(first) else {
            Issue.record("\(String(describing: world.kind(first)))")
            return
        }
        #expect(pause > .seconds(400), "the planned renewal will tell")
        for _ in 0..<47 {
            world.advance(10)
            world.demand("a", "g2")
        }
        #expect(world.started == 1)
        world.advance(11)
        #expect(world.started == 2, "the planned renewal")
        world.succeed(withoutToken: ["g2"])
        for _ in 0..<40 {
            world.advance(10)
            world.demand("a", "g2")
        }
        #expect(world.started == 2)
        #expect(
            world.kind(world.demand("a", "g2")) == .guildMissing(guild: "g2"), "and in the end it is said to be final")
    }

    @Test func aSessionThatIsAtHandIsReplacedOnceForAGuildWithoutAToken() {
        let world = World()
        _ = world.subscribe("a")
        world.demand("a", "g1")
        world.succeed(withoutToken: ["g2"])
        for _ in 0..<40 {
            world.demand("a", "g2")
            world.succeed(withoutToken: ["g2"])
            world.advance(10)
        }
        #expect(world.started == 2)
    }

    @Test func theOldTokenServesWhileANewLoginBringsNone() {
        let world = World()
        _ = world.subscribe("a")
        let first = world.demand("a", "g2")
        world.succeed(guilds: ["g1", "g2"])
        let old = world.token(first, "g2")
        world.advance(480)
        world.succeed(guilds: ["g1"], withoutToken: ["g2"])
        #expect(world.quick("a", "g2") == old && old != nil)
        #expect(world.token(world.demand("a", "g2"), "g2") == old && world.started == 2)
        // It runs out 890 s after it came; the renewal brings a new one before that in a good world, here it does not.
        world.advance(411)
        let late = world.demand("a", "g2")
        #expect(world.quick("a", "g2") == nil && world.started == 3, "one login for its sake")
        world.succeed(guilds: ["g1"])
        guard case .unavailable? = world.kind(late) else {
            Issue.record("\(String(describing: world.kind(late)))")
            return
        }
        for _ in 0..<9 {
            world.advance(2)
            world.demand("a", "g2")
        }
        #expect(world.started == 3)
        world.advance(60)
        let again = world.demand("a", "g2")
        #expect(world.started == 4)
        world.succeed(guilds: ["g1", "g2"])
        #expect(world.token(again, "g2") != nil && world.token(again, "g2") != old)
        #expect(world.cache.entries["a"]?.missing.isEmpty == true)
    }

    @Test func aCarriedTokenIsHandedOver() throws {
        let world = World()
        _ = world.subscribe("a")
        world.demand("a", "g2")
        world.succeed(guilds: ["g1", "g2"])
        world.advance(480)
        world.succeed(guilds: ["g1"])
        let session = try #require(world.cache.entries["a"]?.session)
        #expect(SessionSnapshot(session).session.token(for: "g2")?.token == world.quick("a", "g2"))
    }

    @Test func aRefusedCarriedTokenIsNotServed() {
        let world = World()
        _ = world.subscribe("a")
        world.demand("a", "g2")
        world.succeed(guilds: ["g1", "g2"])
        world.advance(480)
        world.succeed(guilds: ["g1"])
        world.cache.invalidate("a", token: world.quick("a", "g2") ?? "", now: world.now)
        world.absorb()
        #expect(world.quick("a", "g2") == nil)
        world.succeed(guilds: ["g1"])
        #expect(world.quick("a", "g2") == nil && world.token(world.demand("a", "g2"), "g2") == nil)
    }

    @Test func oneRefusalWithoutAWordAboutTheKeyBlocksNobody() {
        let world = World()
        _ = world.subscribe("a")
        world.demand("a")
        world.succeed()
        let token = world.quick("a")
        world.advance(480)
        world.fail(.doubtful(reason: "403 from a firewall", retryAfter: nil))
        #expect(world.quick("a") == token && token != nil, "the old session serves meanwhile")
        // A minute of it over a fleet heals by itself.
        for _ in 0..<60 {
            world.advance(1)
            world.demand("a")
            world.fail(.doubtful(reason: "403 from a firewall", retryAfter: nil))
        }
        world.advance(60)
        world.demand("a")
        world.succeed()
        #expect(!world.told.contains("a blocked") && world.told.suffix(2) == ["a recovered", "a renewed"])
    }

    @Test func severalRefusalsOverMinutesAreAVerdict() {
        let world = World()
        _ = world.subscribe("a")
        for _ in 0..<400 {
            world.demand("a")
            world.fail(.doubtful(reason: "403", retryAfter: nil))
            world.advance(1)
        }
        #expect(world.told.first == "a failed: 403" && world.told.dropFirst() == ["a blocked"])
        #expect(world.kind(world.demand("a")) == .blocked)
        let time = world.cache.entries["a"]?.blocked.map { world.start.duration(to: $0.since) } ?? .zero
        #expect(time >= .seconds(180) && time < .seconds(300))
    }

    @Test func aBlockedAccountIsTriedAgainAtLongIntervals() {
        let world = World()
        _ = world.subscribe("a")
        world.demand("a")
        world.fail(.refused(reason: "bad key"))
        var times: [Int] = []
        while times.count < 8 {
            world.advance(600)
            if world.open.isEmpty { continue }
            times.append(Int(world.time) / 3600)
            #expect(world.kind(world.demand("a")) == .blocked, "callers do not wait for the try")
            world.fail(.refused(reason: "bad key"))
        }
        #expect(times == [1, 3, 7, 15, 31, 55, 79, 103])
        #expect(world.told == ["a blocked"])
        // Center mended: the next try ends the block.
        while world.open.isEmpty { world.advance(600) }
        world.succeed()
        #expect(world.told == ["a blocked", "a unblocked", "a renewed"])
        #expect(world.token(world.demand("a", "g1")) != nil)
    }

    @Test func aTryThatMeetsADeadCenterIsRepeatedSoon() {
        let world = World()
        _ = world.subscribe("a")
        world.demand("a")
        world.fail(.refused(reason: "bad key"))
        world.advance(3600)
        world.fail(.passing(reason: "no route", retryAfter: nil))
        #expect(world.cache.entries["a"]?.blocked != nil)
        world.advance(121)
        world.succeed()
        #expect(world.told == ["a blocked", "a unblocked", "a renewed"])
    }

    @Test func triesAreSpread() {
        var times: Set<Int> = []
        for seed in 0..<50 as Range<UInt64> {
            let dice = SharedDice(seed)
            let world = World(chance: { dice.next() })
            _ = world.subscribe("a")
            world.demand("a")
            world.fail(.refused(reason: "bad key"))
            while world.open.isEmpty { world.advance(1) }
            times.insert(Int(world.time))
        }
        #expect(times.count > 30 && (times.min() ?? 0) >= 3240 && (times.max() ?? 0) <= 3961)
    }

    @Test func unblockAllLiftsEveryBlock() {
        let world = World()
        for agent in ["a", "b", "c"] {
            _ = world.subscribe(agent)
            world.demand(agent)
            if agent == "c" { world.succeed() } else { world.fail(.refused(reason: "bad key")) }
        }
        #expect(world.cache.unblockAll(now: world.now) == ["a", "b"])
        world.absorb()
        #expect(world.told.suffix(2) == ["a unblocked", "b unblocked"])
        world.demand("a")
        #expect(world.started == 4)
    }
}
