/// Notices when the database's clock was set, or another server with another clock has taken over: for a while then, how long
/// ago a member was heard means nothing.
struct DatabaseClock {
    /// The last reading: the database's seconds, and our nanoseconds before and after it.
    private var last: (time: Double, asked: Int64, answered: Int64)?
    private var unsteadyUntil: Int64?

    /// More than clocks drift apart between two beats, seconds.
    private static let tolerance = 1.0

    /// - Parameters:
    ///   - time: The database's clock, seconds.
    ///   - asked: When it was asked for, nanoseconds of a clock that only goes forward; `answered`: when it was there.
    ///   - lease: The longest lease of a member, seconds: after it, every member that lives was heard by the new clock.
    /// - Returns: whether ages by this clock can be believed.
    mutating func observe(_ time: Double, asked: Int64, answered: Int64, lease: Double) -> Bool {
        defer { last = (time, asked, answered) }
        if let last {
            let passed = time - last.time
            let least = Double(asked &- last.answered) * 1e-9 - Self.tolerance
            let most = Double(answered &- last.asked) * 1e-9 + Self.tolerance
            if !(passed >= least && passed <= most) {
                unsteadyUntil = answered &+ Int64(min(max(lease, 0), 1e6) * 1e9)
            }
        }
        return unsteadyUntil.map { answered >= $0 } ?? true
    }
}
