import GatewayControl
import JSONBytes
import Locking
import Logging
import Threads

/// An agent whose process stays, spoken to by the Agent Client Protocol. Carries out what `ACPClient` says.
actor ACPAgent: Agent {
    let name: String
    let settings: ACPSettings
    private let tools: TurnTools
    private let reserve: DescriptorReserve
    private let logger: Logger
    private var client: ACPClient
    private var process: ACPProcess?
    /// Which process an event is of: one of an earlier is late.
    private var run: UInt64 = 0
    private var lastTurn: ACPClient.TurnID = 0
    private var outcomes: [ACPClient.TurnID: Once<ACPClient.Outcome>] = [:]
    /// What each conversation's session may use tools by, while its turn runs.
    private var tokens: [ACPClient.Key: String] = [:]
    /// Accounts with turns that wait.
    private let waiting = Locked<Set<String>>([])
    /// Up to which position each conversation's session was told.
    private var heard: [ACPClient.Key: Int64] = [:]
    private var timer: (at: ContinuousClock.Instant, task: Task<Void, Never>)?
    private let gone = Once<Void>()

    init(name: String, settings: ACPSettings, tools: TurnTools, reserve: DescriptorReserve, logger: Logger) {
        self.name = name
        self.settings = settings
        self.tools = tools
        self.reserve = reserve
        var logger = logger
        logger[metadataKey: "agent"] = "\(name)"
        self.logger = logger
        var limits = ACPClient.Limits()
        limits.sessions = settings.maximumSessions
        limits.turn = settings.timeout
        limits.start = settings.start
        limits.output = settings.maximumOutput
        var policy = ACPPolicy()
        policy.allowsAll = settings.permissions == .allow
        policy.allowedKinds = settings.allowedKinds
        policy.authMethod = settings.authMethod
        policy.directory = settings.directory
        client = ACPClient(name: name, settings: policy, limits: limits)
    }

    nonisolated var failureText: String? { settings.failureText }

    nonisolated func isBusy(for account: String) -> Bool { waiting.withLock { $0.contains(account) } }

    /// How it is, for the status.
    var standing: ACPStanding { client.standing(at: .now) }

    /// Starts the process, so that the first turn need not wait for it.
    func begin() { perform(client.begin(at: .now)) }

    func answer(_ turn: Turn) async throws(AgentFailure) -> AgentReply? {
        lastTurn += 1
        let id = lastTurn
        let key = ACPClient.Key(account: turn.head.account, conversation: turn.head.conversation)
        let outcome = Once<ACPClient.Outcome>()
        outcomes[id] = outcome
        var servers: [JSONValue] = []
        var token: String?
        if turn.hasTools, settings.tools != .none {
            let made = tokens[key] ?? tools.make(for: turn.head, reach: settings.tools, files: settings.filesDirectory)
            tokens[key] = made
            token = made
            servers = [tools.server(made, name: turn.head.channel)]
            tools.capabilities.begin(made, delivery: turn.head.id)
        }
        // Good while the turn runs; the session keeps it for its next one.
        defer { if let token { tools.capabilities.end(token, delivery: turn.head.id) } }
        if !client.remembers(key) { heard[key] = nil }
        let prompt = ACPMessages.prompt(turn, heard: heard[key])
        heard[key] = turn.head.sequence.map { max($0, heard[key] ?? $0) }
        perform(client.submit(id, ACPClient.Wanted(key: key, prompt: prompt, servers: servers), at: .now))
        let result = await withTaskCancellationHandler {
            await outcome.value()
        } onCancel: {
            Task { await self.cancel(id) }
        }
        switch result {
        case .said(let text):
            let answer = text.trimmingEnd()
            return answer.isEmpty ? nil : AgentReply(text: answer)
        case .failed(let reason): throw AgentFailure(reason)
        case .cancelled: throw AgentFailure("the turn was given up", cancelled: true)
        }
    }

    func renew(account: String, conversation: String) async -> Bool {
        let (_, actions) = client.renew(.init(account: account, conversation: conversation), at: .now)
        perform(actions)
        dropTokens()
        return true
    }

    /// No more turns: those under way may end.
    func retire() { perform(client.retire(at: .now, atOnce: false)) }

    /// Ends everything; returns when the process is gone.
    func end() async {
        perform(client.retire(at: .now, atOnce: true))
        if process == nil { gone.decide(()) }
        await gone.value(within: .seconds(3), or: ())
        for token in tokens.values { tools.capabilities.remove(token) }
        tokens = [:]
    }

    private func cancel(_ id: ACPClient.TurnID) { perform(client.cancel(id, at: .now)) }

    private func perform(_ actions: [ACPClient.Action]) {
        for action in actions {
            switch action {
            case .start: start()
            case .write(let message): process?.write(message.serialized)
            case .kill: process?.kill()
            case .note(let text): logger.warning("an agent that stays: \(text)")
            case .finish(let id, let outcome): outcomes.removeValue(forKey: id)?.decide(outcome)
            }
        }
        let accounts = Set(client.waiting.compactMap { client.turns[$0]?.wanted.key.account })
        waiting.withLock { $0 = accounts }
        dropTokens()
        arm()
    }

    /// What conversations that were forgotten might have used tools by.
    private func dropTokens() {
        guard max(tokens.count, heard.count) > client.limits.sessions else { return }
        let used = Set(client.turns.values.map(\.wanted.key)).union(client.sessions.keys)
        heard = heard.filter { used.contains($0.key) }
        for (key, token) in tokens where !used.contains(key) {
            tools.capabilities.remove(token)
            tokens[key] = nil
        }
    }

    private func start() {
        run += 1
        let run = run
        // One after the other: a line must not overtake another.
        let (events, post) = AsyncStream<ACPProcess.Event>.makeStream()
        do throws(POSIXFailure) {
            let process = try ACPProcess(
                command: settings.command, directory: settings.directory,
                hiddenVariables: settings.hiddenVariables.union(TurnTools.variables),
                reserve: reserve
            ) { post.yield($0) }
            self.process = process
            try NamedThread.start("agent-\(name)") {
                process.run()
                post.finish()
            }
        } catch {
            process = nil
            post.yield(.ended("\(error)"))
            post.finish()
        }
        Task { for await event in events { self.take(event, of: run) } }
    }

    private func take(_ event: ACPProcess.Event, of run: UInt64) {
        guard run == self.run else { return }
        process?.took(event)
        switch event {
        case .line(let line): perform(client.received(line, at: .now))
        case .errors(let text): logger.debug("the agent wrote to standard error: \(shown(text))")
        case .ended(let reason):
            process = nil
            let actions = client.ended(shown(reason), at: .now)
            if client.phase == .over { gone.decide(()) }
            perform(actions)
        }
    }

    /// Whatever it prints, no log gets what it may act by.
    private func shown(_ text: String) -> String {
        tokens.values.reduce(text) { $0.replacing($1, with: "…") }
    }

    private func arm() {
        guard timer?.at != client.nextTick else { return }
        timer?.task.cancel()
        timer = client.nextTick.map { at in
            (
                at,
                Task { [weak self] in
                    try? await Task.sleep(until: at, clock: .continuous)
                    if !Task.isCancelled { await self?.tick() }
                }
            )
        }
    }

    private func tick() {
        timer = nil
        perform(client.tick(.now))
    }
}
