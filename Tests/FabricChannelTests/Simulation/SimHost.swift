import ChannelStore

@testable import FabricChannel

/// A delivery, as a gateway reads it.
struct SimDelivery {
    var id: String
    var place: ChannelKey
    var sequence: Int64?
    var message: String
    var wake: Bool
    var caughtUp: Bool
    var redelivered: Bool
}

/// The gateway of one run of the process: it answers like `Router`, with agents that take their time, fail, say nothing, or
/// are never heard of again. It goes on while accounts are handed from one instance of the module to the next.
final class SimHost {
    enum Outcome { case answers, isSilent, fails, neverAnswers }

    unowned let world: World
    private var ledger = SimLedger()
    private var isAlive = true
    /// What each finished delivery was about, to notice an id that means two messages.
    private var seen: [String: String] = [:]
    private(set) var settled: Set<String> = []
    private var places: [String: ChannelKey] = [:]
    private var texts = 0

    init(world: World) { self.world = world }

    /// The process is gone.
    func end() { isAlive = false }

    func deliver(_ delivery: SimDelivery) -> DeliveryAnswer {
        let known = seen[delivery.id]
        seen[delivery.id] = delivery.message
        places[delivery.id] = delivery.place
        world.trace(
            "deliver \(delivery.id) \(delivery.message) wake \(delivery.wake) caughtUp \(delivery.caughtUp) "
                + "redelivered \(delivery.redelivered)")
        world.checks.delivered(delivery)
        guard delivery.wake else { return record(delivery) }
        switch ledger.arrived(delivery.id) {
        case .finished:
            if let known, known != delivery.message, !world.checks.mayShareIDs {
                world.fail("\(delivery.id) was \(known), is \(delivery.message), and the gateway takes it for done")
            }
            return .finished
        case .underWay: return .taken
        case .resend(let text): send(text, delivery.id)
        case .run:
            world.checks.asked(delivery.id)
            return run(delivery)
        }
        return .taken
    }

    private func record(_ delivery: SimDelivery) -> DeliveryAnswer {
        guard world.plan.has(.takenRecords) else { return .adopted }
        switch world.schedule.random.below(3) {
        case 0: return .adopted
        case 1: return .finished
        default:
            later(world.schedule.random.delay(20)) { [self] in settle(delivery.id, .adopted) }
            return .taken
        }
    }

    private func run(_ delivery: SimDelivery) -> DeliveryAnswer {
        let plan = world.plan
        let outcome = outcome()
        if plan.has(.adoption), world.schedule.random.chance(0.2), outcome == .isSilent {
            _ = ledger.finish(delivery.id)
            return .finished
        }
        let time = world.isFaulty ? world.schedule.random.delay(plan.agentTime) : 0.05
        if plan.has(.adoption), world.schedule.random.chance(0.3) {
            later(time / 2) { [self] in settle(delivery.id, .adopted) }
        }
        if outcome == .answers, world.schedule.random.chance(0.3) {
            // A word beforehand.
            later(time / 2) { [self] in
                use { account in account.send(self.text(delivery.id), to: delivery.place, of: delivery.id) { _ in } }
            }
        }
        later(time) { [self] in
            switch outcome {
            case .neverAnswers: break
            case .isSilent: finish(delivery.id, .finished)
            case .fails: finish(delivery.id, .failed)
            case .answers:
                let text = text(delivery.id)
                ledger.sending(delivery.id, text)
                send(text, delivery.id)
            }
        }
        return .taken
    }

    private func outcome() -> Outcome {
        let plan = world.plan
        if world.isFaulty, plan.has(.silentAgents), world.schedule.random.chance(0.05) { return .neverAnswers }
        if plan.has(.failingAgents), world.schedule.random.chance(0.2) { return .fails }
        return world.schedule.random.chance(0.3) ? .isSilent : .answers
    }

    /// Now and then the same words.
    private func text(_ id: String) -> String {
        texts += 1
        return world.schedule.random.chance(0.3) ? "ok" : "answer \(texts) to \(id)"
    }

    private func finish(_ id: String, _ outcome: DeliveryOutcome) {
        _ = ledger.finish(id)
        settle(id, outcome)
    }

    private func settle(_ id: String, _ outcome: DeliveryOutcome) {
        use { account in
            self.world.trace("settle \(id) \(outcome)")
            if outcome == .adopted {
                self.world.checks.adopted.insert(id)
            } else {
                self.settled.insert(id)
            }
            account.settle(id, outcome)
        }
    }

    /// `send`, followed at once by `settle`; what becomes of the answer is heard later.
    private func send(_ text: String, _ id: String) {
        guard let place = places[id] else { return }
        use { [self] account in
            settled.insert(id)
            world.trace("send and settle \(id)")
            world.checks.said(id, isTurn: account.inbox.isTurn(id))
            if world.mutant == .answersLast { account.settle(id, .finished) }
            account.send(text, to: place, of: id) { [self] result in
                guard isAlive else { return }
                if result != .sent { world.checks.notTaken(id) }
                switch result {
                case .sent:
                    if ledger.finish(id) { settle(id, .finished) }
                case .notNow:
                    if let again = ledger.notSent(id) { send(again, id) }
                case .failed: finish(id, .failed)
                }
            }
            account.settle(id, .finished)
        }
    }

    /// A message that belongs to no turn.
    func say(to place: ChannelKey) {
        let text = text("nobody")
        use { account in account.send(text, to: place, of: nil) { _ in } }
    }

    /// Runs `body` with the account, when it runs: while it moves from one instance to another, everything waits.
    private func use(_ body: @escaping (SimAccount) -> Void) {
        guard isAlive else { return }
        if let account = world.account, account.isRunning { return body(account) }
        later(0.5) { [self] in use(body) }
    }

    func later(_ seconds: Double, _ body: @escaping () -> Void) {
        world.schedule.after(seconds) { [self] in if isAlive { body() } }
    }
}
