import Testing

@testable import Sessions

@Suite struct CacheTests {
    @Test func hundredCallersOneLogin() {
        let world = World()
        let waiters = (0..<100).map { _ in world.demand("a", "g1") }
        #expect(world.started == 1 && world.results.isEmpty)
        world.succeed()
        #expect(waiters.allSatisfy { world.token($0) != nil && world.token($0) == world.token(waiters[0]) })
        #expect(world.cache.statistics(now: world.now).coalesced == 99)
        #expect(world.token(world.demand("a")) != nil && world.started == 1)
    }

    @Test func eachCallerIsCancelledAlone() {
        let world = World()
        let first = world.demand("a")
        let second = world.demand("a")
        world.cache.cancel("a", waiter: first, now: world.now)
        world.absorb()
        #expect(world.kind(first) == .cancelled && world.results[second] == nil && world.cancelled.isEmpty)
        world.cache.cancel("a", waiter: second, now: world.now)
        world.absorb()
        #expect(world.cancelled.isEmpty, "the login goes on")
        world.succeed()
        #expect(world.token(world.demand("a")) != nil && world.started == 1 && !world.resumedTwice)
    }

    @Test func pastSoftRefreshesAndServesTheOldOneOnlyIfTheFailurePasses() {
        let world = World()
        world.demand("a")
        world.succeed()
        world.advance(481)
        #expect(world.quick("a") == nil, "the quick read hands out nothing stale")
        let waiter = world.demand("a", "g1")
        #expect(world.started == 2 && world.results[waiter] == nil)
        world.fail()
        #expect(world.token(waiter) != nil)
        #expect(world.token(world.demand("a", "g1")) != nil && world.started == 2, "in the pause it serves at once")
        world.advance(100)
        let refused = world.demand("a", "g1")
        world.fail(.refused(reason: "key revoked"))
        #expect(world.kind(refused) == .blocked)
        #expect(world.kind(world.demand("a", "g1")) == .blocked && world.quick("a") == nil)
    }

    @Test func pastHardIsNeverServed() {
        let world = World()
        world.demand("a")
        world.succeed()
        world.advance(889)
        let last = world.demand("a", "g1")
        world.fail()
        #expect(world.token(last) != nil)
        world.advance(1)
        let waiter = world.demand("a", "g1")
        world.fail()
        guard case .unavailable = world.kind(waiter) else {
            Issue.record("served past its hard lifetime")
            return
        }
    }

    @Test func aTokenThatExpiresWhileALoginRunsIsNotServed() {
        let world = World()
        world.demand("a")
        world.succeed()
        world.advance(880)
        let waiter = world.demand("a", "g1")
        world.advance(20)
        world.fail()
        #expect(world.token(waiter) == nil && world.kind(waiter) != nil)
    }

    @Test func staleRejectionsCauseOneLogin() {
        let world = World()
        _ = world.subscribe("a")
        let first = world.demand("a", "g1")
        world.succeed()
        world.advance(60)
        let token = world.token(first) ?? ""
        for _ in 0..<10 { world.cache.invalidate("a", token: token, now: world.now) }
        world.absorb()
        #expect(world.started == 2 && world.quick("a") == nil)
        world.succeed()
        for _ in 0..<10 { world.cache.invalidate("a", token: token, now: world.now) }
        world.absorb()
        let second = world.demand("a", "g1")
        #expect(world.started == 2 && world.token(second) != nil && world.token(second) != token)
        world.cache.invalidate("a", token: "never seen", now: world.now)
        world.cache.invalidate("nobody", token: token, now: world.now)
        world.absorb()
        #expect(world.started == 2 && world.cache.entries.count == 1)
    }

    @Test func aRejectedTokenIsNotServedWhenTheLoginFailsButItsNeighboursAre() {
        let world = World()
        let first = world.demand("a", "g1")
        world.succeed(guilds: ["g1", "g2"])
        world.cache.invalidate("a", token: world.token(first) ?? "", now: world.now)
        world.absorb()
        #expect(world.quick("a", "g1") == nil && world.quick("a", "g2") != nil)
        let second = world.demand("a", "g1")
        world.fail()
        #expect(world.token(second) == nil && world.token(world.demand("a", "g2"), "g2") != nil)
        guard case .unavailable = world.kind(world.demand("a")) else {
            Issue.record("a session with a rejected token is no valid session")
            return
        }
    }

