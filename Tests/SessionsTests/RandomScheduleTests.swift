import Locking
import Testing

@testable import Sessions

/// A generator for closures.
final class SharedDice: Sendable {
    private let dice: Locked<Dice>
    init(_ seed: UInt64) { dice = Locked(Dice(state: seed)) }
    func next() -> Double { dice.withLock { .random(in: 0...1, using: &$0) } }
}

@Suite struct RandomScheduleTests {
    struct Run {
        var dice: Dice
        let world: World
        var subscriptions: [(agent: String, number: UInt64)] = []
        var waiters: [UInt64: (agent: String, guild: String?)] = [:]
        var rejected: Set<String> = []
        var checked: Set<UInt64> = []

        init(_ seed: UInt64) {
            dice = Dice(state: seed)
            let shared = SharedDice(seed ^ 0xABCD)
            var configuration = Sessions.Configuration(
                concurrentLogins: Int.random(in: 1...4, using: &dice),
                loginsPerSecond: Int.random(in: 0...3, using: &dice))
            configuration.softLifetime = .seconds(Int.random(in: 5...600, using: &dice))
            world = World(configuration, chance: { shared.next() })
        }

        mutating func step() {
            let agent = "agent \(Int.random(in: 0..<4, using: &dice))"
            let guild = [nil, "g1", "g1", "g2", "g3"].randomElement(using: &dice) ?? nil
            switch Int.random(in: 0..<22, using: &dice) {
            case 0...4: waiters[world.demand(agent, guild)] = (agent, guild)
            case 5...8: answer()
            case 9...11: world.advance(Double.random(in: 0...20, using: &dice))
            case 12: world.advance(Double.random(in: 0...1000, using: &dice))
            case 13:
                subscriptions.append((agent, world.subscribe(agent)))
            case 14:
                guard let index = subscriptions.indices.randomElement(using: &dice) else { return }
                let gone = subscriptions.remove(at: index)
                world.unsubscribe(gone.agent, gone.number)
            case 15, 16:
                if let token = world.cache.entries[agent]?.session?.tokens.randomElement(using: &dice)?.token {
                    rejected.insert(token)
                    world.cache.invalidate(agent, token: token, now: world.now)
                    world.absorb()
                }
            case 17:
                if let (waiter, about) = waiters.filter({ world.results[$0.key] == nil }).min(by: { $0.key < $1.key }) {
                    world.cache.cancel(about.agent, waiter: waiter, now: world.now)
                    world.absorb()
                }
            case 18:
                if Bool.random(using: &dice) {
                    world.cache.unblock(agent, now: world.now)
                } else {
                    world.cache.credentialsChanged(agent, now: world.now)
                }
                world.absorb()
            case 19: world.advance(Double.random(in: 0...0.6, using: &dice))
            case 20 where Int.random(in: 0..<4, using: &dice) == 0:
                world.cache.setLoginsPerSecond(Int.random(in: 0...3, using: &dice), now: world.now)
                world.absorb()
            default:
                world.absorb()
            }
        }

        mutating func answer() {
            guard !world.open.isEmpty else { return }
            world.open.swapAt(0, Int.random(in: 0..<world.open.count, using: &dice))
            switch Int.random(in: 0..<10, using: &dice) {
            case 0...4:
                let life: Double? = [900, 900, 60, 5, nil].randomElement(using: &dice) ?? nil
                let guilds = [["g1", "g2"], ["g1"], ["g1", "g2", "g3"], []].randomElement(using: &dice) ?? []
                let listed = Bool.random(using: &dice) ? ["g1", "g2"].filter { !guilds.contains($0) } : []
                world.succeed(
                    guilds: guilds, withoutToken: listed, lifetime: life,
                    stated: Bool.random(using: &dice) ? 100 : nil)
            case 5...6: world.fail()
            case 7...8: world.fail(.doubtful(reason: "403", retryAfter: nil))
            default: world.fail(.refused(reason: "no"))
            }
        }

