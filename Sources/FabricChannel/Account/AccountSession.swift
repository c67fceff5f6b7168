import Sessions

/// An account's part in its session: that it is in use, who hears of it, and what is thought of guilds that refuse its tokens.
struct AccountSession {
    private var use: SessionSubscription?
    private var news: SessionSubscription?
    /// By guild: whether refusals are the token's fault.
    private var doubts: [String: TokenDoubt] = [:]

    mutating func isUsed(by subscription: SessionSubscription) { use = subscription }
    mutating func isHeard(by subscription: SessionSubscription) { news = subscription }

    /// Whether a refusal by the guild may be the token's fault.
    func mayRenew(_ guild: String, now: ContinuousClock.Instant) -> Bool { doubts[guild]?.mayRenew(now: now) ?? true }
    mutating func renewalHelped(_ guild: String) { doubts[guild]?.renewalHelped() }
    mutating func refusedAgain(_ guild: String, now: ContinuousClock.Instant) {
        doubts[guild, default: TokenDoubt()].refusedAgain(now: now)
    }

    /// With the last use the session goes.
    mutating func end() {
        use?.cancel()
        news?.cancel()
        (use, news) = (nil, nil)
    }
}
