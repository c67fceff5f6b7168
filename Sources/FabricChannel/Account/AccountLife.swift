import FabricAPI

/// The life of an account as the gateway is told it: derived from what is known, never set by hand, so that two readers
/// cannot disagree.
struct AccountLife: Sendable {
    enum Lifecycle: String, Sendable {
        case starting, ready, recovering, blocked, stopped, standby
    }

    var running = false
    /// Center refused the credentials: terminal until they change or the operator asks.
    var blocked: String?
    /// Why there is no session at the moment.
    var sessionProblem: String?
    var hasSession = false
    /// The user that is kept for other gateways; see `Account.keepUser`.
    var keptUser: String?
    /// What the session says of its guilds.
    var guildInfos: [String: FabricGuildInfo] = [:]
    var guilds = 0
    var readyGuilds = 0
    /// Why guilds are not connected, by their numbers.
    var guildProblems: [Int: String] = [:]
    /// Why nothing can be recorded at the moment.
    var storeProblem: String?
    private(set) var wasReady = false

    var connected: Bool { running && blocked == nil && guilds > 0 && readyGuilds == guilds && storeProblem == nil }

    var lifecycle: Lifecycle {
        if blocked != nil { return .blocked }
        if !running { return .stopped }
        if connected { return .ready }
        return wasReady || sessionProblem != nil || !guildProblems.isEmpty || storeProblem != nil
            ? .recovering : .starting
    }

    var reason: String { problem ?? (connected ? "" : "connecting") }

    /// What keeps it from being connected; nil if nothing does.
    var problem: String? {
        if let blocked { return blocked }
        if !running { return "stopped" }
        if connected { return nil }
        if let storeProblem { return "nothing can be recorded, so nothing is taken in: \(storeProblem)" }
        if let sessionProblem { return sessionProblem }
        if hasSession && guilds == 0 { return "the account is a member of no guild" }
        return guildProblems.min { $0.key < $1.key }?.value
    }

    /// Takes note of having been ready; afterwards a loss is a recovery, not a start.
    mutating func settle() {
        if connected { wasReady = true }
    }
}
