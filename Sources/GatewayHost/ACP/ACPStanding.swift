import JSONBytes

/// How an agent that stays is, for the status.
struct ACPStanding: Equatable, Sendable {
    var name: String
    /// `down`, `starting`, `ready` or `over`.
    var state: String
    /// How often in a row its process ended before a good time.
    var failures: Int
    /// Why it is not ready.
    var problem: String?
    /// Until it is started again.
    var pause: Duration?

    /// What an operator is to know: that it ends again and again.
    var warning: String? {
        guard let problem, failures >= 2 else { return nil }
        let next = pause.map { "; it is started again in \(Int(($0 / .seconds(1)).rounded(.up))) s" } ?? ""
        return "the agent \(name) does not come up, \(failures) times in a row: \(problem)\(next)"
    }

    var json: JSONValue {
        var members: [String: JSONValue] = ["state": .string(state), "failuresInRow": .int(Int64(failures))]
        if let problem { members["problem"] = .string(problem) }
        if let pause { members["nextStartSeconds"] = .double((pause / .seconds(1)).rounded(.up)) }
        return .object(members)
    }
}

extension ACPClient {
    func standing(at now: Instant) -> ACPStanding {
        var standing = ACPStanding(name: name, state: "", failures: failures, problem: lastEnd, pause: nil)
        switch phase {
        case .down(let until):
            standing.state = "down"
            standing.pause = until.map { max(.zero, now.duration(to: $0)) }
        case .starting: standing.state = "starting"
        case .ready: standing.state = "ready"
        case .over: standing.state = "over"
        }
        return standing
    }
}
