/// What is told of an account besides its state.
struct AccountSigns {
    /// Seconds since 1970, like the other two.
    let startedAt: Double
    var lastInboundAt: Double?
    var lastOutboundAt: Double?
    private var lastMark: StatusMark?
    /// When the turns began that are with the gateway; only while messages are traced.
    private var turns: [String: ContinuousClock.Instant] = [:]

    init(startedAt: Double) { self.startedAt = startedAt }

    /// Whether this differs from what was told last; it counts as told then.
    mutating func isNews(_ mark: StatusMark) -> Bool {
        guard mark != lastMark else { return false }
        lastMark = mark
        return true
    }

    mutating func turnBegan(_ turn: String, at now: ContinuousClock.Instant) { turns[turn] = now }
    /// In seconds; nil if its beginning was not seen.
    mutating func turnEnded(_ turn: String, at now: ContinuousClock.Instant) -> Double? {
        turns.removeValue(forKey: turn).map { $0.duration(to: now).inSeconds }
    }
    mutating func forgetTurns() { turns = [:] }
}
