/// Everything known about one agent.
struct SessionEntry {
    struct Waiter {
        var id: UInt64
        /// The guild whose token is wanted; nil for any session.
        var guild: String?
    }

    struct Flight {
        var id: UInt64
        /// Whether a slot was found for it, or it still queues.
        var isRunning = false
        /// Whether the renewal schedule asked for it.
        var isRenewal: Bool
    }

    struct Plan {
        var generation: UInt64
        var at: ContinuousClock.Instant
    }

    /// The agent's credentials were refused.
    struct Block {
        var reason: String
        /// When they were refused last.
        var since: ContinuousClock.Instant
        /// Tries that were refused since.
        var tries = 0
        var retryAt: ContinuousClock.Instant
        /// The number of the alarm for it; 0 while there is none.
        var generation: UInt64 = 0
    }

    /// A guild without a token in the session.
    struct MissingGuild {
        var since: ContinuousClock.Instant
        /// Center lists the guild, or gave a token for it before: it may come back by itself.
        var isKnown: Bool
        /// Logins tried for its sake.
        var tries = 0
        /// When one may be tried again; nil: the next planned renewal will tell.
        var nextTry: ContinuousClock.Instant?
    }

    var session: Session?
    /// Guilds whose token in the session is one of the session before: a new login did not bring one.
    var carried: Set<String> = []
    /// Tokens that a server refused before their time.
    var rejected: Set<String> = []
    var flight: Flight?
    var waiters: [Waiter] = []
    var subscribers: Set<UInt64> = []
    var plan: Plan?
    /// Whether a session in use is being renewed ahead of time; ends after too many failures.
    var isRenewing = false
    var failedRenewals = 0
    var failures = 0
    var notBefore: ContinuousClock.Instant?
    var lastFailure = ""
    /// Whether a failed login was told, and its end was not.
    var toldFailure = false
    /// Refusals without a word about the key since the last success, and when the first was.
    var refusals = 0
    var refusedSince: ContinuousClock.Instant?
    var blocked: Block?
    /// Guilds that the session has no token of its own for.
    var missing: [String: MissingGuild] = [:]
    /// Logins in a row whose tokens a guild refused within seconds.
    var youngRejections = 0

    var isInUse: Bool { !subscribers.isEmpty }

    /// The session if what is asked of it may be served at `now`.
    func usable(_ guild: String?, _ now: ContinuousClock.Instant) -> Session? {
        guard blocked == nil, let session else { return nil }
        if let guild {
            guard let token = session.token(for: guild) else { return nil }
            return now < token.expiresAt && !rejected.contains(token.token) ? session : nil
        }
        return now < session.hardDeadline && rejected.isEmpty ? session : nil
    }

    /// Whether a usable session needs no login before it is served. One that is renewed ahead of time never does, so
    /// that a message never waits for a login.
    func isFresh(_ session: Session, _ now: ContinuousClock.Instant) -> Bool {
        now < session.softDeadline || (isInUse && isRenewing)
    }

    /// What the quick read may hand out, each until its time, without asking the cache.
    func published() -> [PublishedToken] {
        guard blocked == nil, let session else { return [] }
        return session.tokens.filter { !rejected.contains($0.token) }.map { token in
            let until = isInUse && isRenewing ? token.expiresAt : min(token.expiresAt, session.softDeadline)
            return PublishedToken(guild: token.guild, until: until, token: token)
        }
    }

    func pauseLeft(_ now: ContinuousClock.Instant) -> Duration? {
        guard let notBefore, now < notBefore else { return nil }
        return now.duration(to: notBefore)
    }

    /// Whether nothing would be lost by forgetting it.
    func isDead(_ now: ContinuousClock.Instant, blockMemory: Duration) -> Bool {
        guard !isInUse, flight == nil, waiters.isEmpty else { return false }
        if let blocked { return blocked.since.advanced(by: blockMemory) <= now }
        if let session, session.tokens.contains(where: { now < $0.expiresAt }) || now < session.hardDeadline {
            return false
        }
        // The pause after failures is remembered once over again, or the next failure would begin at the least pause.
        if let notBefore, now < notBefore.advanced(by: .seconds(60)) { return false }
        return true
    }
}

/// A token and until when the quick read may hand it out.
struct PublishedToken: Sendable {
    let guild: String
    let until: ContinuousClock.Instant
    let token: GuildToken
}
