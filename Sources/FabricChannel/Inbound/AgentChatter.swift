/// Ends the talk of agents that answer each other: their messages wake an agent only within a budget per author and
/// conversation, and a person's word gives a new one.
struct AgentChatter: Sendable {
    /// How much is allowed.
    struct Limits: Sendable, Equatable {
        /// Wake-ups by one agent within `window`; 0 or less: no limit.
        var messages = 20
        /// The time in which they are counted, and for which the agent is not listened to afterwards.
        var window: Duration = .seconds(60)
    }

    enum Verdict: Equatable, Sendable {
        case allowed
        /// Over the budget; the first time in a row it is news.
        case held(isNews: Bool)
    }

    private struct Pair: Sendable {
        var count = 0
        var since: ContinuousClock.Instant
        var quietUntil: ContinuousClock.Instant?
    }

    private var pairs: [String: Pair] = [:]

    /// Whether there is anything a person's word would end.
    var isCounting: Bool { !pairs.isEmpty }

    /// An agent's message would wake ours.
    mutating func heard(_ author: String, now: ContinuousClock.Instant, limits: Limits) -> Verdict {
        guard limits.messages > 0 else { return .allowed }
        // Agents that fell silent are forgotten, so that the table stays as small as the conversation.
        if pairs.count >= 64 { pairs = pairs.filter { isFresh($0.value, now, limits) } }
        var pair = pairs[author] ?? Pair(since: now)
        defer { pairs[author] = pair }
        if let until = pair.quietUntil {
            if now < until { return .held(isNews: false) }
            pair = Pair(since: now)
        }
        if pair.since.advanced(by: limits.window) <= now { pair = Pair(since: now) }
        pair.count += 1
        guard pair.count > limits.messages else { return .allowed }
        pair.quietUntil = now.advanced(by: limits.window)
        return .held(isNews: true)
    }

    private func isFresh(_ pair: Pair, _ now: ContinuousClock.Instant, _ limits: Limits) -> Bool {
        (pair.quietUntil ?? pair.since.advanced(by: limits.window)) > now
    }

    /// A person said something: the agents may talk again.
    mutating func personSpoke() { pairs = [:] }

    /// Authors that are not listened to at the moment.
    func heldAuthors(now: ContinuousClock.Instant) -> Int {
        pairs.values.count { $0.quietUntil.map { $0 > now } ?? false }
    }
}
