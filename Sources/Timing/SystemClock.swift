import Glibc

/// Readings of the system's clocks.
public enum SystemClock {
    /// Seconds since 1970, which may jump.
    public static var wall: Double {
        let time = read(CLOCK_REALTIME)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Nanoseconds of a clock that only goes forward, and stands while the machine sleeps.
    public static var monotonic: Int64 { nanoseconds(CLOCK_MONOTONIC) }

    /// Nanoseconds of the clock behind `ContinuousClock`, which goes on while the machine sleeps. Asking that one costs three
    /// times as much.
    public static var continuous: Int64 { nanoseconds(CLOCK_BOOTTIME) }

    private static func nanoseconds(_ clock: clockid_t) -> Int64 {
        let time = read(clock)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        clock_gettime(clock, &time)
        return time
    }
}
