import JSONBytes

/// One turn that is over, as an operator sees it. Holds no text of the message or of the answer.
struct TurnRecord: Equatable, Sendable {
    enum Outcome: Equatable, Sendable {
        /// The answer was handed to the module.
        case answered(files: Int)
        /// The agent had nothing to say.
        case silent
        /// The agent failed, or there is none.
        case failed(String)
        /// The answer could not be sent.
        case refused(String)
        /// Somebody said /stop.
        case stopped
        /// The gateway stopped; the delivery comes again.
        case interrupted
    }

    var delivery: String
    var account: String
    /// Empty if nobody answers for the account.
    var agent: String
    var conversation: String
    /// The message's position in the conversation.
    var sequence: Int64?
    var redelivered: Bool
    /// The wall clock, seconds since 1970.
    var startedAt: Double
    var seconds: Double
    var outcome: Outcome

    /// What is kept of a reason.
    static let longestReason = 300

    var json: JSONValue {
        var turn: [String: JSONValue] = [
            "delivery": .string(delivery), "agent": .string(agent), "conversation": .string(conversation),
            "redelivered": .bool(redelivered), "startedAt": .string(WallTime.text(startedAt)),
            "seconds": .double((seconds * 1000).rounded() / 1000),
        ]
        if let sequence { turn["seq"] = .int(sequence) }
        switch outcome {
        case .answered(let files):
            turn["outcome"] = "answered"
            if files > 0 { turn["files"] = .int(Int64(files)) }
        case .silent: turn["outcome"] = "silent"
        case .failed(let reason): (turn["outcome"], turn["reason"]) = ("failed", .string(reason))
        case .refused(let reason): (turn["outcome"], turn["reason"]) = ("not sent", .string(reason))
        case .stopped: turn["outcome"] = "stopped"
        case .interrupted: turn["outcome"] = "interrupted"
        }
        return .object(turn)
    }
}