        /// What must hold after every step.
        mutating func check() -> String? {
            let cache = world.cache
            if world.resumedTwice { return "a waiter was resumed twice" }
            if cache.running.count > cache.configuration.concurrentLogins { return "too many logins" }
            if world.startedTooFast { return "too many logins in a second" }
            if cache.queue.count > 0, cache.running.count < cache.configuration.concurrentLogins {
                guard let turn = cache.turnAt, let next = cache.nextWake, next <= turn else {
                    return "a login waits that nobody will start"
                }
            }
            let live = Set(cache.entries.values.compactMap(\.flight?.id))
            if !cache.running.isSubset(of: live) { return "a slot is held by nobody" }
            for (agent, entry) in cache.entries {
                if let flight = entry.flight, flight.isRunning != cache.running.contains(flight.id) {
                    return "slot lost"
                }
                if entry.flight == nil, !entry.waiters.isEmpty { return "waiting for nothing" }
                if entry.blocked != nil, entry.session != nil { return "blocked but alive" }
                if let blocked = entry.blocked, entry.isInUse, entry.flight == nil, blocked.generation == 0 {
                    return "a block that nobody will try"
                }
                if !entry.carried.allSatisfy({ entry.session?.token(for: $0) != nil && entry.missing[$0] != nil }) {
                    return "a carried token that is not there, or not missed"
                }
                if entry.isInUse, entry.isRenewing, entry.plan == nil, entry.flight == nil { return "renewal stalled" }
                if let token = world.quick(agent).flatMap({ rejected.contains($0) ? $0 : nil }) {
                    return "quick \(token)"
                }
                if entry.blocked != nil, world.quick(agent) != nil { return "quick while blocked" }
            }
            for agent in world.published.keys where cache.entries[agent] == nil { return "published for nobody" }
            for (waiter, result) in world.results where checked.insert(waiter).inserted {
                guard case .success(let session) = result, let about = waiters[waiter],
                    let time = world.times[waiter]
                else { continue }
                if session.agent != about.agent { return "the session of another" }
                if let guild = about.guild {
                    guard let token = session.token(for: guild) else { return "no token" }
                    if token.expiresAt <= time { return "served past its hard lifetime" }
                    if rejected.contains(token.token) { return "served a rejected token" }
                } else if session.hardDeadline <= time {
                    return "served past its hard lifetime"
                }
            }
            for waiter in waiters.keys where world.results[waiter] == nil {
                if !cache.entries.values.contains(where: { $0.waiters.contains { $0.id == waiter } }) {
                    return "a waiter was lost"
                }
            }
            if cache.alarms.count > 200 { return "alarms pile up" }
            return nil
        }

        mutating func finish() -> String? {
            while !subscriptions.isEmpty {
                let gone = subscriptions.removeLast()
                world.unsubscribe(gone.agent, gone.number)
            }
            var rounds = 0
            while !world.open.isEmpty || world.cache.queue.count > 0, rounds < 1000 {
                if world.open.isEmpty { world.advance(1) } else { world.succeed() }
                rounds += 1
            }
            for waiter in waiters.keys where world.results[waiter] == nil { return "waiter \(waiter) waits for ever" }
            world.advance(10_000)
            if !world.cache.entries.isEmpty || !world.published.isEmpty { return "something stays behind" }
            if world.cache.alarms.count > 0 || !world.cache.running.isEmpty { return "alarms or slots stay behind" }
            return nil
        }
    }

    @Test func thousandsOfSchedules() {
        for seed in 0..<3000 as Range<UInt64> {
            var run = Run(seed)
            for step in 0..<80 {
                run.step()
                if let broken = run.check() {
                    Issue.record("seed \(seed), step \(step): \(broken)")
                    return
                }
            }
            if let broken = run.finish() {
                Issue.record("seed \(seed): \(broken)")
                return
            }
        }
    }
}
