extension Sessions {
    /// The numbers of the session rules.
    public struct Configuration: Sendable {
        /// How long after a login its tokens count as fresh. Zero or less means the default, 8 minutes; guild tokens
        /// live 900 s.
        public var softLifetime: Duration {
            didSet { if softLifetime <= .zero { softLifetime = Self.defaultSoftLifetime } }
        }
        /// How many logins may run at once, at least 1.
        public var concurrentLogins: Int {
            didSet { concurrentLogins = max(1, concurrentLogins) }
        }
        /// How many logins may be started in any one second; 0: no bound.
        public var loginsPerSecond: Int {
            didSet { loginsPerSecond = max(0, loginsPerSecond) }
        }
        /// How long before its `exp` a token is no longer served: 10 s (the project's rule).
        public var expiryMargin: Duration = .seconds(10)
        /// How long before the earliest `exp` a session in use is renewed: 5 min, but at most half the lifetime.
        public var refreshLead: Duration = .seconds(300)
        /// The spread of planned renewals: 0.1 is ±10 %.
        public var refreshJitter = 0.1
        /// The least time until a renewal planned by a lifetime that the server stated: 30 s.
        public var statedLifetimeFloor: Duration = .seconds(30)
        /// When to renew if nothing at all is known and the soft lifetime is longer: 30 min.
        public var blindRefresh: Duration = .seconds(1800)
        /// When to retry a failed renewal: 60 s.
        public var refreshRetry: Duration = .seconds(60)
        /// After how many failed renewals in a row the chain of renewals ends: 3.
        public var refreshAttempts = 3
        /// Bounds of the pause after failed logins: 1 s and 60 s. The pause is drawn evenly between the first and a
        /// limit that doubles with each failure up to the second.
        public var backoff: ClosedRange<Duration> = .seconds(1) ... .seconds(60)
        /// A login without an answer after this time counts as failed: 60 s.
        public var loginDeadline: Duration = .seconds(60)
        /// When a guild whose token a new login no longer brought is asked for again by a login of its own: 30 s, doubled
        /// each time up to the soft lifetime.
        public var lostGuildRetry: Duration = .seconds(30)
        /// For how long the lack of a token counts as passing for a guild that Center lists, or gave a token for before:
        /// 10 min.
        public var missingGuildGrace: Duration = .seconds(600)
        /// How many refusals without a word about the key amount to a verdict: 4 ...
        public var refusalsToBlock = 4
        /// ... if there are at least this long between the first and the last: 3 min.
        public var refusalSpan: Duration = .seconds(180)
        /// When a blocked account is tried again: after 1 h, doubled each time up to 24 h.
        public var blockRetry: ClosedRange<Duration> = .seconds(3600) ... .seconds(86_400)
        /// The spread of these: 0.1 is ±10 %.
        public var blockJitter = 0.1
        /// For how long a remark of one kind is not made again: 24 h.
        public var noticeMemory: Duration = .seconds(86_400)
        /// How long the block of a refused account that nobody uses is remembered: 1 h.
        public var blockMemory: Duration = .seconds(3600)
        /// How often dead entries are swept: 60 s.
        public var sweepPeriod: Duration = .seconds(60)

        static let defaultSoftLifetime: Duration = .seconds(480)

        public init(
            softLifetime: Duration = .seconds(480), concurrentLogins: Int = 8, loginsPerSecond: Int = 0
        ) {
            self.softLifetime = softLifetime > .zero ? softLifetime : Self.defaultSoftLifetime
            self.concurrentLogins = max(1, concurrentLogins)
            self.loginsPerSecond = max(0, loginsPerSecond)
        }
    }
}
