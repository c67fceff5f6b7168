import FabricAPI

/// Why there is no session or token to be had now.
public struct SessionError: Error, Sendable, CustomStringConvertible {
    /// What kind of obstacle.
    public enum Kind: Sendable, Equatable {
        /// Center refused the credentials; until they change or the operator asks, a login is tried at long intervals only.
        case blocked
        /// The last login failed for a reason that passes; the next may be tried in `retryIn`.
        case unavailable(retryIn: Duration)
        /// A new login did not bring a token for this guild.
        case guildMissing(guild: String)
        /// The waiting task was cancelled.
        case cancelled
        /// ``Sessions/shutdown()`` was called, or the agent was dropped while somebody waited.
        case ended
    }

    public var kind: Kind
    /// The agent it is about.
    public var agent: String
    /// What happened and what the operator can do.
    public var reason: String

    public init(kind: Kind, agent: String, reason: String) {
        self.kind = kind
        self.agent = agent
        self.reason = reason
    }

    public var description: String {
        switch kind {
        case .blocked: "agent \(agent) is blocked: \(reason)"
        case .unavailable(let pause): "no session for agent \(agent): \(reason); next attempt in \(pause)"
        case .guildMissing(let guild): "agent \(agent) has no token for guild \(guild): \(reason)"
        case .cancelled: "waiting for a session of agent \(agent) was cancelled"
        case .ended: "no session for agent \(agent): \(reason)"
        }
    }
}

/// How a login failed, as far as the cache is concerned.
public enum LoginFailure: Error, Sendable, Equatable {
    /// The credentials are refused, or cannot be had: trying again is of no use.
    case refused(reason: String)
    /// A refusal that does not say whether it means the key: a firewall's, a proxy's, or Center's in a bad moment. Several
    /// over some minutes count as ``refused(reason:)``.
    case doubtful(reason: String, retryAfter: Duration?)
    /// Network, timeout, 429, 5xx and everything else that may be better next time.
    case passing(reason: String, retryAfter: Duration?)

    /// Judges what a login closure threw. A closure may throw a `LoginFailure` itself to decide.
    public init(_ error: any Error) {
        switch error {
        case let own as LoginFailure: self = own
        case let fabric as FabricError: self.init(fabric: fabric)
        case is CancellationError: self = .passing(reason: "the login was cancelled", retryAfter: nil)
        default: self = .passing(reason: "\(error)", retryAfter: nil)
        }
    }

    private init(fabric: FabricError) {
        switch fabric.kind {
        case .refused where fabric.speaksOfCredential: self = .refused(reason: "\(fabric)")
        case .refused: self = .doubtful(reason: "\(fabric)", retryAfter: nil)
        case .passing(_, let retryAfter): self = .passing(reason: "\(fabric)", retryAfter: retryAfter)
        // What Center says to a key that is no key at all, and what others say to requests they dislike.
        case .rejected(let status, _) where status == 400 || status == 422:
            self =
                fabric.speaksOfCredential
                ? .refused(reason: "\(fabric)") : .doubtful(reason: "\(fabric)", retryAfter: nil)
        // A wrong address or a proxy's answer says nothing about the key: keep trying, slowly.
        default: self = .passing(reason: "\(fabric)", retryAfter: nil)
        }
    }
}

/// What a consumer may want to hear about an agent's session.
public enum SessionUpdate: Sendable {
    /// A login brought a new session; its guild list may have changed.
    case renewed(Session)
    /// The credentials were refused. Said once; a login is tried again at long intervals.
    case blocked(reason: String)
    /// The block was lifted, a login succeeded in spite of it, or the credentials changed: ask again.
    case unblocked
    /// Three renewals in a row failed, none is planned; the next demand logs in.
    case renewalEnded(reason: String)
    /// A login failed for a passing reason, the next may be tried in `retryIn`. Said at the first failure only, until
    /// ``loginRecovered``, ``blocked(reason:)`` or ``unblocked``.
    case loginFailed(reason: String, retryIn: Duration)
    /// A login succeeded after ``loginFailed(reason:retryIn:)`` had been said.
    case loginRecovered
    /// A remark for the operator about the tokens that Center hands out, for instance that clocks differ. One of a kind a
    /// day, by one agent for all.
    case notice(String)
}
