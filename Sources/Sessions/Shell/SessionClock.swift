import Timing

/// The clocks the cache lives by; tests pass their own.
public struct SessionClock: Sendable {
    /// Monotonic time, for ages and alarms.
    public var now: @Sendable () -> ContinuousClock.Instant
    /// Seconds since 1970, only to turn a token's `exp` into a deadline when it arrives.
    public var wall: @Sendable () -> Double
    /// Returns at the given time, or throws when the task is cancelled.
    public var sleep: @Sendable (_ until: ContinuousClock.Instant) async throws -> Void

    /// Nanoseconds on the same clock as `now`, from any beginning. Asking `ContinuousClock` costs three times as much
    /// as asking the system, too much for the quick read.
    let ticks: @Sendable () -> Int64

    public init(
        now: @escaping @Sendable () -> ContinuousClock.Instant, wall: @escaping @Sendable () -> Double,
        sleep: @escaping @Sendable (_ until: ContinuousClock.Instant) async throws -> Void
    ) {
        self.now = now
        self.wall = wall
        self.sleep = sleep
        let origin = now()
        ticks = { Int64(clamping: Int128(origin.duration(to: now()) / .nanoseconds(1))) }
    }

    private init(system ticks: @escaping @Sendable () -> Int64) {
        now = { .now }
        wall = { SystemClock.wall }
        sleep = { try await Task.sleep(until: $0, tolerance: .milliseconds(10), clock: .continuous) }
        self.ticks = ticks
    }

    /// The machine's clocks.
    public static var system: SessionClock {
        SessionClock(system: { SystemClock.continuous })
    }
}
