import FabricAPI
import Locking

/// The one place where every consumer gets its tokens: at the moment of use, by agent.
///
/// Safe to use from any thread. The rules are ``SessionCache``'s; this class only carries them out: it holds the
/// waiting tasks, runs the logins and sleeps until the next alarm.
public final class Sessions: Sendable {
    struct State {
        var cache: SessionCache
        var waiting: [UInt64: CheckedContinuation<Result<Session, SessionError>, Never>] = [:]
        /// Logins by flight, and sleepers by a number of their own.
        var tasks: [UInt64: Task<Void, Never>] = [:]
        var sleeper: (number: UInt64, until: ContinuousClock.Instant)?
        var listeners: [String: [UInt64: Listener]] = [:]
        var isShutDown = false
    }

    /// What must happen after the lock is released, because it runs code of others.
    struct Aftermath {
        var resumed: [(CheckedContinuation<Result<Session, SessionError>, Never>, Result<Session, SessionError>)] = []
        var cancelled: [Task<Void, Never>] = []

        func carryOut() {
            for (waiter, result) in resumed { waiter.resume(returning: result) }
            for task in cancelled { task.cancel() }
        }
    }

    /// The numbers in force.
    public var configuration: Configuration { state.withLock { $0.cache.configuration } }
    let clock: SessionClock
    let login: @Sendable (_ agent: String) async throws -> FabricSession
    let state: Locked<State>
    let quick = QuickTokens()

    /// - Parameters:
    ///   - login: logs an agent in. It asks for the agent's credential itself, at every call. It may throw a
    /// `FabricError`
    ///     or decide with ``LoginFailure``; anything else counts as passing. It is cancelled when its result is no
    /// longer
    ///     wanted, and is expected to return soon then.
    ///   - clock: the clocks.
    ///   - random: evenly drawn from 0 to 1, for jitter.
    public init(
        configuration: Configuration = .init(), clock: SessionClock = .system,
        random: @escaping @Sendable () -> Double = { .random(in: 0...1) },
        login: @escaping @Sendable (_ agent: String) async throws -> FabricSession
    ) {
        self.clock = clock
        self.login = login
        state = Locked(State(cache: SessionCache(configuration: configuration, chance: random)))
    }

    /// The agent's session, valid now.
    /// - Throws: ``SessionError``. A cancelled caller gets `.cancelled` at once; the login it waited for goes on.
    public func session(for agent: String) async throws(SessionError) -> Session {
        try await demand(agent, guild: nil).get()
    }

    /// The agent's token for a guild, valid now. If the cached session has none for that guild, one new login is tried.
    /// - Throws: ``SessionError``, as ``session(for:)``, and `.guildMissing`.
    public func guildToken(for agent: String, guild: String) async throws(SessionError) -> GuildToken {
        if let cached = cachedGuildToken(for: agent, guild: guild) { return cached }
        let session = try await demand(agent, guild: guild).get()
        guard let token = session.token(for: guild) else { throw SessionCache.missing(guild, agent, session) }
        return token
    }

    /// The agent's token for a guild if it is cached and needs no login; takes a lock, a look-up and a clock reading.
    public func cachedGuildToken(for agent: String, guild: String) -> GuildToken? {
        quick.token(agent, guild, clock.ticks())
    }

    /// Changes how long a login counts as fresh, from the next login on; what is there keeps its time. Zero or less means the
    /// default.
    public func setSoftLifetime(_ lifetime: Duration) {
        state.withLock { $0.cache.configuration.softLifetime = lifetime }
    }

    /// Changes how many logins may be started in any one second, from now on; those started before count. Zero and less mean
    /// no bound.
    public func setLoginsPerSecond(_ most: Int) {
        change { cache, now in cache.setLoginsPerSecond(most, now: now) }
    }

    /// Says that a server refused `token` (401, or a socket dropped for it). Nothing happens unless it is one of the
    /// agent's present tokens, so late reports about an old token do no harm. It may be a guild's token or the access
    /// token. The session's other tokens stay in use; the next demand for this one waits for a new login.
    public func invalidate(_ agent: String, ifTokenIs token: String) {
        change { cache, now in cache.invalidate(agent, token: token, now: now) }
    }

    /// The agent's credentials are new: its session and its block are forgotten, waiting callers wait for a login with
    /// the new ones.
    public func credentialsChanged(_ agent: String) {
        change { cache, now in cache.credentialsChanged(agent, now: now) }
    }

    /// Lifts the block of an agent whose credentials were refused, at the operator's wish.
    public func unblock(_ agent: String) {
        change { cache, now in cache.unblock(agent, now: now) }
    }

    /// Lifts all blocks.
    /// - Returns: the agents that were blocked.
    @discardableResult
    public func unblockAll() -> [String] {
        change { cache, now in cache.unblockAll(now: now) }
    }

    /// Declares that the agent's session is in use: it is renewed ahead of time until ``SessionSubscription/cancel()``.
    /// This alone logs nobody in; the first demand does. With the last subscription the entry goes.
    public func subscribe(_ agent: String) -> SessionSubscription {
        let number = change { cache, now in
            let number = cache.number()
            cache.subscribe(agent, subscriber: number, now: now)
            return number
        }
        return SessionSubscription(agent: agent) { [weak self] in
            self?.change { cache, now in cache.unsubscribe(agent, subscriber: number, now: now) }
        }
    }

    /// Ends everything: waiting callers get `.ended`, nobody hears any more, logins are cancelled. When it returns nothing of
    /// this instance runs any more.
    public func shutdown() async {
        let (aftermath, tasks, listeners) = state.withLock { state in
            state.cache.shutDown(now: clock.now())
            let aftermath = apply(&state)
            state.isShutDown = true
            // Released outside the lock: what they hold may call back.
            defer { state.listeners = [:] }
            return (aftermath, Array(state.tasks.values), state.listeners)
        }
        aftermath.carryOut()
        withExtendedLifetime(listeners) {}
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }
}
