import GatewayControl
import JSONBytes
import Locking
import Logging

/// Takes the deliveries of one channel, gives each to its agent, and sends back the answers.
///
/// An answer goes out as `send` followed at once by `settle(FINISHED)`: with coalescing the module posts a turn's texts
/// when the turn is settled, and completes `send` only then. Were the process to die between the two, the delivery
/// would come again, and the turn's idempotency key keeps the answer single.
final class Router: Sendable {
    /// A turn that is not over.
    private struct Active {
        var task: Task<Void, Never>
        var account: String
        var conversation: String
        var since: ContinuousClock.Instant
        /// Somebody said so; it is over without an answer.
        var isStopped = false
        /// It is a command of the gateway's own, and no agent's turn.
        var isCommand = false
    }

    private struct State {
        var table: RoutingTable
        var ledger = TurnLedger()
        var board = TurnBoard()
        var turns: [UInt64: Active] = [:]
        var lastTurn: UInt64 = 0
        var unrouted: Set<String> = []
        var hasTools = false
        var ended = false
    }

    private let channel: String
    private let slots: AccountSlots
    private let logger: Logger
    private let state: Locked<State>
    /// One element whenever turns began or ended.
    let activity: AsyncStream<Void>
    private let active: AsyncStream<Void>.Continuation

