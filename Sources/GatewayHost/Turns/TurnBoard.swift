/// What became of turns: how each agent does for each account, and the last turns of every account. Bounded by the
/// agents and accounts there are.
struct TurnBoard: Sendable {
    /// How an agent does for one account.
    struct Standing: Equatable, Sendable {
        var turns = 0
        /// Turns that failed since the last that did not.
        var failuresInRow = 0
        var lastError: String?
        /// The wall clock, seconds since 1970.
        var lastErrorAt: Double?
    }

    /// What the log should say: once when it begins, not for every turn.
    enum Change: Equatable, Sendable {
        case fails(reason: String)
        case recovered(after: Int)
    }

    private struct Key: Hashable {
        var agent: String
        var account: String
    }

    /// Turns remembered per account.
    let capacity: Int
    private var standings: [Key: Standing] = [:]
    private var recent: [String: [TurnRecord]] = [:]

    init(capacity: Int = 20) { self.capacity = max(1, capacity) }

    /// A turn is over.
    mutating func ended(_ turn: TurnRecord) -> Change? {
        var turns = recent[turn.account] ?? []
        if turns.count >= capacity { turns.removeFirst(turns.count - capacity + 1) }
        recent[turn.account] = turns + [turn]
        guard !turn.agent.isEmpty else { return nil }
        var standing = standings[Key(agent: turn.agent, account: turn.account)] ?? Standing()
        defer { standings[Key(agent: turn.agent, account: turn.account)] = standing }
        switch turn.outcome {
        // Neither says anything about the agent.
        case .interrupted, .stopped: return nil
        case .failed(let reason):
            // In this order a flood of failures of one kind is one record, and another kind is news.
            let isNews = standing.failuresInRow == 0 || standing.lastError != reason
            standing.turns += 1
            standing.failuresInRow += 1
            standing.lastError = reason
            standing.lastErrorAt = turn.startedAt + turn.seconds
            return isNews ? .fails(reason: reason) : nil
        case .answered, .silent, .refused:
            let before = standing.failuresInRow
            standing.turns += 1
            standing.failuresInRow = 0
            return before > 0 ? .recovered(after: before) : nil
        }
    }

    /// The answer of a turn that is over could not be sent.
    mutating func refused(_ delivery: String, account: String, reason: String) {
        guard let index = recent[account]?.lastIndex(where: { $0.delivery == delivery }) else { return }
        recent[account]?[index].outcome = .refused(String(reason.prefix(TurnRecord.longestReason)))
    }

    func standing(of agent: String, for account: String) -> Standing? {
        standings[Key(agent: agent, account: account)]
    }

    /// The last turns of an account, the newest last.
    func recent(of account: String) -> [TurnRecord] { recent[account] ?? [] }

    /// Forgets agents and accounts that are no more.
    mutating func keep(agents: (String) -> Bool, accounts: (String) -> Bool) {
        standings = standings.filter { agents($0.key.agent) && accounts($0.key.account) }
        recent = recent.filter { accounts($0.key) }
    }
}
