import Testing

@testable import GatewayHost

struct SeededRandom: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {  // splitmix64
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite struct SupervisorTests {
    /// A supervisor in virtual time.
    final class Bench {
        var supervisor = Supervisor()
        var random = SeededRandom(7)
        let origin = ContinuousClock.now
        var elapsed: Duration = .zero
        var now: ContinuousClock.Instant { origin.advanced(by: elapsed) }

        func send(_ event: Supervisor.Event) -> [Supervisor.Action] {
            supervisor.handle(event, at: now, random: &random)
        }
        func pass(_ time: Duration) { elapsed += time }
        /// Jumps to the next deadline and ticks.
        func next() -> [Supervisor.Action] {
            guard let deadline = supervisor.nextDeadline else { return [] }
            elapsed = max(elapsed, deadline - origin)
            return send(.tick)
        }
        func up(_ account: String = "a") -> UInt64 {
            let actions = send(.configured(account: account, .eligible, changed: false))
            guard case .start(_, let run)? = actions.first else { return 0 }
            _ = send(.started(account: account, run: run))
            return run
        }
        func report(_ run: UInt64, connected: Bool, at activity: Double? = nil, taken: Double = 0, attempts: Int64 = 0)
            -> [Supervisor.Action]
        {
            send(
                .reported(
                    account: "a", run: run,
                    AccountReport(
                        running: true, connected: connected, lifecycle: connected ? .ready : .recovering,
                        guilds: [.init(connected: connected, activityAt: activity, reconnectAttempts: attempts)],
                        takenAt: taken)))
        }
        func crash(_ run: UInt64) -> [Supervisor.Action] {
            send(.reported(account: "a", run: run, AccountReport(running: false, lifecycle: .stopped, reason: "boom")))
        }
        /// Goes through waits until the account is started again; health checks on the way find nothing.
        func restarted() -> (run: UInt64, after: Duration)? {
            let before = elapsed
            for _ in 0..<10 {
                for case .start(_, let run) in next() {
                    _ = send(.started(account: "a", run: run))
                    return (run, elapsed - before)
                }
            }
            return nil
        }
    }

    @Test func crashesAreRestartedWithDoubledWaitsTenTimes() throws {
        let bench = Bench()
        var run = bench.up()
        for attempt in 0..<10 {
            _ = bench.crash(run)
            let again = try #require(bench.restarted())
            let wanted = min(Duration.seconds(5) * (1 << attempt), .seconds(300))
            #expect(again.after >= wanted * 0.9 && again.after <= wanted * 1.1, "attempt \(attempt): \(again.after)")
            run = again.run
        }
        let last = bench.crash(run)
        #expect(last.count == 1)
        #expect(bench.supervisor.summary(of: "a")?.phase == "exhausted")
        bench.pass(.seconds(100_000))
        #expect(bench.send(.tick).isEmpty)
        #expect(bench.send(.retry(account: "a")).count == 1)
    }

    @Test func fiveGoodMinutesForgetEarlierCrashes() throws {
        let bench = Bench()
        var run = bench.up()
        for _ in 0..<4 {
            _ = bench.crash(run)
            run = try #require(bench.restarted()).run
        }
        #expect(bench.supervisor.summary(of: "a")?.attempts == 4)
        _ = bench.report(run, connected: true)
        bench.pass(.seconds(299))
        _ = bench.report(run, connected: true)
        #expect(bench.supervisor.summary(of: "a")?.attempts == 4)
        bench.pass(.seconds(1))
        _ = bench.crash(run)
        #expect(bench.supervisor.summary(of: "a")?.attempts == 1)
    }

    @Test func blockedIsTerminalUntilSettingsChangeOrTheOperatorAsks() {
        let bench = Bench()
        let run = bench.up()
        let blocked = AccountReport(running: false, lifecycle: .blocked, reason: "refused")
        #expect(
            bench.send(.reported(account: "a", run: run, blocked)) == [.notice(account: "a", "is blocked: refused")])
        bench.pass(.seconds(86_400))
        #expect(bench.send(.tick).isEmpty && bench.send(.checkHealth).isEmpty)
        #expect(bench.send(.configured(account: "a", .eligible, changed: false)).isEmpty)
        #expect(bench.send(.configured(account: "a", .eligible, changed: true)) == [.start(account: "a", run: run + 1)])
    }

    @Test func unconfiguredAndDisabledAccountsAreNeverTouched() {
        let bench = Bench()
        #expect(bench.send(.configured(account: "u", .unconfigured(reason: "no key"), changed: true)).isEmpty)
        #expect(bench.send(.configured(account: "d", .disabled, changed: true)).isEmpty)
        #expect(bench.send(.retry(account: "u")).isEmpty && bench.send(.retry(account: "d")).isEmpty)
        bench.pass(.seconds(3600))
        #expect(bench.send(.tick).isEmpty && bench.send(.checkHealth).isEmpty)
        #expect(bench.supervisor.summary(of: "u")?.reason == "no key")
    }