    init(channel: String, slots: AccountSlots, table: RoutingTable, logger: Logger) {
        self.channel = channel
        self.slots = slots
        self.logger = logger
        self.state = Locked(State(table: table))
        (activity, active) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// New agents and bindings. Running turns go on with what they have.
    func use(_ table: RoutingTable) {
        state.withLock {
            $0.table = table
            $0.unrouted = []
            $0.board.keep(agents: table.has(agent:), accounts: { _ in true })
        }
    }

    /// Whether the module has tools, from now on.
    func hasTools(_ hasTools: Bool) { state.withLock { $0.hasTools = hasTools } }

    /// Forgets what was of other accounts.
    func keep(accounts: Set<String>) {
        state.withLock { $0.board.keep(agents: { _ in true }, accounts: accounts.contains) }
    }

    /// A delivery, on the module's thread. Returns promptly.
    func deliver(_ bytes: [UInt8]) -> DeliveryAnswer {
        guard let head = DeliveryHead(bytes) else {
            logger.error("the module delivered something that is not a delivery; it is dropped")
            return .finished
        }
        // Neither echo nor a command has a memory: a message for the record is safe as soon as it was seen.
        guard head.wake else {
            // It does not wait for the turn that it is to end, and is none itself.
            if BuiltinCommand(head) == .stop { stopBeside(head) }
            return .adopted
        }
        return state.withLock { state in
            guard !state.ended else { return .taken }
            switch state.ledger.arrived(head.id) {
            case .finished: return .finished
            case .underWay: return .taken
            case .resend(let reply):
                begin(&state, head) { _ in await self.send(reply, for: head) }
            case .run:
                let routed = state.table.agent(channel: channel, account: head.account)
                if routed == nil, state.unrouted.insert(head.account).inserted {
                    logger.error(
                        "no agent for this account; its turns fail until there is one",
                        metadata: [
                            "account": "\(head.account)",
                            "remedy": "add agents.\(head.account), or a binding for channel \(channel)",
                        ])
                }
                let turn = Turn(head: head, delivery: bytes, hasTools: state.hasTools)
                if let command = BuiltinCommand(head) {
                    begin(&state, head, isCommand: true) { number in
                        await self.obey(command, turn, by: routed, number)
                    }
                } else {
                    begin(&state, head) { number in
                        await self.run(turn, by: routed?.agent, named: routed?.name ?? "", number)
                    }
                }
            }
            return .taken
        }
    }

    /// Turns that are not over.
    var activeTurns: Int { state.withLock { $0.turns.count } }

    /// Takes no more turns and cancels those that run; they stay unsettled, so that they are delivered again.
    func end() {
        let turns = state.withLock { state in
            state.ended = true
            return Array(state.turns.values)
        }
        for turn in turns { turn.task.cancel() }
    }

    /// Waits for the cancelled turns to be gone. The slots must have ended, or a turn might wait for a gate.
    func finish() async {
        let turns = state.withLock { Array($0.turns.values) }
        for turn in turns { await turn.task.value }
    }

    private func begin(
        _ state: inout State, _ head: DeliveryHead, isCommand: Bool = false,
        _ body: @escaping @Sendable (UInt64) async -> Void
    ) {
        state.lastTurn += 1
        let number = state.lastTurn
        let task = Task {
            await body(number)
            self.state.withLock { $0.turns[number] = nil }
            self.active.yield()
        }
        state.turns[number] = Active(
            task: task, account: head.account, conversation: head.conversation, since: .now, isCommand: isCommand)
        active.yield()
    }

    func run(_ turn: Turn, by agent: (any Agent)?, named name: String, _ number: UInt64) async {
        let head = turn.head
        let begun = ContinuousClock.now
        var record = TurnRecord(
            delivery: head.id, account: head.account, agent: name, conversation: head.conversation,
            sequence: head.sequence, redelivered: head.redelivered, startedAt: WallTime.now(), seconds: 0,
            outcome: .silent)
        logger.debug("turn begins", metadata: metadata(record))
        /// - Returns: whether turns begin to fail with this one.
        @discardableResult
        func over(_ outcome: TurnRecord.Outcome) -> Bool {
            record.seconds = (.now - begun) / .seconds(1)
            record.outcome = outcome
            return ended(record)
        }
        guard let agent else {
            over(.failed("no agent answers for this account"))
            return await settle(head, .failed)
        }
        do {
            guard let reply = try await agent.answer(turn) else {
                over(.silent)
                return await settle(head, .finished)
            }
            over(.answered(files: reply.files.count))
            state.withLock { $0.ledger.sending(head.id, reply) }
            await send(reply, for: head)
        } catch {
            guard !error.cancelled else {
                guard state.withLock({ $0.turns[number]?.isStopped }) != true else {
                    over(.stopped)
                    return await settle(head, .finished)
                }
                over(.interrupted)
                return state.withLock { $0.ledger.forget(head.id) }
            }
            let isFirst = over(.failed(String(error.description.prefix(TurnRecord.longestReason))))
            // Once, not for every turn: whoever asks again knows.
            guard isFirst, let text = agent.failureText else { return await settle(head, .failed) }
            let reply = AgentReply(text: text)
            state.withLock { $0.ledger.sending(head.id, reply) }
            await send(reply, for: head)
        }
    }

    // MARK: what operators see

    /// - Returns: whether turns of this agent begin to fail with this one.
    private func ended(_ turn: TurnRecord) -> Bool {
        let (change, isFirst) = state.withLock { state in
            let change = state.board.ended(turn)
            return (change, state.board.standing(of: turn.agent, for: turn.account)?.failuresInRow == 1)
        }
        var metadata = metadata(turn)
        metadata["seconds"] = "\((turn.seconds * 1000).rounded() / 1000)"
        switch turn.outcome {
        case .answered(let files): logger.debug("turn ends: answered, \(files) files", metadata: metadata)
        case .silent: logger.debug("turn ends: nothing to say", metadata: metadata)
        case .failed(let reason): logger.debug("turn ends: failed: \(reason)", metadata: metadata)
        case .refused(let reason): logger.debug("turn ends: not sent: \(reason)", metadata: metadata)
        case .stopped: logger.debug("turn ends: it was stopped", metadata: metadata)
        case .interrupted:
            logger.notice(
                "a turn was cut short by the stop; it is not settled, so that its message is delivered again",
                metadata: metadata)
        }
        switch change {
        case nil: break
        case .fails(let reason): logger.error("an agent's turns fail: \(reason)", metadata: metadata)
        case .recovered(let count):
            logger.notice(
                "the agent's turns succeed again, after \(count) that failed", metadata: metadata)
        }
        if case .failed = turn.outcome { return isFirst }
        return false
    }

    private func metadata(_ turn: TurnRecord) -> Logger.Metadata {
        var metadata: Logger.Metadata = [
            "agent": "\(turn.agent)", "account": "\(turn.account)", "delivery": "\(turn.delivery)",
            "conversation": "\(turn.conversation)",
        ]
        if let sequence = turn.sequence { metadata["seq"] = "\(sequence)" }
        return metadata
    }

    struct RunningTurns: Sendable {
        var count = 0
        var oldest: ContinuousClock.Instant
    }

    /// The turns that are not over, by account.
    var running: [String: RunningTurns] {
        state.withLock { state in
            state.turns.values.reduce(into: [:]) { running, turn in
                var turns = running[turn.account] ?? RunningTurns(oldest: turn.since)
                turns.count += 1
                turns.oldest = min(turns.oldest, turn.since)
                running[turn.account] = turns
            }
        }
    }

    /// How turns of an account go: those that run, and how its agent does.
    /// - Parameter running: what `running` said.
    func summary(of account: String, agent: String?, running: [String: RunningTurns]) -> JSONValue {
        let now = running[account]
        return state.withLock { state in
            var summary: [String: JSONValue] = ["running": .int(Int64(now?.count ?? 0))]
            if let oldest = now?.oldest {
                summary["oldestSeconds"] = .double(((.now - oldest) / .seconds(1)).rounded())
            }
            if let agent, let standing = state.board.standing(of: agent, for: account) {
                summary["total"] = .int(Int64(standing.turns))
                summary["failuresInRow"] = .int(Int64(standing.failuresInRow))
                if let error = standing.lastError { summary["lastError"] = .string(error) }
                if let at = standing.lastErrorAt { summary["lastErrorAt"] = .string(WallTime.text(at)) }
            }
            return .object(summary)
        }
    }

    /// The last turns of an account, the newest last.
    func recent(of account: String) -> [TurnRecord] { state.withLock { $0.board.recent(of: account) } }

    /// Ends the agent's turns of a conversation, as somebody there wants it.
    /// - Returns: how many there were, when they are over.
    func stopTurns(account: String, conversation: String) async -> Int {
        let tasks = state.withLock { Self.stopping(&$0, account: account, conversation: conversation) }
        await Self.end(tasks)
        return tasks.count
    }

    /// The turns of a conversation that run now; what is over of them by this is called stopped.
    private static func stopping(
        _ state: inout State, account: String, conversation: String
    ) -> [Task<Void, Never>] {
        var tasks: [Task<Void, Never>] = []
        for (number, turn) in state.turns
        where turn.account == account && turn.conversation == conversation && !turn.isCommand {
            state.turns[number]?.isStopped = true
            tasks.append(turn.task)
        }
        return tasks
    }

    private static func end(_ tasks: [Task<Void, Never>]) async {
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }

    /// Ends the turns of a conversation for a message that no turn is for, and says so there. They are those that run when it
    /// arrives: the next message's turn may have begun before this one's task does.
    private func stopBeside(_ head: DeliveryHead) {
        state.withLock { state in
            guard !state.ended else { return }
            let tasks = Self.stopping(&state, account: head.account, conversation: head.conversation)
            guard !tasks.isEmpty else { return }
            begin(&state, head, isCommand: true) { _ in
                await Self.end(tasks)
                let message: JSONValue = [
                    "account": .string(head.account), "to": .string(head.conversation), "text": .string("Stopped."),
                ]
                // Nobody waits for it: it is posted when it can be.
                _ = await self.slots.use(head.account) { $0.send(message) }
            }
        }
    }

    /// The agent's turns of an account that run now, and since when the oldest does.
    func turns(of account: String) -> RunningTurns? {
        state.withLock { state in
            let turns = state.turns.values.filter { $0.account == account && !$0.isCommand }
            return turns.map(\.since).min().map { RunningTurns(count: turns.count, oldest: $0) }
        }
    }

    /// How an agent does for an account.
    func standing(of agent: String, for account: String) -> TurnBoard.Standing? {
        state.withLock { $0.board.standing(of: agent, for: account) }
    }

    /// Who answers for which account now.
    var table: RoutingTable { state.withLock { $0.table } }

    /// Answers a delivery that no agent's turn is for.
    func answer(_ head: DeliveryHead, _ text: String) async {
        let reply = AgentReply(text: text)
        state.withLock { $0.ledger.sending(head.id, reply) }
        await send(reply, for: head)
    }

    private func settle(_ head: DeliveryHead, _ outcome: DeliveryOutcome) async {
        state.withLock { _ = $0.ledger.finish(head.id) }
        _ = await slots.use(head.account) { $0.settle(head.id, outcome) }
    }

    private func send(_ first: AgentReply, for head: DeliveryHead) async {
        var next: AgentReply? = first
        while let reply = next {
            let message = Self.message(reply, for: head)
            let receipt = await slots.use(head.account) { module in
                let receipt = module.send(message)
                module.settle(head.id, .finished)
                return receipt
            }
            do throws(ModuleRefusal) {
                guard let receipt else { throw ModuleRefusal(.shutDown, "the gateway is stopping") }
                _ = try await receipt.result()
                let again = state.withLock { $0.ledger.finish(head.id) }
                if again { _ = await slots.use(head.account) { $0.settle(head.id, .finished) } }
                next = nil
            } catch {
                next = await failed(error, head)
            }
        }
    }

    /// - Returns: the answer, if it is to be sent once more.
    private func failed(_ refusal: ModuleRefusal, _ head: DeliveryHead) async -> AgentReply? {
        let metadata: Logger.Metadata = ["account": "\(head.account)", "delivery": "\(head.id)"]
        switch refusal.kind {
        case .unavailable, .shutDown, .timedOut, .cancelled:
            // The account stopped or moved with the message in hand. If the module did not keep it, the delivery comes
            // again, and then this answer is sent again without asking the agent.
            logger.info("an answer was not confirmed yet: \(refusal)", metadata: metadata)
            return state.withLock { $0.ledger.notSent(head.id) }
        case .invalid, .failed:
            logger.error("an answer could not be sent: \(refusal)", metadata: metadata)
            state.withLock { $0.board.refused(head.id, account: head.account, reason: "\(refusal)") }
            await settle(head, .failed)
            return nil
        }
    }

    private static func message(_ reply: AgentReply, for head: DeliveryHead) -> JSONValue {
        var message: [String: JSONValue] = [
            "account": .string(head.account), "to": .string(head.conversation), "text": .string(reply.text),
            "delivery": .string(head.id),
        ]
        if !reply.files.isEmpty { message["media"] = .array(reply.files.map(\.json)) }
        if let replyTo = reply.replyTo { message["replyTo"] = .string(replyTo) }
        return .object(message)
    }
}

extension ReplyFile {
    /// The file as `send` takes it.
    var json: JSONValue {
        var file: [String: JSONValue] = ["path": .string(path)]
        if let name { file["name"] = .string(name) }
        if let mediaType { file["mediaType"] = .string(mediaType) }
        return .object(file)
    }
}
