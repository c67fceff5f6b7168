import GatewayControl

/// Decides which accounts run: events and the time in, actions out. It has no clock, no randomness and no effects of
/// its own.
///
/// Every start of an account is a *run* with a number of its own. Reports carry the number of the run they speak of;
/// those of a run that is over are ignored, so a late report can never turn a stopped account green.
public struct Supervisor: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// Whether an account may run, as the module's configuration says.
    enum Eligibility: Equatable, Sendable {
        case eligible
        case disabled
        case unconfigured(reason: String)
    }

    enum StartFailure: Equatable, Sendable {
        /// The module says that this account cannot be started; only a change of settings helps.
        case refused(String)
        /// Anything else; counts as a crash.
        case passing(String)
    }

    enum Event: Equatable, Sendable {
        /// The configuration knows this account. `changed`: it must restart to pick the change up.
        case configured(account: String, Eligibility, changed: Bool)
        case removed(account: String)
        case started(account: String, run: UInt64)
        case startFailed(account: String, run: UInt64, StartFailure)
        case reported(account: String, run: UInt64, AccountReport)
        /// The operator asks for a blocked, refused or exhausted account to be tried again.
        case retry(account: String)
        /// Another instance of the module takes over the accounts; this one's turn has come.
        case moved(account: String)
        /// The time has come that `nextDeadline` named.
        case tick
        /// The status that `pollStatus` asked for has been reported; judge it.
        case checkHealth
        /// Nothing is to be decided any more: the owner stops everything at once.
        case stopAll
    }

    enum Action: Equatable, Sendable {
        case start(account: String, run: UInt64)
        /// Stop the account, then start it as this run.
        case restart(account: String, run: UInt64, reason: String)
        case stop(account: String)
        /// Hand the account over to the new instance, and go on there as this run; its history stays. `nil`: it does
        /// not run, and is only served by the new one from now on.
        case move(account: String, run: UInt64?)
        /// Ask the module for the status of all accounts, report it, then send `checkHealth`.
        case pollStatus
        /// Something the operator should read in the log.
        case notice(account: String, String)
    }

    let configuration: Configuration
    var records = Records()
    private var lastRun: UInt64 = 0
    private var nextHealthCheck: Instant?
    private var stopped = false

    init(configuration: Configuration = .init()) {
        self.configuration = configuration
    }

    /// When `tick` is due next; `nil` if nothing waits.
    var nextDeadline: Instant? {
        guard !stopped else { return nil }
        let check = records.isEmpty ? nil : nextHealthCheck
        return [records.waiting.values.min(), check].compactMap(\.self).min()
    }

    /// Takes one event.
    mutating func handle(
        _ event: Event, at now: Instant, random: inout some RandomNumberGenerator
    ) -> [Action] {
        guard !stopped else { return [] }
        if nextHealthCheck == nil { nextHealthCheck = now.advanced(by: configuration.healthInterval) }
        switch event {
        case .configured(let account, let eligibility, let changed):
            return configured(account, eligibility, changed: changed, at: now)
        case .removed(let account):
            guard let record = records.remove(account), record.state.mayRun else { return [] }
            return [.stop(account: account)]
        case .started(let account, let run):
            update(account, run) { record in
                if case .starting = record.state { record.state = .running(Run(startedAt: now)) }
            }
            return []
        case .startFailed(let account, let run, let failure):
            guard var record = records[account], record.run == run, case .starting = record.state else { return [] }
            defer { records[account] = record }
            switch failure {
            case .refused(let reason):
                record.state = .halted(.refused, reason: reason)
                return [.notice(account: account, "cannot be started: \(reason)")]
            case .passing(let reason):
                return crashed(account, &record, reason: reason, at: now, random: &random)
            }
        case .reported(let account, let run, let report):
            return reported(account, run, report, at: now, random: &random)
        case .retry(let account):
            guard var record = records[account], record.eligibility == .eligible else { return [] }
            switch record.state {
            case .halted, .waiting: break
            default: return []
            }
            record.attempts = 0
            defer { records[account] = record }
            return [start(account, &record, at: now)]
        case .tick:
            return tick(at: now)
        case .checkHealth:
            return checkHealth(at: now)
        case .moved(let account):
            guard var record = records[account], record.state.mayRun else { return [.move(account: account, run: nil)] }
            _ = start(account, &record, at: now)
            records[account] = record
            return [.move(account: account, run: record.run)]
        case .stopAll:
            stopped = true
            return []
        }
    }

    /// The accounts that run or are being started.
    var runningAccounts: [String] { records.names(where: \.state.mayRun) }

    /// The accounts that were given up after too many restarts, or that the module would not start.
    var abandonedAccounts: [String] {
        records.names { record in
            switch record.state {
            case .halted(.exhausted, _), .halted(.refused, _): true
            default: false
            }
        }
    }

    /// The accounts that nothing restarts by itself: blocked, refused, or given up.
    var haltedAccounts: [String] {
        records.names { if case .halted = $0.state { true } else { false } }
    }

    private mutating func configured(
        _ account: String, _ eligibility: Eligibility, changed: Bool, at now: Instant
    ) -> [Action] {
        var record = records[account] ?? Record(eligibility: eligibility)
        let wasEligible = record.eligibility == .eligible
        record.eligibility = eligibility
        defer { records[account] = record }
        guard eligibility == .eligible else {
            let ran = record.state.mayRun
            record.state = .idle
            record.attempts = 0
            return ran ? [.stop(account: account)] : []
        }
        switch record.state {
        case .idle:
            return [start(account, &record, at: now)]
        case .starting, .running:
            guard changed else { return [] }
            record.attempts = 0
            return [restart(account, &record, reason: "its settings changed", at: now)]
        case .waiting, .halted:
            guard changed || !wasEligible else { return [] }
            record.attempts = 0
            return [start(account, &record, at: now)]
        }
    }

    private mutating func reported(
        _ account: String, _ run: UInt64, _ report: AccountReport, at now: Instant,
        random: inout some RandomNumberGenerator
    ) -> [Action] {
        guard var record = records[account], record.run == run else { return [] }
        defer { records[account] = record }
        var current: Run
        switch record.state {
        case .running(let value): current = value
        // A report may overtake the completion of the start.
        case .starting: current = Run(startedAt: now)
        default: return []
        }
        if report.running == false {
            let reason = report.reason ?? "it ended by itself"
            if report.lifecycle == .blocked {
                record.state = .halted(.blocked, reason: reason)
                return [.notice(account: account, "is blocked: \(reason)")]
            }
            // A start under way may still be announced by the state before it.
            if case .starting = record.state, report.lifecycle == nil || report.lifecycle == .starting { return [] }
            current.settle(&record, configuration, at: now)
            return crashed(account, &record, reason: reason, at: now, random: &random)
        }
        current.take(report, at: now)
        current.settle(&record, configuration, at: now)
        if case .running = record.state { record.state = .running(current) }
        return []
    }

    private mutating func tick(at now: Instant) -> [Action] {
        var actions: [Action] = []
        for account in records.waiting.filter({ $0.value <= now }).keys.sorted() {
            guard var record = records[account] else { continue }
            actions.append(start(account, &record, at: now))
            records[account] = record
        }
        if let check = nextHealthCheck, check <= now {
            nextHealthCheck = now.advanced(by: configuration.healthInterval)
            if records.values.contains(where: { if case .running = $0.state { true } else { false } }) {
                actions.append(.pollStatus)
            }
        }
        return actions
    }

    private mutating func checkHealth(at now: Instant) -> [Action] {
        var actions: [Action] = []
        for account in records.keys.sorted() {
            guard var record = records[account], case .running(let run) = record.state else { continue }
            run.settle(&record, configuration, at: now)
            if let reason = run.illness(configuration, at: now), record.mayRestart(configuration, at: now) {
                guard actions.count < configuration.restartsAtOnce else {
                    let look = now.advanced(by: configuration.nextLook)
                    nextHealthCheck = nextHealthCheck.map { min($0, look) } ?? look
                    return actions
                }
                record.healthRestarts.append(now)
                actions.append(restart(account, &record, reason: reason, at: now))
            }
            records[account] = record
        }
        return actions
    }

    private mutating func start(_ account: String, _ record: inout Record, at now: Instant) -> Action {
        lastRun += 1
        record.run = lastRun
        record.state = .starting(since: now)
        return .start(account: account, run: lastRun)
    }

    private mutating func restart(
        _ account: String, _ record: inout Record, reason: String, at now: Instant
    ) -> Action {
        _ = start(account, &record, at: now)
        return .restart(account: account, run: record.run, reason: reason)
    }

    private func crashed(
        _ account: String, _ record: inout Record, reason: String, at now: Instant,
        random: inout some RandomNumberGenerator
    ) -> [Action] {
        guard record.attempts < configuration.attempts else {
            record.state = .halted(.exhausted, reason: reason)
            return [.notice(account: account, "is given up after \(record.attempts) restarts: \(reason)")]
        }
        let wait = Self.wait(attempt: record.attempts, configuration, random: &random)
        record.attempts += 1
        record.state = .waiting(until: now.advanced(by: wait), reason: reason)
        return [.notice(account: account, "ended (\(reason)); restart \(record.attempts) in \(wait.brief)")]
    }

    /// The wait before restart number `attempt` (from 0).
    static func wait(
        attempt: Int, _ configuration: Configuration, random: inout some RandomNumberGenerator
    ) -> Duration {
        // 2^20 times anything is beyond every cap; the clamp keeps the exponent from overflowing.
        let doubled = configuration.firstRestart * (1 << min(max(attempt, 0), 20))
        let base = min(doubled, configuration.longestRestart)
        return base * (1 + configuration.jitter * Double.random(in: -1...1, using: &random))
    }

    private mutating func update(_ account: String, _ run: UInt64, _ change: (inout Record) -> Void) {
        guard var record = records[account], record.run == run else { return }
        change(&record)
        records[account] = record
    }
}