    @Test func lateReportsOfAStoppedAccountAreIgnored() throws {
        let bench = Bench()
        let first = bench.up()
        #expect(bench.send(.configured(account: "a", .disabled, changed: true)) == [.stop(account: "a")])
        #expect(bench.report(first, connected: true).isEmpty && bench.crash(first).isEmpty)
        #expect(bench.supervisor.summary(of: "a")?.phase == "disabled")
        let second = bench.up()
        #expect(second != first)
        #expect(bench.crash(first).isEmpty)
        #expect(bench.supervisor.summary(of: "a")?.phase == "running")
        #expect(bench.send(.removed(account: "a")) == [.stop(account: "a")])
        #expect(bench.report(second, connected: true).isEmpty)
        #expect(bench.supervisor.summary(of: "a") == nil)
    }

    @Test func aWallClockThatIsCorrectedIsNoProgress() {
        func progress(_ activity: Double?, attempts: Int64 = 1) -> AccountReport.Progress {
            AccountReport(guilds: [.init(connected: false, activityAt: activity, reconnectAttempts: attempts)]).progress
        }
        #expect(progress(1000.3264) == progress(1000.327))
        #expect(progress(1000) != progress(1003) && progress(nil) != progress(1000))
        #expect(progress(1000) != progress(1000, attempts: 2))
    }

