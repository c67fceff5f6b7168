/// How long to wait before the next attempt: a delay that grows with every failure up to a limit.
///
/// A value; who counts the failures keeps the count, and who wants the delays of many to be apart gives it chance.
public struct Backoff: Sendable, Hashable {
    /// The delay after the first failure.
    public var initial: Duration
    /// The longest delay.
    public var maximum: Duration
    /// What each further failure multiplies the delay with; less than 1 counts as 1.
    public var multiplier: Double

    public init(_ initial: Duration, upTo maximum: Duration, multiplier: Double = 2) {
        self.initial = initial
        self.maximum = maximum
        self.multiplier = multiplier
    }

    /// The delay before the next attempt.
    /// - Parameter step: how often it has grown: 0 after the first failure.
    public func delay(step: Int) -> Duration {
        var delay = min(initial, maximum)
        guard multiplier > 1, delay > .zero else { return delay }
        var left = step
        // No further than to the limit, so that neither the count nor the delay overflows.
        while left > 0, delay < maximum {
            delay = delay > maximum / multiplier ? maximum : delay * multiplier
            left -= 1
        }
        return delay
    }

    /// The same, as a share of it that chance decides, so that those who failed together come back apart.
    /// - Parameters:
    ///   - step: how often it has grown: 0 after the first failure.
    ///   - share: the smallest and the largest share, as 0.5...1 for half to all of it.
    ///   - chance: evenly drawn from 0 to 1; what is outside counts as the nearest of the two.
    public func delay(step: Int, share: ClosedRange<Double>, chance: Double) -> Duration {
        let drawn = chance > 0 ? min(chance, 1) : 0
        return delay(step: step) * (share.lowerBound + (share.upperBound - share.lowerBound) * drawn)
    }
}
