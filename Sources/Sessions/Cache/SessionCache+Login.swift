/// Logins: starting them, at most so many at once and in a second, and what follows from their ends.
extension SessionCache {
    /// Begins a login, or queues it if all slots are taken, or as many as may were started in the last second.
    mutating func takeOff(
        _ entry: inout SessionEntry, _ agent: String, isRenewal: Bool, _ now: ContinuousClock.Instant
    ) {
        var flight = SessionEntry.Flight(id: number(), isRenewal: isRenewal)
        let opening = pace.opening(atMost: configuration.loginsPerSecond, now)
        let hasSlot = running.count < configuration.concurrentLogins
        if hasSlot, opening <= now, queue.count == 0 {
            flight.isRunning = true
            begin(agent, flight.id, now)
        } else {
            queue.add(agent, flight.id)
            if hasSlot { planTurn(at: opening) }
        }
        entry.flight = flight
    }

    private mutating func begin(_ agent: String, _ flight: UInt64, _ now: ContinuousClock.Instant) {
        running.insert(flight)
        pace.began(now)
        count { $0.logins += 1 }
        actions.append(.startLogin(agent: agent, flight: flight))
        alarms.add(.loginDeadline(agent: agent, flight: flight), at: now.advanced(by: configuration.loginDeadline))
    }

    /// Lets the answer of a flight count for nothing, and frees its slot or place.
    mutating func abandonFlight(_ entry: inout SessionEntry, _ now: ContinuousClock.Instant) {
        guard let flight = entry.flight else { return }
        entry.flight = nil
        if flight.isRunning {
            actions.append(.cancelLogin(flight: flight.id))
            land(flight.id, now)
        } else {
            queue.remove(flight.id)
        }
    }

    /// Frees a slot and gives it to the next in the queue.
    private mutating func land(_ flight: UInt64, _ now: ContinuousClock.Instant) {
        guard running.remove(flight) != nil else { return }
        admit(now)
    }

    /// Gives free slots to those that wait, as fast as they may be started.
    mutating func admit(_ now: ContinuousClock.Instant) {
        while running.count < configuration.concurrentLogins, queue.count > 0 {
            let opening = pace.opening(atMost: configuration.loginsPerSecond, now)
            guard opening <= now else {
                planTurn(at: opening)
                return
            }
            guard let next = queue.next(), entries[next.agent]?.flight?.id == next.flight else { continue }
            entries[next.agent]?.flight?.isRunning = true
            begin(next.agent, next.flight, now)
        }
    }

    private mutating func planTurn(at time: ContinuousClock.Instant) {
        if let turnAt, turnAt <= time { return }
        turnAt = time
        alarms.add(.turn, at: time)
    }

    /// Another bound for how many are started in a second. What was started before counts.
    mutating func setLoginsPerSecond(_ most: Int, now: ContinuousClock.Instant) {
        configuration.loginsPerSecond = most
        admit(now)
    }

    /// A login brought a session. An answer that nobody waits for any more, because the entry was dropped or its
    /// credentials changed, counts for nothing.
    mutating func loginSucceeded(
        _ agent: String, flight: UInt64, session: Session, now: ContinuousClock.Instant
    ) {
        defer { land(flight, now) }
        guard var entry = entries[agent], entry.flight?.id == flight else {
            count { $0.discarded += 1 }
            return
        }
        entry.flight = nil
        let session = carrying(session, into: &entry, now)
        entry.session = session
        entry.rejected = []
        entry.failures = 0
        entry.failedRenewals = 0
        entry.refusals = 0
        entry.refusedSince = nil
        entry.notBefore = nil
        if entry.blocked != nil { lift(&entry, agent) }
        if entry.toldFailure {
            entry.toldFailure = false
            actions.append(.tell(agent: agent, .loginRecovered))
        }
        tellNotes(of: session, agent, now)
        if entry.isInUse { planRenewal(&entry, agent, session, now) }
        publish(entry, agent)
        actions.append(.tell(agent: agent, .renewed(session)))
        let waiters = entry.waiters
        entry.waiters = []
        for waiter in waiters {
            let result: Result<Session, SessionError>
            if let guild = waiter.guild, session.token(for: guild) == nil {
                noteMissing(guild, &entry, session, hadToken: false, now)
                result = .failure(lacking(guild, agent, entry, session, now))
            } else if entry.usable(waiter.guild, now) != nil {
                result = .success(session)
            } else {
                let kind = SessionError.Kind.unavailable(retryIn: .zero)
                let reason = "the tokens of a new login had expired when they arrived; compare the clocks"
                result = .failure(SessionError(kind: kind, agent: agent, reason: reason))
            }
            actions.append(.resume(waiter: waiter.id, result))
        }
        store(entry, agent, now)
    }

    /// A login failed.
    mutating func loginFailed(
        _ agent: String, flight: UInt64, failure: LoginFailure, now: ContinuousClock.Instant
    ) {
        defer { land(flight, now) }
        guard var entry = entries[agent], let own = entry.flight, own.id == flight else {
            count { $0.discarded += 1 }
            return
        }
        entry.flight = nil
        switch failure {
        case .refused(let reason): block(&entry, agent, reason, now)
        case .doubtful(let reason, let retryAfter):
            doubt(&entry, agent, reason, retryAfter, wasRenewal: own.isRenewal, now)
        case .passing(_, let retryAfter) where entry.blocked != nil: retryFailed(&entry, agent, retryAfter, now)
        case .passing(let reason, let retryAfter):
            count { $0.failed += 1 }
            pass(&entry, agent, reason, retryAfter, wasRenewal: own.isRenewal, now)
        }
        store(entry, agent, now)
    }

    mutating func pass(
        _ entry: inout SessionEntry, _ agent: String, _ reason: String, _ retryAfter: Duration?, wasRenewal: Bool,
        _ now: ContinuousClock.Instant
    ) {
        entry.failures += 1
        entry.lastFailure = reason
        var pause = RefreshPlan(configuration: configuration).pause(failures: entry.failures, chance: chance())
        // A server may ask for more patience than ours, within reason.
        if let retryAfter { pause = max(pause, min(retryAfter, .seconds(3600))) }
        entry.notBefore = now.advanced(by: pause)
        if !entry.toldFailure {
            entry.toldFailure = true
            actions.append(.tell(agent: agent, .loginFailed(reason: reason, retryIn: pause)))
        }
        for waiter in entry.waiters {
            if let session = entry.usable(waiter.guild, now) {
                actions.append(.resume(waiter: waiter.id, .success(session)))
            } else {
                let error = SessionError(kind: .unavailable(retryIn: pause), agent: agent, reason: reason)
                actions.append(.resume(waiter: waiter.id, .failure(error)))
            }
        }
        entry.waiters = []
        if wasRenewal, entry.isRenewing { renewalFailed(&entry, agent, reason, now) }
    }
}
