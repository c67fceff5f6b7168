import DequeModule
import GatewayControl

/// Remembers turns by delivery id, so that a delivery that comes again (after a crash or a reload of the module) is
/// neither run twice nor forgotten. Bounded: the oldest are forgotten first.
struct TurnLedger: Sendable {
    enum Verdict: Equatable {
        /// New: run the agent.
        case run
        /// Running already: it will be settled when it ends.
        case underWay
        /// Ran, but its answer did not get through: send this one again.
        case resend(AgentReply)
        /// Over and done with.
        case finished
    }

    private enum Entry: Equatable {
        case running
        /// `again`: the delivery came once more meanwhile, so its new lane waits for an end.
        case sending(AgentReply, again: Bool)
        case unsent(AgentReply)
        case finished
    }

    /// Finished ids that are remembered.
    let maximumFinished: Int
    /// Bytes of answers that are kept because they did not get through.
    let maximumUnsentBytes: Int
    private var entries: [String: Entry] = [:]
    private var finished = Deque<String>()
    private var unsent = Deque<String>()
    private var unsentBytes = 0

    init(maximumFinished: Int = 4096, maximumUnsentBytes: Int = 16 << 20) {
        self.maximumFinished = maximumFinished
        self.maximumUnsentBytes = maximumUnsentBytes
    }

    /// A delivery came.
    mutating func arrived(_ id: String) -> Verdict {
        switch entries[id] {
        case nil:
            entries[id] = .running
            return .run
        case .running: return .underWay
        case .sending(let reply, _):
            entries[id] = .sending(reply, again: true)
            return .underWay
        case .unsent(let reply):
            unsentBytes -= reply.text.utf8.count
            entries[id] = .sending(reply, again: false)
            return .resend(reply)
        case .finished: return .finished
        }
    }

    /// The agent has answered; the answer is on its way.
    mutating func sending(_ id: String, _ reply: AgentReply) { entries[id] = .sending(reply, again: false) }

    /// The turn is over.
    /// - Returns: whether the delivery came again meanwhile, so that it must be settled once more.
    @discardableResult
    mutating func finish(_ id: String) -> Bool {
        var again = false
        if case .sending(_, true) = entries[id] { again = true }
        entries[id] = .finished
        finished.append(id)
        while finished.count > maximumFinished, let oldest = finished.popFirst() {
            if entries[oldest] == .finished { entries[oldest] = nil }
        }
        return again
    }

    /// The answer did not get through, for a passing reason.
    /// - Returns: the answer if it must be sent again now, because the delivery came again meanwhile.
    mutating func notSent(_ id: String) -> AgentReply? {
        guard case .sending(let reply, let again) = entries[id] else { return nil }
        if again {
            entries[id] = .sending(reply, again: false)
            return reply
        }
        entries[id] = .unsent(reply)
        unsent.append(id)
        unsentBytes += reply.text.utf8.count
        while unsentBytes > maximumUnsentBytes || unsent.count > maximumFinished, let oldest = unsent.popFirst() {
            guard case .unsent(let lost) = entries[oldest] else { continue }
            unsentBytes -= lost.text.utf8.count
            entries[oldest] = nil
        }
        return nil
    }

    /// The turn did not happen; if the delivery comes again it is new.
    mutating func forget(_ id: String) { entries[id] = nil }

    /// Turns that run or whose answer is on its way.
    var active: Int {
        entries.values.reduce(0) { count, entry in
            switch entry {
            case .running, .sending: count + 1
            default: count
            }
        }
    }

    var remembered: Int { entries.count }
}