    @Test func aGuildThatRefusesEveryNewTokenDoesNotMakeAStreamOfLogins() {
        let world = World()
        for _ in 0..<200 {
            let waiter = world.demand("a", "g1")
            world.succeed()
            if let token = world.token(waiter) { world.cache.invalidate("a", token: token, now: world.now) }
            world.advance(0.1)
        }
        #expect(world.started < 20)
    }

    @Test func anAccessTokenCanBeRejectedToo() {
        let world = World()
        let first = world.demand("a")
        world.succeed()
        guard case .success(let session) = world.results[first] else { return }
        world.cache.invalidate("a", token: session.fabric.accessToken, now: world.now)
        world.demand("a")
        #expect(world.started == 2)
    }

    @Test func agentsAreIsolated() {
        let world = World()
        _ = [world.subscribe("a"), world.subscribe("b")]
        world.demand("a")
        world.demand("b")
        world.succeed()
        world.succeed()
        let token = world.quick("b")
        world.cache.invalidate("a", token: world.quick("a") ?? "", now: world.now)
        world.absorb()
        world.fail(.refused(reason: "no"))
        #expect(world.kind(world.demand("a")) == .blocked && world.quick("b") == token && token != nil)
        #expect(world.token(world.demand("b")) == token && world.started == 3)
    }

    @Test func missingGuildForcesOneLogin() {
        let world = World()
        world.demand("a", "g1")
        world.succeed()
        let found = world.demand("a", "g2")
        #expect(world.started == 2)
        world.succeed(guilds: ["g1", "g2"])
        #expect(world.token(found, "g2") != nil)
        let absent = world.demand("a", "g3")
        world.succeed(guilds: ["g1", "g2"])
        #expect(world.kind(absent) == .guildMissing(guild: "g3"))
        if case .failure(let error) = world.results[absent] {
            #expect(error.description.contains("agent a ") && error.description.contains("guild g3"))
            #expect(error.reason.contains("g1, g2"))
        }
        #expect(world.kind(world.demand("a", "g3")) == .guildMissing(guild: "g3") && world.started == 3)
        #expect(world.token(world.demand("a", "g1")) != nil)
        world.advance(400)
        #expect(world.kind(world.demand("a", "g3")) == .guildMissing(guild: "g3") && world.started == 3)
        world.advance(90)
        world.demand("a", "g3")
        #expect(world.started == 4, "a login that is due anyway will tell")
    }

    @Test func passingFailuresShareOnePause() {
        let world = World(chance: { 1 })
        let waiters = (0..<5).map { _ in world.demand("a") }
        world.fail(.passing(reason: "no route", retryAfter: nil))
        #expect(waiters.allSatisfy { world.kind($0) == .unavailable(retryIn: .seconds(2)) })
        world.advance(1)
        #expect(world.kind(world.demand("a")) == .unavailable(retryIn: .seconds(1)) && world.started == 1)
        world.advance(1)
        world.demand("a")
        #expect(world.started == 2)
        world.fail(.passing(reason: "429", retryAfter: .seconds(120)))
        world.advance(119)
        world.demand("a")
        #expect(world.started == 2, "Retry-After is honoured")
        world.advance(1)
        world.demand("a")
        world.succeed()
        #expect(world.cache.entries["a"]?.failures == 0)
    }

