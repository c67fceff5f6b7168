extension SessionCache {
    /// Whether its login has no slot yet.
    func isQueued(_ agent: String) -> Bool { entries[agent]?.flight?.isRunning == false }

    func statistics(now: ContinuousClock.Instant) -> SessionStatistics {
        var result = SessionStatistics()
        for entry in entries.values {
            result.total += 1
            if entry.blocked != nil { result.blocked += 1 }
            if entry.isInUse { result.inUse += 1 }
            if entry.usable(nil, now) != nil {
                result.valid += 1
            } else if let session = entry.session, session.hardDeadline <= now {
                result.expired += 1
            }
        }
        result.logins = counters.logins
        result.coalesced = counters.coalesced
        result.refused = counters.refused
        result.failed = counters.failed
        result.discarded = counters.discarded
        result.running = running.count
        result.queued = queue.count
        return result
    }
}
