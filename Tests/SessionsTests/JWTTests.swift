import Testing

@testable import Sessions

@Suite struct JWTTests {
    @Test func readsTimes() {
        #expect(JWTExpiry.times(of: jwt(exp: 1234.5, iat: 1000)) == JWTTimes(expiry: 1234.5, issued: 1000))
        #expect(JWTExpiry.times(of: jwt(exp: 99))?.expiry == 99)
        #expect(JWTExpiry.times(of: "fab_" + jwt(exp: 99))?.expiry == 99)
        #expect(JWTExpiry.times(of: "fab." + jwt(exp: 99))?.expiry == 99)
        #expect(JWTExpiry.times(of: "vendor:" + jwt(exp: 99))?.expiry == 99)
        for name in ["a", "ab", "abc", "ü"] { #expect(JWTExpiry.times(of: jwt(exp: 7, id: name))?.expiry == 7) }
    }

    @Test(arguments: [
        "", ".", "..", "...", "opaque", "a.b", "a.b.c", "a.!!!.c", ".e30.", "eyJ.e30.x", "a.bnVsbA.c", "a.W10.c",
        "a.eyJleHAiOiIxIn0.c", "a.eyJleHAiOm51bGx9.c", "a.eyJleHAiOjFlOTk5fQ.c", "a.eyJleHAiOi0xfQ.c",
        "a.eyJleHAiOjB9.c",
        "a.eyJleHAi.c", "1.2.3.4.5.6.7", "a.eyJleHAiOjF9x.c",
    ]) func malformedIsUnknown(_ token: String) { #expect(JWTExpiry.times(of: token)?.expiry == nil) }

    @Test func hugeTokensAreNotLookedAt() {
        #expect(JWTExpiry.times(of: String(repeating: "a", count: 1 << 20))?.expiry == nil)
    }

    @Test func everyMutationIsSafe() {
        var dice = Dice(state: 5)
        let good = Array(jwt(exp: 1_700_000_000, iat: 1_699_999_000).utf8)
        for _ in 0..<20_000 {
            var text = good
            for _ in 0..<Int.random(in: 1...3, using: &dice) {
                text[Int.random(in: 0..<text.count, using: &dice)] = UInt8.random(in: 32...126, using: &dice)
            }
            _ = JWTExpiry.times(of: String(decoding: text, as: UTF8.self))
        }
    }
}

/// A small generator with a seed, so that a failure can be had again.
struct Dice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

@Suite struct LifetimeTests {
    let configuration = Sessions.Configuration()

    func life(_ exp: Double?, iat: Double? = nil, wall: Double = 1000, stated: Int? = nil) -> TokenLifetime {
        TokenLifetime(
            times: exp.map { JWTTimes(expiry: $0, issued: iat) }, wall: wall, stated: stated,
            configuration: configuration)
    }

    @Test func hardLifetime() {
        #expect(life(1900).hard == .seconds(890))
        #expect(life(1050).hard == .seconds(40))
        #expect(life(1005).hard == .seconds(4), "a fifth at most")
        #expect(life(nil).hard == .seconds(480) && life(nil).known == nil)
        #expect(life(nil, stated: 100).hard == .seconds(90))
        #expect(life(nil, stated: 10_000).hard == .seconds(480))
        #expect(life(nil, stated: 0).hard == .seconds(480) && life(nil, stated: -5).hard == .seconds(480))
        #expect(life(1900).note == nil)
    }

    @Test func absurdExpiryCountsAsUnknown() {
        for exp in [999.0, 1, 1000, 1_700_000_000_000, 1e300] {
            let result = life(exp)
            #expect(result.hard == .seconds(480) && result.known == nil && result.note != nil)
        }
    }

    @Test func aServersFastClockGivesNoExtraTime() {
        let result = life(1900 + 300, iat: 1300)
        #expect(result.hard == .seconds(890) && result.note?.contains("300 s ahead") == true)
        #expect(life(1500, iat: 600).hard == .seconds(490), "a token issued before is as old as it is")
        #expect(life(1500, iat: 2000).hard == .seconds(490), "an absurd iat does not matter")
    }

    @Test func numbersThatMeanNothingMeanTheDefault() {
        #expect(Sessions.Configuration(softLifetime: .zero).softLifetime == .seconds(480))
        #expect(Sessions.Configuration(softLifetime: .seconds(-3)).softLifetime == .seconds(480))
        var changed = Sessions.Configuration(softLifetime: .seconds(5), concurrentLogins: 0)
        #expect(changed.softLifetime == .seconds(5) && changed.concurrentLogins == 1)
        changed.softLifetime = .zero
        changed.loginsPerSecond = -7
        #expect(changed.softLifetime == .seconds(480) && changed.loginsPerSecond == 0)
        #expect(Sessions.Configuration(loginsPerSecond: -1).loginsPerSecond == 0)
    }

    func renewal(_ lifetime: Double?, stated: Int? = nil, chance: Double = 0.5, soft: Double = 480) -> Double {
        let world = World(.init(softLifetime: .seconds(soft)))
        let session = world.received("a", lifetime: lifetime, stated: stated)
        return RefreshPlan(configuration: world.cache.configuration).renewal(of: session, chance: chance) / .seconds(1)
    }

    func near(_ left: Double, _ right: Double) -> Bool { abs(left - right) < 0.001 }

    @Test func plannedRenewal() {
        #expect(near(renewal(900), 480), "the soft lifetime comes before exp minus 5 min")
        #expect(near(renewal(900, chance: 0), 432) && near(renewal(900, chance: 1), 528))
        #expect(near(renewal(700), 400), "exp minus 5 min comes before the soft lifetime")
        #expect(near(renewal(60), 30), "a short life: half of it")
        #expect(near(renewal(0.5), 1), "no spinning")
        #expect(near(renewal(nil, chance: 1), 450), "jitter must not pass the end of a token hard-limited at 480 s")
        #expect(near(renewal(nil, stated: 700), 400))
        #expect(near(renewal(nil, stated: 5), 30), "the floor of stated lifetimes")
        #expect(near(renewal(nil, soft: 7200), 1800), "30 min when nothing is known")
        #expect(near(renewal(86_400, soft: 7200), 7200))
    }

    @Test func pausesGrowToTheCapAndKeepTheirJitter() {
        let plan = RefreshPlan(configuration: configuration)
        #expect(plan.pause(failures: 1, chance: 0) == .seconds(1) && plan.pause(failures: 1, chance: 1) == .seconds(2))
        #expect(plan.pause(failures: 3, chance: 1) == .seconds(8))
        for failures in [6, 7, 100, 5000, Int.max] {
            #expect(plan.pause(failures: failures, chance: 0) == .seconds(1))
            #expect(plan.pause(failures: failures, chance: 1) == .seconds(60))
            #expect(plan.pause(failures: failures, chance: 0.5) == .seconds(30.5))
        }
    }
}
