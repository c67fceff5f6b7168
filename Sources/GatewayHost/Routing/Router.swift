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
    private struct State {
        var table: RoutingTable
        var ledger = TurnLedger()
        var turns: [UInt64: Task<Void, Never>] = [:]
        var lastTurn: UInt64 = 0
        var unrouted: Set<String> = []
        var ended = false
    }

    private let channel: String
    private let slots: AccountSlots
    private let logger: Logger
    private let state: Locked<State>

    init(channel: String, slots: AccountSlots, table: RoutingTable, logger: Logger) {
        self.channel = channel
        self.slots = slots
        self.logger = logger
        self.state = Locked(State(table: table))
    }

    /// New agents and bindings. Running turns go on with what they have.
    func use(_ table: RoutingTable) {
        state.withLock {
            $0.table = table
            $0.unrouted = []
        }
    }

    /// A delivery, on the module's thread. Returns promptly.
    func deliver(_ bytes: [UInt8]) -> DeliveryAnswer {
        guard let head = DeliveryHead(bytes) else {
            logger.error("the module delivered something that is not a delivery; it is dropped")
            return .finished
        }
        // Neither echo nor a command has a memory: a message for the record is safe as soon as it was seen.
        guard head.wake else { return .adopted }
        return state.withLock { state in
            guard !state.ended else { return .taken }
            switch state.ledger.arrived(head.id) {
            case .finished: return .finished
            case .underWay: return .taken
            case .resend(let reply):
                begin(&state) { await self.send(reply, for: head) }
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
                let turn = Turn(head: head, delivery: bytes)
                begin(&state) { await self.run(turn, by: routed?.agent, named: routed?.name ?? "") }
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
        for turn in turns { turn.cancel() }
    }

    /// Waits for the cancelled turns to be gone. The slots must have ended, or a turn might wait for a gate.
    func finish() async {
        let turns = state.withLock { Array($0.turns.values) }
        for turn in turns { await turn.value }
    }

    private func begin(_ state: inout State, _ body: @escaping @Sendable () async -> Void) {
        state.lastTurn += 1
        let number = state.lastTurn
        state.turns[number] = Task {
            await body()
            self.state.withLock { $0.turns[number] = nil }
        }
    }

    private func run(_ turn: Turn, by agent: (any Agent)?, named name: String) async {
        let head = turn.head
        guard let agent else { return await settle(head, .failed) }
        do {
            guard let reply = try await agent.answer(turn) else { return await settle(head, .finished) }
            state.withLock { $0.ledger.sending(head.id, reply) }
            await send(reply, for: head)
        } catch {
            guard !error.cancelled else { return state.withLock { $0.ledger.forget(head.id) } }
            logger.error(
                "a turn failed: \(error)",
                metadata: ["agent": "\(name)", "account": "\(head.account)", "delivery": "\(head.id)"])
            await settle(head, .failed)
        }
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
