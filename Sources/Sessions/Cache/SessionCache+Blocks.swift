import Timing

/// Refused credentials: when a refusal counts, and when it is put to the test again.
extension SessionCache {
    /// A refusal that may not mean the key. Several over some minutes do.
    mutating func doubt(
        _ entry: inout SessionEntry, _ agent: String, _ reason: String, _ retryAfter: Duration?, wasRenewal: Bool,
        _ now: ContinuousClock.Instant
    ) {
        let since = entry.refusedSince ?? now
        entry.refusedSince = since
        entry.refusals += 1
        if entry.blocked != nil
            || entry.refusals >= configuration.refusalsToBlock && since.duration(to: now) >= configuration.refusalSpan
        {
            block(&entry, agent, "refused \(entry.refusals) times in a row: \(reason)", now)
        } else {
            count { $0.failed += 1 }
            pass(&entry, agent, reason, retryAfter, wasRenewal: wasRenewal, now)
        }
    }

    mutating func block(
        _ entry: inout SessionEntry, _ agent: String, _ reason: String, _ now: ContinuousClock.Instant
    ) {
        count { $0.refused += 1 }
        let tries = entry.blocked.map { $0.tries + 1 } ?? 0
        let isNew = entry.blocked == nil
        let pause = RefreshPlan(configuration: configuration).blockPause(tries: tries, chance: chance())
        entry.session = nil
        entry.carried = []
        entry.rejected = []
        entry.plan = nil
        entry.isRenewing = false
        entry.toldFailure = false
        entry.blocked = SessionEntry.Block(reason: reason, since: now, tries: tries, retryAt: now.advanced(by: pause))
        planBlockRetry(&entry, agent, now)
        publish(entry, agent)
        if isNew { actions.append(.tell(agent: agent, .blocked(reason: reason))) }
        for waiter in entry.waiters {
            let error = SessionError(kind: .blocked, agent: agent, reason: reason)
            actions.append(.resume(waiter: waiter.id, .failure(error)))
        }
        entry.waiters = []
    }

    /// Nobody tries an account that nobody uses.
    mutating func planBlockRetry(_ entry: inout SessionEntry, _ agent: String, _ now: ContinuousClock.Instant) {
        guard let blocked = entry.blocked, entry.isInUse else { return }
        let generation = number()
        entry.blocked?.generation = generation
        alarms.add(.blockRetry(agent: agent, generation: generation), at: max(now, blocked.retryAt))
    }

    mutating func retryBlocked(_ agent: String, _ generation: UInt64, _ now: ContinuousClock.Instant) {
        guard var entry = entries[agent], entry.blocked?.generation == generation, entry.isInUse else { return }
        entry.blocked?.generation = 0
        if entry.flight == nil { takeOff(&entry, agent, isRenewal: false, now) }
        store(entry, agent, now)
    }

    /// The try of a blocked account came to nothing that says something about the key.
    mutating func retryFailed(
        _ entry: inout SessionEntry, _ agent: String, _ retryAfter: Duration?, _ now: ContinuousClock.Instant
    ) {
        count { $0.failed += 1 }
        entry.failures += 1
        // Sooner than after a refusal, but in no hurry: nothing runs that it could stop.
        var pause = Backoff(configuration.backoff.upperBound * 2, upTo: configuration.blockRetry.lowerBound)
            .delay(step: entry.failures - 1)
        if let retryAfter { pause = max(pause, min(retryAfter, .seconds(3600))) }
        entry.blocked?.retryAt = now.advanced(by: pause)
        planBlockRetry(&entry, agent, now)
    }

    /// The operator asks to try a blocked agent again.
    mutating func unblock(_ agent: String, now: ContinuousClock.Instant) {
        guard var entry = entries[agent], entry.blocked != nil else { return }
        lift(&entry, agent)
        store(entry, agent, now)
    }

    /// The same for all.
    /// - Returns: those that were blocked.
    mutating func unblockAll(now: ContinuousClock.Instant) -> [String] {
        let blocked = entries.filter { $0.value.blocked != nil }.map(\.key).sorted()
        for agent in blocked { unblock(agent, now: now) }
        return blocked
    }

    mutating func lift(_ entry: inout SessionEntry, _ agent: String) {
        entry.blocked = nil
        entry.failures = 0
        entry.refusals = 0
        entry.refusedSince = nil
        entry.notBefore = nil
        actions.append(.tell(agent: agent, .unblocked))
    }
}
