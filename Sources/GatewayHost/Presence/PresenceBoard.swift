/// What the gateway last said of its agents' presence, and what it has to say now: changes only, and not too often.
struct PresenceBoard: Sendable {
    typealias Instant = ContinuousClock.Instant

    enum State: String, Sendable {
        case idle
        /// Turns run.
        case working
        /// More turns wait than the agent takes at once.
        case busy
        /// Nobody answers.
        case offline
    }

    /// Between two words about one account.
    let interval: Duration
    /// Accounts that are not here are idle, as the module says when it starts them.
    private var told: [String: (state: State, at: Instant)] = [:]

    init(interval: Duration = .seconds(1)) { self.interval = interval }

    /// Accounts of which something else than “idle” was said.
    var notIdle: Set<String> { Set(told.filter { $0.value.state != .idle }.keys) }

    /// How the accounts are now; those that are not named are idle.
    /// - Returns: what is to be said, and when to look again.
    mutating func update(_ states: [String: State], at now: Instant) -> (changes: [String: State], next: Instant?) {
        var changes: [String: State] = [:]
        var next: Instant?
        for account in Set(states.keys).union(told.keys) {
            let state = states[account] ?? .idle
            let before = told[account]
            guard state != before?.state ?? .idle else {
                // Long idle: nothing to remember.
                if state == .idle, let at = before?.at, now - at >= interval { told[account] = nil }
                continue
            }
            if let at = before?.at, now - at < interval {
                let due = at.advanced(by: interval)
                next = min(next ?? due, due)
            } else {
                changes[account] = state
                told[account] = (state, now)
            }
        }
        return (changes, next)
    }

    /// Another instance of the module knows nothing of what was said.
    mutating func forget() { told = [:] }
}
