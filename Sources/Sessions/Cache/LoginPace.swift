import DequeModule

/// When logins were started, so that no more than so many are in any one second, whenever that second begins.
struct LoginPace {
    static let second: Duration = .seconds(1)
    /// Those of the second before the last one, in order. Kept also while there is no bound: one that is set counts them.
    private var starts: Deque<ContinuousClock.Instant> = []

    /// How many are remembered.
    var count: Int { starts.count }

    /// A login is started.
    mutating func began(_ now: ContinuousClock.Instant) {
        while let first = starts.first, first.advanced(by: Self.second) <= now { starts.removeFirst() }
        starts.append(now)
    }

    /// When the next one may be started; `now` if at once.
    /// - Parameter bound: how many may be started in one second; 0: no bound.
    func opening(atMost bound: Int, _ now: ContinuousClock.Instant) -> ContinuousClock.Instant {
        guard bound > 0, starts.count >= bound else { return now }
        return max(now, starts[starts.count - bound].advanced(by: Self.second))
    }
}
