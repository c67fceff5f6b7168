import FabricAPI
import Synchronization

@testable import Sessions

/// Base64 for URLs, for making tokens.
func base64URL(_ text: String) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    var result = ""
    var bits = 0
    var held = 0
    for byte in text.utf8 {
        bits = bits << 8 | Int(byte)
        held += 8
        while held >= 6 {
            held -= 6
            result.append(alphabet[bits >> held & 63])
        }
    }
    if held > 0 { result.append(alphabet[bits << (6 - held) & 63]) }
    return result
}

func jwt(exp: Double?, iat: Double? = nil, id: String = "x") -> String {
    var claims = "{\"sub\":\"\(id)\""
    if let exp { claims += ",\"exp\":\(exp)" }
    if let iat { claims += ",\"iat\":\(iat)" }
    return base64URL("{\"alg\":\"none\"}") + "." + base64URL(claims + "}") + ".signature"
}

/// A Center's answer; `lifetime` in seconds from `wall`, nil for tokens that say nothing.
func answer(
    _ agent: String, number: Int = 1, guilds: [String] = ["g1"], withoutToken: [String] = [], lifetime: Double? = 900,
    wall: Double = 1_000_000, stated: Int? = nil
) -> FabricSession {
    func token(_ place: String) -> String {
        guard let lifetime else { return "opaque-\(agent)-\(place)-\(number)" }
        return jwt(exp: wall + lifetime, id: "\(agent)-\(place)-\(number)")
    }
    return FabricSession(
        accessToken: token("center"), user: FabricUser(id: agent + "-id"),
        guilds: (guilds + withoutToken).map { FabricGuildInfo(nodeId: $0, endpoint: "http://" + $0) },
        guildAccessTokens: Dictionary(uniqueKeysWithValues: guilds.map { ($0, token($0)) }), expiresInSeconds: stated)
}

/// The cache with a clock and a Center in the test's hand: no tasks, no time but what the test lets pass.
final class World {
    var cache: SessionCache
    let start = ContinuousClock.Instant.now
    var now: ContinuousClock.Instant
    var wall: Double = 1_000_000
    var open: [(agent: String, flight: UInt64)] = []
    var cancelled: Set<UInt64> = []
    var results: [UInt64: Result<Session, SessionError>] = [:]
    /// When each result was given.
    var times: [UInt64: ContinuousClock.Instant] = [:]
    var resumedTwice = false
    var published: [String: [PublishedToken]] = [:]
    var told: [String] = []
    var started = 0
    private var starts: [ContinuousClock.Instant] = []
    /// More logins were started in some second than were allowed at that time.
    private(set) var startedTooFast = false
    private var waiter: UInt64 = 1 << 40
    private var number = 0

    init(_ configuration: Sessions.Configuration = .init(), chance: @escaping @Sendable () -> Double = { 0.5 }) {
        cache = SessionCache(configuration: configuration, chance: chance)
        now = start
    }

    /// Seconds since the beginning.
    var time: Double { start.duration(to: now) / .seconds(1) }

    func absorb() {
        for action in cache.takeActions() {
            switch action {
            case .startLogin(let agent, let flight):
                open.append((agent, flight))
                started += 1
                noteStart()
            case .cancelLogin(let flight): cancelled.insert(flight)
            case .resume(let waiter, let result):
                record(waiter, result)
            case .publish(let agent, let tokens): published[agent] = tokens.isEmpty ? nil : tokens
            case .tell(let agent, let update):
                switch update {
                case .renewed: told.append("\(agent) renewed")
                case .blocked: told.append("\(agent) blocked")
                case .unblocked: told.append("\(agent) unblocked")
                case .renewalEnded: told.append("\(agent) ended")
                case .loginFailed(let reason, _): told.append("\(agent) failed: \(reason)")
                case .loginRecovered: told.append("\(agent) recovered")
                case .notice(let text): told.append("\(agent) notice: \(text)")
                }
            }
        }
    }

    private func noteStart() {
        starts.append(now)
        let bound = cache.configuration.loginsPerSecond
        guard bound > 0, starts.count > bound else { return }
        if starts[starts.count - 1 - bound].duration(to: now) < .seconds(1) { startedTooFast = true }
    }

    private func record(_ waiter: UInt64, _ result: Result<Session, SessionError>) {
        if results.updateValue(result, forKey: waiter) != nil { resumedTwice = true }
        times[waiter] = now
    }

    @discardableResult
    func demand(_ agent: String, _ guild: String? = nil) -> UInt64 {
        waiter += 1
        if case .now(let result) = cache.demand(agent, guild: guild, waiter: waiter, now: now) {
            record(waiter, result)
        }
        absorb()
        return waiter
    }

    func subscribe(_ agent: String) -> UInt64 {
        waiter += 1
        cache.subscribe(agent, subscriber: waiter, now: now)
        absorb()
        return waiter
    }

    func unsubscribe(_ agent: String, _ number: UInt64) {
        cache.unsubscribe(agent, subscriber: number, now: now)
        absorb()
    }

    func received(
        _ agent: String, guilds: [String] = ["g1"], withoutToken: [String] = [], lifetime: Double? = 900,
        stated: Int? = nil
    ) -> Session {
        number += 1
        let fabric = answer(
            agent, number: number, guilds: guilds, withoutToken: withoutToken, lifetime: lifetime, wall: wall,
            stated: stated)
        return Session(agent: agent, fabric: fabric, now: now, wall: wall, configuration: cache.configuration)
    }

    /// Answers the oldest open login.
    func succeed(
        guilds: [String] = ["g1"], withoutToken: [String] = [], lifetime: Double? = 900, stated: Int? = nil
    ) {
        guard !open.isEmpty else { return }
        let (agent, flight) = open.removeFirst()
        let session = received(
            agent, guilds: guilds, withoutToken: withoutToken, lifetime: lifetime, stated: stated)
        cache.loginSucceeded(agent, flight: flight, session: session, now: now)
        absorb()
    }

    func fail(_ failure: LoginFailure = .passing(reason: "down", retryAfter: nil)) {
        guard !open.isEmpty else { return }
        let (agent, flight) = open.removeFirst()
        cache.loginFailed(agent, flight: flight, failure: failure, now: now)
        absorb()
    }

    /// Lets time pass, alarm by alarm.
    func advance(_ seconds: Double) {
        let end = now.advanced(by: .seconds(seconds))
        while let next = cache.nextWake, next <= end {
            wall += now.duration(to: max(next, now)) / .seconds(1)
            now = max(next, now)
            cache.wake(now)
            absorb()
        }
        wall += now.duration(to: end) / .seconds(1)
        now = end
    }

    func token(_ waiter: UInt64, _ guild: String = "g1") -> String? {
        guard case .success(let session) = results[waiter] else { return nil }
        return session.token(for: guild)?.token
    }

    func kind(_ waiter: UInt64) -> SessionError.Kind? {
        guard case .failure(let error) = results[waiter] else { return nil }
        return error.kind
    }

    func quick(_ agent: String, _ guild: String = "g1") -> String? {
        published[agent]?.first { $0.guild == guild && now < $0.until }?.token.token
    }
}
