extension Supervisor {
    /// When accounts are restarted. The numbers are what a widely used gateway runs with.
    public struct Configuration: Sendable {
        /// Wait before the first restart after a crash; doubled for each further one.
        public var firstRestart: Duration = .seconds(5)
        /// The longest wait before a restart.
        public var longestRestart: Duration = .seconds(300)
        /// Part by which a wait may be shorter or longer, so that accounts that fell together do not rise together.
        public var jitter: Double = 0.1
        /// Restarts in a row before the account is left alone.
        public var attempts: Int = 10
        /// After this long connected, earlier crashes are forgotten.
        public var forgetAfter: Duration = .seconds(300)
        /// Period of the health check.
        public var healthInterval: Duration = .seconds(300)
        /// After a start, no health check looks at the account for this long.
        public var startGrace: Duration = .seconds(60)
        /// How long a started account may take to connect.
        public var connectLimit: Duration = .seconds(120)
        /// How long an account that lost its connection may take to get it back.
        public var reconnectLimit: Duration = .seconds(120)
        /// A connection without any transport activity for this long is stale.
        public var staleAfter: Duration = .seconds(1800)
        /// Between two restarts by the health check of one account.
        public var cooldown: Duration = .seconds(600)
        /// Restarts of one account by the health check within an hour.
        public var restartsPerHour: Int = 10
        /// How many accounts one health check restarts: what makes thousands ill is elsewhere, and thousands that start in one
        /// moment make it worse. 32 make 192 in a minute.
        public var restartsAtOnce: Int = 32
        /// When those that are left are looked at again, by what they say then.
        public var nextLook: Duration = .seconds(10)
        /// The defaults.
        public init() {}
    }
}
