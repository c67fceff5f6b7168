/// Tells a peer's ordinary pings from a flood of them: an allowance that every ping uses up and time fills again.
struct FloodGate {
    // The busiest honest server known pings every few hundred milliseconds; test suites send dozens at once.
    private static let most = 256
    private static let refillPerSecond = 16

    private var left = Self.most
    private var filled: ContinuousClock.Instant?

    /// False: it is a flood.
    mutating func admits(at now: ContinuousClock.Instant) -> Bool {
        if left < Self.most, let filled {
            let seconds = filled.duration(to: now).components.seconds
            if seconds > 0 {
                left = min(Self.most, left + Int(clamping: min(seconds, 60)) * Self.refillPerSecond)
                self.filled = now
            }
        } else {
            filled = now
        }
        guard left > 0 else { return false }
        left -= 1
        return true
    }
}
