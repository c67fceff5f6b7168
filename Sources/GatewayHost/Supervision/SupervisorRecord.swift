import GatewayControl

extension Supervisor {
    /// What is known of one account.
    struct Record: Sendable {
        var eligibility: Eligibility
        var state: State = .idle
        /// The number of the present or last run.
        var run: UInt64 = 0
        /// Restarts since the last good period.
        var attempts = 0
        /// When the health check restarted it, within the last hour.
        var healthRestarts: [Instant] = []

        init(eligibility: Eligibility) { self.eligibility = eligibility }

        /// Cooldown and hourly bound of the health check.
        mutating func mayRestart(_ configuration: Configuration, at now: Instant) -> Bool {
            healthRestarts.removeAll { now - $0 >= .seconds(3600) }
            if let last = healthRestarts.last, now - last < configuration.cooldown { return false }
            return healthRestarts.count < configuration.restartsPerHour
        }
    }

    enum Halt: String, Sendable { case blocked, refused, exhausted }

    enum State: Sendable {
        case idle
        case starting(since: Instant)
        case running(Run)
        case waiting(until: Instant, reason: String)
        case halted(Halt, reason: String)

        /// The module may have this account running.
        var mayRun: Bool {
            switch self {
            case .starting, .running: true
            default: false
            }
        }
    }

    /// One run of an account, as its reports show it.
    struct Run: Sendable {
        let startedAt: Instant
        var connectedSince: Instant?
        /// When it was last seen connected; the start if never.
        var disconnectedSince: Instant
        var wasConnected = false
        var blocked = false
        /// Another gateway runs it: being without a connection is no illness then.
        var isOnStandby = false
        /// It waits for its turn: a restart would put it behind all others.
        var isQueued = false
        var report: AccountReport?
        var progress: AccountReport.Progress?
        var progressAt: Instant

        init(startedAt: Instant) {
            self.startedAt = startedAt
            self.disconnectedSince = startedAt
            self.progressAt = startedAt
        }

        mutating func take(_ report: AccountReport, at now: Instant) {
            if let connected = report.connected {
                if connected {
                    connectedSince = connectedSince ?? now
                    wasConnected = true
                } else if connectedSince != nil {
                    connectedSince = nil
                    disconnectedSince = now
                }
            }
            if progress != report.progress {
                progress = report.progress
                progressAt = now
            }
            blocked = report.lifecycle == .blocked
            if isOnStandby || report.lifecycle == .standby {
                // Its time to connect begins when it is its turn.
                wasConnected = report.connected == true
                (connectedSince, disconnectedSince) = (wasConnected ? now : nil, now)
            }
            isOnStandby = report.lifecycle == .standby
            if isQueued || report.isQueued {
                // As with those: what it does begins when it is its turn.
                progressAt = now
                if connectedSince == nil { disconnectedSince = now }
            }
            isQueued = report.isQueued
            self.report = report
        }

        /// Forgets earlier crashes once the run has been good for long enough.
        func settle(_ record: inout Record, _ configuration: Configuration, at now: Instant) {
            if let connectedSince, now - connectedSince >= configuration.forgetAfter { record.attempts = 0 }
        }

        /// Why the health check would restart it; `nil` if it is well, or at work, or nothing is known.
        func illness(_ configuration: Configuration, at now: Instant) -> String? {
            guard !blocked, !isOnStandby, !isQueued, progress != nil, now - startedAt >= configuration.startGrace else {
                return nil
            }
            if connectedSince != nil {
                guard report?.isStale(after: configuration.staleAfter) == true else { return nil }
                return "no transport activity for \(configuration.staleAfter.brief)"
            }
            // Unknown is not disconnected.
            guard report?.connected == false else { return nil }
            let limit = wasConnected ? configuration.reconnectLimit : configuration.connectLimit
            guard now - disconnectedSince >= limit else { return nil }
            // It is at work as long as attempts are counted up: a restart would only lose its place in the backoff.
            guard now - progressAt >= limit else { return nil }
            return wasConnected ? "not reconnected after \(limit.brief)" : "not connected after \(limit.brief)"
        }
    }

    /// What the status shows about one account's supervision.
    struct Summary: Equatable, Sendable {
        /// idle, starting, running, waiting, blocked, refused, exhausted, disabled, unconfigured
        var phase: String
        var reason: String?
        var attempts: Int
        var nextStart: Instant?
    }

    /// How one account stands; `nil` if it is unknown.
    func summary(of account: String) -> Summary? {
        guard let record = records[account] else { return nil }
        var summary = Summary(phase: "idle", reason: nil, attempts: record.attempts, nextStart: nil)
        switch (record.eligibility, record.state) {
        case (.disabled, _): summary.phase = "disabled"
        case (.unconfigured(let reason), _): (summary.phase, summary.reason) = ("unconfigured", reason)
        case (_, .idle): break
        case (_, .starting): summary.phase = "starting"
        case (_, .running): summary.phase = "running"
        case (_, .waiting(let until, let reason)):
            (summary.phase, summary.reason, summary.nextStart) = ("waiting", reason, until)
        case (_, .halted(let halt, let reason)): (summary.phase, summary.reason) = (halt.rawValue, reason)
        }
        return summary
    }

    /// All accounts known, sorted.
    var accounts: [String] { records.keys.sorted() }
}
