/// Renewal ahead of time, and everything else that happens because time passes.
extension SessionCache {
    /// Plans the next renewal of a session in use. A session whose lifetime nobody states leaves a plan that exists
    /// alone.
    mutating func planRenewal(
        _ entry: inout SessionEntry, _ agent: String, _ session: Session, _ now: ContinuousClock.Instant
    ) {
        entry.isRenewing = true
        if session.knownLifetime == nil, entry.plan != nil { return }
        let delay = RefreshPlan(configuration: configuration).renewal(of: session, chance: chance())
        plan(&entry, agent, at: max(now, session.receivedAt.advanced(by: delay)))
    }

    private mutating func plan(_ entry: inout SessionEntry, _ agent: String, at time: ContinuousClock.Instant) {
        let generation = number()
        entry.plan = SessionEntry.Plan(generation: generation, at: time)
        alarms.add(.renewal(agent: agent, generation: generation), at: time)
    }

    mutating func renewalFailed(
        _ entry: inout SessionEntry, _ agent: String, _ reason: String, _ now: ContinuousClock.Instant
    ) {
        entry.failedRenewals += 1
        guard entry.failedRenewals >= configuration.refreshAttempts else {
            let retry = now.advanced(by: configuration.refreshRetry)
            plan(&entry, agent, at: max(retry, entry.notBefore ?? retry))
            return
        }
        entry.isRenewing = false
        entry.plan = nil
        entry.failedRenewals = 0
        publish(entry, agent)
        actions.append(.tell(agent: agent, .renewalEnded(reason: reason)))
    }

    /// Does what is due. Call it when ``nextWake`` has come; too early or too often does no harm.
    mutating func wake(_ now: ContinuousClock.Instant) {
        while let alarm = alarms.takeDue(now) {
            switch alarm {
            case .sweep: sweep(now)
            case .turn:
                // One that an earlier one took the place of.
                if let turnAt, turnAt > now { continue }
                turnAt = nil
                admit(now)
            case .loginDeadline(let agent, let flight):
                guard running.contains(flight), entries[agent]?.flight?.id == flight else { continue }
                actions.append(.cancelLogin(flight: flight))
                let reason = "Center did not answer the login within \(configuration.loginDeadline)"
                loginFailed(agent, flight: flight, failure: .passing(reason: reason, retryAfter: nil), now: now)
            case .renewal(let agent, let generation): renew(agent, generation, now)
            case .blockRetry(let agent, let generation): retryBlocked(agent, generation, now)
            }
        }
        // Superseded alarms stay in the heap until their time; many of them mean that it is worth clearing them out.
        if alarms.count > 64 + 4 * entries.count { compactAlarms() }
    }

    private mutating func renew(_ agent: String, _ generation: UInt64, _ now: ContinuousClock.Instant) {
        guard var entry = entries[agent], entry.plan?.generation == generation else { return }
        entry.plan = nil
        if entry.flight != nil {
            entry.flight?.isRenewal = true
        } else if entry.pauseLeft(now) != nil, let notBefore = entry.notBefore {
            plan(&entry, agent, at: notBefore)
        } else {
            takeOff(&entry, agent, isRenewal: true, now)
        }
        store(entry, agent, now)
    }

    mutating func compactAlarms() {
        let entries = entries
        let running = running
        let hasTurn = turnAt != nil
        alarms.compact { alarm in
            switch alarm {
            case .sweep: true
            case .turn: hasTurn
            case .loginDeadline(_, let flight): running.contains(flight)
            case .renewal(let agent, let generation): entries[agent]?.plan?.generation == generation
            case .blockRetry(let agent, let generation): entries[agent]?.blocked?.generation == generation
            }
        }
    }
}
