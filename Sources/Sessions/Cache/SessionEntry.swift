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

    var session: Session?
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
    var blocked: (reason: String, since: ContinuousClock.Instant)?
    /// Guilds that a forced login did not bring, and when.
    var missing: [String: ContinuousClock.Instant] = [:]
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