    @Test func theHealthCheckLooksAtTransportActivityOnly() {
        let bench = Bench()
        let run = bench.up()
        _ = bench.report(run, connected: true, at: 0, taken: 0)
        bench.pass(.seconds(3600))
        _ = bench.report(run, connected: true, at: 1801, taken: 3600)
        #expect(bench.send(.checkHealth).isEmpty, "1799 s of silence are not stale")
        _ = bench.report(run, connected: true, at: nil, taken: 3600)
        #expect(bench.send(.checkHealth).isEmpty, "an absent field is not evidence")
        _ = bench.report(run, connected: true, at: 9000, taken: 3600)
        #expect(bench.send(.checkHealth).isEmpty, "a clock that jumped is not silence")
        _ = bench.report(run, connected: true, at: 1800, taken: 3600)
        #expect(
            bench.send(.checkHealth) == [
                .restart(account: "a", run: run + 1, reason: "no transport activity for 30 min")
            ])
    }

    @Test func anAccountThatDoesNotConnectIsRestartedUnlessItIsAtWork() {
        let bench = Bench()
        let run = bench.up()
        _ = bench.report(run, connected: false, attempts: 1)
        bench.pass(.seconds(119))
        #expect(bench.send(.checkHealth).isEmpty)
        bench.pass(.seconds(1))
        _ = bench.report(run, connected: false, attempts: 2)
        #expect(bench.send(.checkHealth).isEmpty, "it counted an attempt: it is at work")
        bench.pass(.seconds(120))
        _ = bench.send(.reported(account: "a", run: run, AccountReport(running: true)))
        bench.pass(.seconds(120))
        #expect(bench.send(.checkHealth).isEmpty, "nothing said about the connection is no evidence")
        _ = bench.report(run, connected: false, attempts: 2)
        bench.pass(.seconds(120))
        #expect(bench.send(.checkHealth).count == 1)
    }

    /// What another gateway runs is left alone; when its turn comes, its time to connect begins.
    @Test func anAccountOnStandbyIsNotIll() {
        let bench = Bench()
        let run = bench.up()
        func standby() -> [Supervisor.Action] {
            bench.send(
                .reported(
                    account: "a", run: run,
                    AccountReport(running: true, connected: false, lifecycle: .standby, reason: "gateway b runs it")))
        }
        _ = bench.report(run, connected: true, at: 0)
        bench.pass(.seconds(400))
        #expect(standby().isEmpty)
        for _ in 0..<30 {
            bench.pass(.seconds(3600))
            #expect(bench.send(.checkHealth).isEmpty)
        }
        #expect(bench.supervisor.summary(of: "a")?.phase == "running")
        _ = bench.report(run, connected: false, attempts: 1)
        bench.pass(.seconds(119))
        #expect(bench.send(.checkHealth).isEmpty, "its turn came 119 s ago")
        bench.pass(.seconds(1))
        #expect(bench.send(.checkHealth).count == 1)
    }

    /// Who waits behind others of this gateway would only be put behind all of them.
    @Test func anAccountThatWaitsForItsTurnIsNotIll() {
        let bench = Bench()
        let run = bench.up()
        func report(isQueued: Bool) -> [Supervisor.Action] {
            var report = AccountReport(running: true, connected: false, lifecycle: .starting)
            report.isQueued = isQueued
            return bench.send(.reported(account: "a", run: run, report))
        }
        for _ in 0..<30 {
            #expect(report(isQueued: true).isEmpty)
            #expect(bench.send(.checkHealth).isEmpty)
            bench.pass(.seconds(300))
        }
        #expect(bench.send(.checkHealth).isEmpty)
        _ = report(isQueued: false)
        bench.pass(.seconds(119))
        #expect(bench.send(.checkHealth).isEmpty, "its turn came 119 s ago")
        bench.pass(.seconds(1))
        #expect(bench.send(.checkHealth).count == 1)
        #expect(AccountReport(status: ["queued": true], takenAt: 0).isQueued)
        #expect(!AccountReport(status: ["running": true], takenAt: 0).isQueued)
    }

    /// What makes thousands ill is not in them.
    @Test func theHealthCheckRestartsAFewAtATime() {
        let bench = Bench()
        let accounts = (0..<100).map { "agent-\(1000 + $0)" }
        var runs: [String: UInt64] = [:]
        func deaf(_ account: String) {
            let report = AccountReport(running: true, connected: false, lifecycle: .recovering)
            _ = bench.send(.reported(account: account, run: runs[account] ?? 0, report))
        }
        for account in accounts {
            runs[account] = bench.up(account)
            deaf(account)
        }
        bench.pass(.seconds(300))
        var restarted: [[String]] = []
        for _ in 0..<5 {
            #expect(bench.next() == [.pollStatus])
            // Two recover while they wait; nobody restarts them.
            for account in ["agent-1098", "agent-1099"] where restarted.count == 2 {
                let report = AccountReport(running: true, connected: true, lifecycle: .ready)
                _ = bench.send(.reported(account: account, run: runs[account] ?? 0, report))
            }
            var names: [String] = []
            for case .restart(let account, let run, _) in bench.send(.checkHealth) {
                names.append(account)
                runs[account] = run
                _ = bench.send(.started(account: account, run: run))
                deaf(account)
            }
            restarted.append(names)
        }
        #expect(restarted.map(\.count) == [32, 32, 32, 2, 0])
        #expect(restarted.flatMap(\.self) == Array(accounts.dropLast(2)))
        #expect(bench.elapsed == .seconds(300 + 3 * 10 + 300), "ten seconds between them while any are left")
    }

    @Test func graceAfterStartReconnectLimitCooldownAndHourlyBound() {
        let bench = Bench()
        bench.supervisor = Supervisor(
            configuration: {
                var configuration = Supervisor.Configuration()
                configuration.cooldown = .seconds(60)
                configuration.connectLimit = .zero
                configuration.reconnectLimit = .seconds(120)
                return configuration
            }())
        var run = bench.up()
        _ = bench.report(run, connected: false)
        bench.pass(.seconds(59))
        #expect(bench.send(.checkHealth).isEmpty, "60 s grace")
        var restarts = 0
        for _ in 0..<58 {
            bench.pass(.seconds(60))
            for case .restart(_, let next, _) in bench.send(.checkHealth) {
                run = next
                restarts += 1
                _ = bench.send(.started(account: "a", run: run))
                _ = bench.report(run, connected: false)
            }
        }
        #expect(restarts == 10, "at most ten an hour")
    }

    @Test func movedAccountsKeepTheirHistoryAndIgnoreTheOldInstance() throws {
        let bench = Bench()
        let first = bench.up()
        _ = bench.crash(first)
        let run = try #require(bench.restarted()).run
        guard case .move("a", let number)? = bench.send(.moved(account: "a")).first else { return #expect(Bool(false)) }
        let moved = try #require(number)
        #expect(bench.crash(run).isEmpty)
        _ = bench.send(.started(account: "a", run: moved))
        #expect(bench.supervisor.summary(of: "a")?.phase == "running")
        #expect(bench.supervisor.summary(of: "a")?.attempts == 1)
        // One that does not run is only served by the new instance; one that nobody knows, too.
        _ = bench.crash(moved)
        #expect(bench.send(.moved(account: "a")) == [.move(account: "a", run: nil)])
        #expect(bench.send(.moved(account: "x")) == [.move(account: "x", run: nil)])
        #expect(bench.send(.stopAll).isEmpty && bench.send(.moved(account: "a")).isEmpty)
    }

    @Test func aRefusedStartWaitsForSettingsAPassingOneIsTriedAgain() throws {
        let bench = Bench()
        let actions = bench.send(.configured(account: "a", .eligible, changed: false))
        guard case .start(_, let run)? = actions.first else { return #expect(Bool(false)) }
        _ = bench.send(.startFailed(account: "a", run: run, .passing("busy")))
        let again = bench.next()
        guard case .start(_, let second)? = again.first else { return #expect(Bool(false)) }
        _ = bench.send(.startFailed(account: "a", run: second, .refused("no key")))
        bench.pass(.seconds(10_000))
        #expect(bench.supervisor.summary(of: "a")?.phase == "refused")
        #expect(!bench.send(.tick).contains { if case .start = $0 { true } else { false } })
    }

    @Test(arguments: 0..<300 as Range<UInt64>) func randomSchedules(seed: UInt64) {
        let bench = Bench()
        bench.random = SeededRandom(seed)
        var choice = SeededRandom(seed &+ 1_000_000)
        let accounts = ["a", "b", "c"]
        var eligible: [String: Bool] = [:]
        var running: [String: UInt64] = [:]  // what a module would really run
        var oldRuns: [String: [UInt64]] = [:]
        var blocked: Set<String> = []
        var healthRestarts: [String: Duration] = [:]
        var crashedAt: [String: Duration] = [:]
        func apply(_ actions: [Supervisor.Action], retry: String? = nil) {
            for action in actions {
                switch action {
                case .start(let account, let run):
                    #expect(eligible[account] == true, "started an account that may not run")
                    #expect(running[account] == nil, "started twice")
                    #expect(!blocked.contains(account), "started a blocked account")
                    if let at = crashedAt[account], retry != account {
                        #expect(bench.elapsed - at >= .seconds(4.5), "restarted too soon")
                    }
                    crashedAt[account] = nil
                    running[account] = run
                case .restart(let account, let run, let reason):
                    #expect(eligible[account] == true && running[account] != nil)
                    oldRuns[account, default: []].append(running[account] ?? 0)
                    running[account] = run
                    guard reason != "its settings changed" else { continue }
                    if let last = healthRestarts[account] {
                        #expect(bench.elapsed - last >= .seconds(600), "the health check restarted it too soon again")
                    }
                    healthRestarts[account] = bench.elapsed
                case .stop(let account):
                    #expect(running[account] != nil, "stopped what does not run")
                    oldRuns[account, default: []].append(running[account] ?? 0)
                    running[account] = nil
                case .move(let account, let run):
                    #expect((run == nil) == (running[account] == nil), "moved what does not run, or left what does")
                    guard let run else { continue }
                    oldRuns[account, default: []].append(running[account] ?? 0)
                    running[account] = run
                case .pollStatus, .notice: break
                }
            }
        }
        for _ in 0..<400 {
            let account = accounts[Int(choice.next() % 3)]
            switch choice.next() % 13 {
            case 0:
                let now = choice.next() % 4 != 0
                let changed = choice.next() % 2 == 0
                let was = eligible[account] ?? false
                eligible[account] = now
                if changed || !now || !was { blocked.remove(account) }
                apply(
                    bench.send(.configured(account: account, now ? .eligible : .disabled, changed: changed)),
                    retry: account)
            case 1:
                // An account that comes again is a new one, with no history.
                eligible[account] = nil
                blocked.remove(account)
                crashedAt[account] = nil
                healthRestarts[account] = nil
                apply(bench.send(.removed(account: account)))
            case 2, 3:
                if let run = running[account] { apply(bench.send(.started(account: account, run: run))) }
            case 4:
                guard let run = running[account] else { continue }
                apply(bench.send(.started(account: account, run: run)))
                oldRuns[account, default: []].append(run)
                running[account] = nil
                crashedAt[account] = bench.elapsed
                let report = AccountReport(running: false, lifecycle: .stopped)
                apply(bench.send(.reported(account: account, run: run, report)))
            case 5:
                guard let run = running[account] else { continue }
                oldRuns[account, default: []].append(run)
                running[account] = nil
                blocked.insert(account)
                apply(
                    bench.send(
                        .reported(account: account, run: run, AccountReport(running: false, lifecycle: .blocked))))
            case 6:
                // Anything late must change nothing.
                guard let late = oldRuns[account]?.randomElement(using: &choice) else { continue }
                let before = bench.supervisor.summary(of: account)
                let report = AccountReport(running: choice.next() % 2 == 0, connected: true, lifecycle: .ready)
                #expect(bench.send(.reported(account: account, run: late, report)).isEmpty)
                #expect(bench.send(.started(account: account, run: late)).isEmpty)
                #expect(bench.supervisor.summary(of: account) == before)
            case 7:
                blocked.remove(account)
                apply(bench.send(.retry(account: account)), retry: account)
            case 8:
                guard let run = running[account] else { continue }
                let report = AccountReport(
                    running: true, connected: choice.next() % 2 == 0, lifecycle: .recovering,
                    guilds: [.init(connected: true, activityAt: 0)], takenAt: bench.elapsed / .seconds(1))
                apply(bench.send(.reported(account: account, run: run, report)))
            case 9: apply(bench.send(.checkHealth))
            case 10: apply(bench.next())
            case 11: apply(bench.send(.moved(account: account)))
            default: bench.pass(.seconds(Int(choice.next() % 400)))
            }
        }
    }
}
