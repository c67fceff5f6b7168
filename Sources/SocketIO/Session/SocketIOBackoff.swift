import Timing

/// How long to wait before the next attempt.
///
/// Doubles from ``Configuration/initial`` to ``Configuration/maximum``. The jitter is taken off *after* the cap, so
/// that clients of one server keep apart however long it is down (the official client loses its jitter at the fifth
/// attempt), and the exponent is clamped, so that no attempt is ever without a delay.
public struct SocketIOBackoff: Sendable {
    /// How delays grow.
    public struct Configuration: Sendable {
        /// Longest first delay.
        public var initial: Duration = .seconds(1)
        public var multiplier: Double = 2
        /// Longest delay ever.
        public var maximum: Duration = .seconds(60)
        /// Share of the delay that is random, 0 to 1: 0.5 gives half to all of it.
        public var jitter: Double = 0.5
        /// A connection must have lasted this long for the next delay to begin anew.
        public var usefulAfter: Duration = .seconds(30)

        /// 1 s, doubled up to 60 s, half of it random.
        public init() {}
    }

    public var configuration: Configuration
    /// Attempts that failed since the last useful connection.
    public private(set) var failures = 0

    /// No attempt has failed yet.
    public init(configuration: Configuration = .init()) {
        self.configuration = configuration
    }

    /// Notes a failed attempt or a lost connection and gives the delay before the next attempt.
    public mutating func failed(using random: inout some RandomNumberGenerator) -> Duration {
        let delay = Self.delay(after: failures, configuration, random: Double.random(in: 0...1, using: &random))
        failures += failures < Int(Int32.max) ? 1 : 0
        return delay
    }

    /// A connection lasted long enough to be called useful.
    public mutating func reset() { failures = 0 }

    /// The delay after `failures` earlier failures; `random` in 0...1.
    static func delay(after failures: Int, _ configuration: Configuration, random: Double) -> Duration {
        let least = Duration.milliseconds(1)
        let backoff = Backoff(
            max(configuration.initial, least), upTo: max(configuration.maximum, least),
            multiplier: configuration.multiplier)
        // Also what is no number is none.
        let jitter = configuration.jitter > 0 ? min(configuration.jitter, 1) : 0
        return max(backoff.delay(step: failures, share: (1 - jitter)...1, chance: 1 - random), least)
    }
}