    @Test func refusalBlocksUntilTheCredentialsChangeOrTheOperatorAsks() {
        let world = World()
        let subscription = world.subscribe("a")
        world.demand("a")
        world.fail(.refused(reason: "bad key; bind again"))
        for _ in 0..<20 {
            world.advance(179)
            #expect(world.kind(world.demand("a")) == .blocked)
        }
        #expect(world.started == 1)
        world.cache.unblock("a", now: world.now)
        let again = world.demand("a")
        #expect(world.started == 2)
        world.fail(.refused(reason: "bad key"))
        #expect(world.kind(again) == .blocked)
        world.cache.credentialsChanged("a", now: world.now)
        let last = world.demand("a")
        world.succeed()
        #expect(world.token(last) != nil)
        #expect(
            world.told == ["a blocked", "a unblocked", "a blocked", "a unblocked", "a renewed"])
        world.unsubscribe("a", subscription)
        #expect(world.cache.entries.isEmpty)
    }

    @Test func aBlockOutlivesARestartOfTheAccount() {
        let world = World()
        let subscription = world.subscribe("a")
        world.demand("a")
        world.fail(.refused(reason: "bad key"))
        world.unsubscribe("a", subscription)
        let next = world.subscribe("a")
        #expect(world.kind(world.demand("a")) == .blocked && world.started == 1)
        world.unsubscribe("a", next)
        world.advance(3700)
        #expect(world.cache.entries.isEmpty, "but not for ever")
    }

    @Test func newCredentialsDiscardALoginWithTheOldOnes() {
        let world = World()
        let waiter = world.demand("a")
        world.cache.credentialsChanged("a", now: world.now)
        world.absorb()
        #expect(world.cancelled.count == 1 && world.open.count == 2)
        let late = world.open.removeFirst()
        world.cache.loginSucceeded("a", flight: late.flight, session: world.received("a"), now: world.now)
        world.absorb()
        #expect(world.results[waiter] == nil && world.quick("a") == nil)
        world.succeed()
        #expect(world.token(waiter) != nil)
    }

    @Test func atMostEightLoginsAtOnce() {
        let world = World()
        for number in 0..<100 { world.demand("agent \(number)") }
        #expect(world.open.count == 8)
        var seen: [String] = []
        while !world.open.isEmpty {
            #expect(world.open.count <= 8)
            seen.append(world.open[0].agent)
            if seen.count % 3 == 0 { world.fail() } else { world.succeed() }
        }
        #expect(seen == (0..<100).map { "agent \($0)" }, "first come first served")
        #expect(world.results.count == 100 && world.cache.running.isEmpty && world.cache.queue.count == 0)
    }

    @Test func aLoginWithoutAnswerEnds() {
        let world = World(.init(concurrentLogins: 1))
        let first = world.demand("a")
        world.demand("b")
        #expect(world.open.count == 1)
        world.advance(60)
        #expect(world.kind(first) != nil && world.cancelled.count == 1 && world.open.count == 2)
        let late = world.open.removeFirst()
        world.cache.loginSucceeded("a", flight: late.flight, session: world.received("a"), now: world.now)
        world.absorb()
        #expect(world.quick("a") == nil, "a late answer resurrects nothing")
    }

    @Test func tenThousandAgentsComeAndGo() {
        let world = World()
        for round in 0..<10 {
            var subscriptions: [(String, UInt64)] = []
            for number in 0..<1000 {
                let agent = "agent \(round) \(number)"
                subscriptions.append((agent, world.subscribe(agent)))
                world.demand(agent, "g1")
                if number % 2 == 0 { world.demand(agent + " unsubscribed") }
                while !world.open.isEmpty { world.succeed() }
            }
            for (agent, subscription) in subscriptions { world.unsubscribe(agent, subscription) }
        }
        #expect(world.cache.entries.count == 5000)
        world.advance(1000)
        #expect(world.cache.entries.isEmpty && world.published.isEmpty && world.cache.running.isEmpty)
        #expect(world.cache.alarms.count == 0 && world.cache.queue.places == 0)
    }

    @Test func handOver() {
        let old = World()
        old.demand("a")
        old.succeed()
        guard let session = old.cache.entries["a"]?.session else { return }
        let new = World()
        _ = new.subscribe("a")
        new.now = old.now
        new.cache.adopt(SessionSnapshot(session).session, now: new.now)
        new.absorb()
        #expect(new.token(new.demand("a", "g1")) == old.quick("a") && new.started == 0)
        #expect(new.cache.entries["a"]?.plan != nil)
        new.advance(881)
        let dead = World()
        dead.now = new.now.advanced(by: .seconds(20))
        dead.cache.adopt(session, now: dead.now)
        #expect(dead.cache.entries["a"]?.session == nil)
    }

    @Test func shutDownTellsEveryone() {
        let world = World(.init(concurrentLogins: 2))
        let waiters = (0..<5).map { world.demand("agent \($0)") }
        world.cache.shutDown(now: world.now)
        world.absorb()
        #expect(waiters.allSatisfy { world.kind($0) == .ended })
        #expect(world.started == 2 && world.cancelled.count == 2 && world.cache.running.isEmpty)
    }
}
