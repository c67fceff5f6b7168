import FabricAPI
import Foundation

@testable import FabricChannel
@testable import Sessions

/// The sessions of an instance of the module: the real cache in virtual time. It carries out what the cache decides, as
/// `Sessions` does with tasks and locks.
final class SimSessions {
    static let agent = "me"

    unowned let world: World
    private var cache: SessionCache
    private var waiting: [UInt64: (Result<Session, SessionError>) -> Void] = [:]
    private var tell: ((SessionUpdate) -> Void)?
    private var subscriber: UInt64 = 0
    private var wakesAt: ContinuousClock.Instant?
    private var sleeps = 0
    private var hasFailed = false

    init(world: World) {
        self.world = world
        cache = SessionCache(configuration: Sessions.Configuration(), chance: { 0.5 })
    }

    /// The session at hand, for the instance that takes over.
    var session: Session? { cache.entries[Self.agent]?.session }

    /// Begins to be used; `tell` hears what happens.
    func subscribe(adopting session: Session?, _ tell: @escaping (SessionUpdate) -> Void) {
        self.tell = tell
        subscriber = cache.number()
        change { $0.subscribe(Self.agent, subscriber: self.subscriber, now: $1) }
        if let session { change { $0.adopt(session, now: $1) } }
    }

    func end() {
        tell = nil
        waiting = [:]
        change { $0.unsubscribe(Self.agent, subscriber: self.subscriber, now: $1) }
        sleeps += 1
    }

    /// The session, or the session with a token for a guild; `done` may be called before this returns.
    func demand(_ guild: String? = nil, _ done: @escaping (Result<Session, SessionError>) -> Void) {
        let waiter = cache.number()
        var answer: SessionCache.Answer = .wait
        waiting[waiter] = done
        change { answer = $0.demand(Self.agent, guild: guild, waiter: waiter, now: $1) }
        guard case .now(let result) = answer else { return }
        waiting[waiter] = nil
        done(result)
    }

    func token(for guild: String, _ done: @escaping (Result<String, SessionError>) -> Void) {
        demand(guild) { result in
            done(
                result.flatMap { session in
                    guard let token = session.token(for: guild) else {
                        return .failure(SessionCache.missing(guild, Self.agent, session))
                    }
                    return .success(token.token)
                })
        }
    }

    func invalidate(_ token: String) {
        change { $0.invalidate(Self.agent, token: token, now: $1) }
    }

    /// Center's word that something changed: the next session shows it.
    func renew() {
        guard tell != nil, let session else { return }
        invalidate(session.fabric.accessToken)
    }

    /// The operator has the account tried again.
    func unblock() { change { $0.unblock(Self.agent, now: $1) } }

    private func change(_ body: (inout SessionCache, ContinuousClock.Instant) -> Void) {
        body(&cache, world.moment.instant)
        for action in cache.takeActions() {
            switch action {
            case .resume(let waiter, let result):
                guard let done = waiting.removeValue(forKey: waiter) else { continue }
                later(0) { done(result) }
            case .publish, .cancelLogin: break
            case .tell(_, let update): later(0) { [self] in tell?(update) }
            case .startLogin(_, let flight): logIn(flight)
            }
        }
        sleep()
    }

    private func later(_ seconds: Double, _ body: @escaping () -> Void) { world.schedule.after(seconds, body) }

    private func sleep() {
        guard tell != nil, let next = cache.nextWake, next != wakesAt else { return }
        if hasFailed, world.mutant == .logsInOnce { return }
        wakesAt = next
        sleeps += 1
        let sleep = sleeps
        later(world.seconds(until: next) + 1e-6) { [self] in
            guard sleep == sleeps else { return }
            wakesAt = nil
            change { $0.wake($1) }
        }
    }

    private func logIn(_ flight: UInt64) {
        world.center.logIn { [self] result in
            let wall = world.moment.wall
            change { cache, now in
                switch result {
                case .success(let fabric):
                    let session = Session(
                        agent: Self.agent, fabric: fabric, now: now, wall: wall, configuration: cache.configuration)
                    cache.loginSucceeded(Self.agent, flight: flight, session: session, now: now)
                case .failure(let failure):
                    self.hasFailed = true
                    cache.loginFailed(Self.agent, flight: flight, failure: failure, now: now)
                }
            }
        }
    }
}

/// Gives out tokens that live for a while, when it is in the mood.
final class SimCenter {
    unowned let world: World
    private var logins = 0
    /// A login is under way that is never answered: until then it may be waited for.
    private var silentUntil: Int64 = 0
    var isSilent: Bool { world.schedule.now < silentUntil }

    init(world: World) { self.world = world }

    func logIn(_ done: @escaping (Result<FabricSession, LoginFailure>) -> Void) {
        let there = world.schedule.random.delay(0.5)
        if world.isHit(.failingLogins, 0.3) {
            let failures: [LoginFailure?] = [
                nil, .passing(reason: "503", retryAfter: nil), .passing(reason: "429", retryAfter: .seconds(3)),
                .doubtful(reason: "403", retryAfter: nil),
            ]
            // Nil: it never answers; the cache waits for so long.
            guard let failure = world.schedule.random.pick(failures) else {
                silentUntil = world.schedule.now + 61_000_000
                return
            }
            return world.schedule.after(there) { done(.failure(failure)) }
        }
        let isSlow = world.isHit(.slowAnswers, 0.15)
        world.schedule.after(there + (isSlow ? 20 : 0)) { [self] in done(.success(session())) }
    }

    private func session() -> FabricSession {
        logins += 1
        world.trace("login \(logins)")
        let guilds = world.guilds.filter(\.hasAgent)
        var tokens: [String: String] = [:]
        // Center forgets a guild in a bad moment.
        for guild in guilds where !world.isHit(.failingLogins, 0.1) { tokens[guild.id] = token() }
        return FabricSession(
            accessToken: token(), user: FabricUser(id: SimGuild.agent),
            guilds: guilds.map { FabricGuildInfo(nodeId: $0.id, endpoint: "http://\($0.id)") },
            guildAccessTokens: tokens)
    }

    /// By Center's clock, which is right.
    private func token() -> String {
        let now = World.epoch + world.schedule.seconds
        let claims = #"{"iat":\#(Int(now)),"exp":\#(Int(now + world.plan.tokenLife)),"n":\#(logins)}"#
        // URL-safe, without padding; nothing in it needs the characters in which the two alphabets differ.
        let text = Data(claims.utf8).base64EncodedString().prefix { $0 != "=" }
        return "e30.\(text).x"
    }
}

extension SimGuild {
    /// Whether a token is taken: not once it has run out by the guild's clock.
    func takes(_ token: String) -> Bool {
        if lastToken.text != token { lastToken = (token, JWTExpiry.times(of: token)?.expiry ?? -.infinity) }
        return clock < lastToken.expiry
    }
}
