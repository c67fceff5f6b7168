import GatewayControl
import JSONBytes
import Logging

/// One channel at work: the instance of its module, its accounts, and the supervisor's decisions carried out.
///
/// Operations on one account run one after the other, in the order in which they were decided; different accounts
/// never wait for each other.
actor PluginRuntime {
    /// What the runtime is made of; all of it stays the same while it lives.
    struct Setup: Sendable {
        var channel: String
        var loader: ModuleLoader
        var configurationFile: String
        var stateDirectory: String
        var supervisor: Supervisor.Configuration
        /// How long running turns and queued sends may go on when an account must restart.
        var restartDrain: Duration
        var logger: Logger
    }

    let setup: Setup
    let logger: Logger
    let slots = AccountSlots()
    nonisolated let router: Router
    let events: PluginEvents
    var supervisor: Supervisor
    /// The present instance of the module.
    nonisolated var module: PluginModule? { slots.present }
    var manifest: PluginManifest
    var settings: JSONValue = [:]
    /// Why the channel as a whole has nothing to run, in the module's words; `nil` if it is configured.
    var unconfigured: String?
    /// What the module said it can do beyond what every module does.
    var capabilities: Set<String> = [] {
        didSet { router.hasTools(capabilities.contains("tools")) }
    }
    var adoptedAtOpen = Adopted()
    var lastGeneration: UInt64 = 0
    private var random = SystemRandomNumberGenerator()
    private var timer: Task<Void, Never>?
    private var timerDeadline: ContinuousClock.Instant?
    private var listener: Task<Void, Never>?
    var stopping = false
    var presence = PresenceBoard()
    var presenceWatch: Task<Void, Never>?
    var presenceTimer: Task<Void, Never>?
    /// Accounts that run and have no agent.
    var unanswered: Set<String> = []
    /// What the module was asked to bring with each turn.
    var histories: [String: HistoryWanted] = [:]
    /// Slash commands besides the built-in ones.
    var offered: [SlashCommand] = []

    init(setup: Setup, manifest: PluginManifest, table: RoutingTable) {
        self.setup = setup
        self.manifest = manifest
        var logger = setup.logger
        logger[metadataKey: "channel"] = "\(setup.channel)"
        self.logger = logger
        router = Router(channel: setup.channel, slots: slots, table: table, logger: logger)
        events = PluginEvents(router: router, slots: slots, moduleLog: ModuleLog(logger: logger))
        supervisor = Supervisor(configuration: setup.supervisor)
    }

    // MARK: the supervisor's events and actions

    /// Tells the supervisor and does what it says.
    func handle(_ event: Supervisor.Event) {
        let actions = supervisor.handle(event, at: .now, random: &random)
        for action in actions { perform(action) }
        armTimer()
    }

    private func perform(_ action: Supervisor.Action) {
        switch action {
        case .start(let account, let run):
            enqueue(account) { await $0.start(account, run: run) }
        case .restart(let account, let run, let reason):
            logger.notice("restarting account: \(reason)", metadata: ["account": "\(account)"])
            enqueue(account) { await $0.restart(account, run: run) }
        case .stop(let account):
            enqueue(account) { await $0.stop(account) }
        case .move(let account, let run):
            enqueue(account) { await $0.move(account, run: run) }
        case .pollStatus:
            // Not tied to an account; the name cannot be one, for ids are not empty.
            enqueue("") { await $0.pollStatus() }
        case .notice(let account, let text):
            logger.warning("account \(text)", metadata: ["account": "\(account)"])
        }
    }

    /// Puts an operation behind those of the account.
    private func enqueue(_ account: String, _ body: @escaping @Sendable (isolated PluginRuntime) async -> Void) {
        slots.append(account) { previous in
            Task {
                await previous?.value
                if !stopping { await body(self) }
                slots.finished(account)
            }
        }
    }

    private func start(_ account: String, run: UInt64) async {
        guard supervisor.isCurrent(account, run: run), let module = slots.module(for: account) else { return }
        await start(account, on: module, run: run)
    }

    /// Starts the account on an instance and tells the supervisor how that went.
    func start(_ account: String, on module: PluginModule, run: UInt64, handover: JSONValue? = nil) async {
        slots.reporting(account, .init(generation: module.generation, number: run))
        do throws(ModuleRefusal) {
            do throws(ModuleRefusal) {
                try await module.start(account: account, handover: handover)
            } catch  where error.kind == .invalid && handover != nil {
                logger.warning(
                    "the new module refused what the old one handed over (\(error)); starting from its store",
                    metadata: ["account": "\(account)"])
                try await module.start(account: account)
            }
            handle(.started(account: account, run: run))
            histories[account] = nil
            askForHistory([account])
        } catch {
            slots.reporting(account, nil)
            handle(
                .startFailed(
                    account: account, run: run, error.kind == .invalid ? .refused("\(error)") : .passing("\(error)")))
        }
    }

    private func restart(_ account: String, run: UInt64) async {
        guard supervisor.isCurrent(account, run: run), let module = slots.module(for: account) else { return }
        // The gate is open while the account drains: that is what the drain is for.
        await stop(account)
        await slots.close(account)
        await start(account, on: module, run: run)
        slots.open(account)
    }

    private func stop(_ account: String) async {
        guard let module = slots.module(for: account) else { return }
        slots.reporting(account, nil)
        do {
            try await module.stop(account: account, drain: setup.restartDrain)
        } catch {
            logger.error("account did not stop: \(error)", metadata: ["account": "\(account)"])
        }
    }

    private func pollStatus() async {
        guard let module else { return }
        do {
            let status = try await module.status()
            for entry in status["accounts"]?.array ?? [] {
                guard let account = entry["accountId"]?.string, let run = slots.run(of: account, on: module.generation)
                else { continue }
                let report = AccountReport(status: entry, takenAt: WallTime.now())
                handle(.reported(account: account, run: run, report))
            }
            handle(.checkHealth)
        } catch {
            // No word is no evidence: nothing is judged by it.
            logger.warning("the health check got no status: \(error)")
        }
    }

    // MARK: timers and reports

    /// Starts listening to the module's reports.
    func listen() {
        guard listener == nil else { return }
        let signals = slots.signals
        listener = Task { [weak self] in
            for await _ in signals { await self?.takeReports() }
        }
    }

    private func takeReports() {
        for report in slots.takeReports() {
            handle(
                .reported(
                    account: report.account, run: report.run,
                    AccountReport(status: report.status, takenAt: WallTime.now())))
        }
    }

    private func armTimer() {
        let deadline = stopping ? nil : supervisor.nextDeadline
        guard deadline != timerDeadline else { return }
        timer?.cancel()
        timer = nil
        timerDeadline = deadline
        guard let deadline else { return }
        timer = Task { [weak self] in
            try? await Task.sleep(until: deadline, clock: .continuous)
            if !Task.isCancelled { await self?.tick() }
        }
    }

    private func tick() {
        timerDeadline = nil
        handle(.tick)
    }

    // MARK: the end

    /// Stops every account (lanes and sends may finish within `drain`), cancels what then still runs, and closes the
    /// module. Returns when nothing of the channel is left.
    func shutdown(drain: Duration) async {
        guard !stopping else { return }
        stopping = true
        armTimer()
        let running = supervisor.runningAccounts
        handle(.stopAll)
        // The accounts are stopped here, all at once; operations under way are given up.
        slots.cancelOperations()
        let logger = logger
        await withTaskGroup(of: Void.self) { group in
            for account in running {
                guard let module = slots.module(for: account) else { continue }
                group.addTask {
                    do throws(ModuleRefusal) {
                        // `gateway_channel.h` wants it within 5 s; what is late is ended by the shutdown below.
                        try await module.stop(account: account, drain: drain, patience: .seconds(1))
                    } catch {
                        logger.error("account did not stop: \(error)", metadata: ["account": "\(account)"])
                    }
                }
            }
        }
        router.end()
        presenceWatch?.cancel()
        presenceTimer?.cancel()
        let module = module
        slots.end()
        listener?.cancel()
        if let module, !(await module.shutdown()) {
            logger.error("the module did not shut down in time; the process should end now")
        }
        await router.finish()
    }
}

extension Supervisor {
    /// Whether this run is the account's present one.
    func isCurrent(_ account: String, run: UInt64) -> Bool {
        guard let record = records[account] else { return false }
        return record.run == run && record.state.mayRun
    }
}
