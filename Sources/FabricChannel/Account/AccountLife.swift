import FabricAPI

/// The life of an account as the gateway is told it: derived from what is known, never set by hand, so that two readers
/// cannot disagree.
struct AccountLife: Sendable {
    enum Lifecycle: String, Sendable {
        case starting, ready, recovering, blocked, stopped, standby
    }

    private(set) var running = false
    /// Center refused the credentials: terminal until they change or the operator asks.
    private(set) var blocked: String?
    /// Why there is no session at the moment.
    private var sessionProblem: String?
    private(set) var hasSession = false
    /// The user that is kept for other gateways; see `Account.keepUser`.
    private var keptUser: String?
    /// What the session says of its guilds.
    private(set) var guildInfos: [String: FabricGuildInfo] = [:]
    private var guilds = 0
    private var readyGuilds = 0
    /// Why guilds are not connected, by their numbers.
    private var guildProblems: [Int: String] = [:]
    /// Why nothing can be recorded at the moment.
    private var storeProblem: String?
    private var wasReady = false

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
}

/// What happens to it.
extension AccountLife {
    mutating func started(keptUser: String?) {
        running = true
        self.keptUser = keptUser
    }

    mutating func stopped() { running = false }

    mutating func sessionBegan(_ guilds: [FabricGuildInfo]) {
        blocked = nil
        sessionProblem = nil
        hasSession = true
        learned(guilds)
    }

    /// What a session says of its guilds; of one that is named twice, the first.
    mutating func learned(_ guilds: [FabricGuildInfo]) {
        guildInfos = Dictionary(guilds.map { ($0.nodeId, $0) }) { first, _ in first }
    }

    mutating func loginFailed(_ reason: String) { sessionProblem = reason }
    mutating func loginsRecovered() { sessionProblem = nil }

    /// False if it was blocked already.
    mutating func block(_ reason: String) -> Bool {
        guard blocked == nil else { return false }
        blocked = reason
        return true
    }

    /// False if it was not blocked.
    mutating func unblock() -> Bool {
        defer { blocked = nil }
        return blocked != nil
    }

    /// Whether this user is another than the one that is kept; it counts as kept then.
    mutating func isNewUser(_ user: String) -> Bool {
        defer { keptUser = user }
        return keptUser != user
    }

    /// False if the same was known.
    @discardableResult
    mutating func guildFailed(_ number: Int, _ nodeId: String, _ reason: String) -> Bool {
        let problem = "guild \(nodeId): \(reason)"
        return guildProblems.updateValue(problem, forKey: number) != problem
    }

    /// It is connected, or no guild of the account any more.
    mutating func nothingWrong(with number: Int) { guildProblems[number] = nil }

    /// What it comes to. Afterwards a loss is a recovery, not a start, if it has been ready.
    /// - Parameter away: the numbers of the guilds that are not ready.
    mutating func settle(guilds: Int, ready: Int, away: @autoclosure () -> Set<Int>, storeProblem: String?) {
        if guilds != self.guilds || ready != readyGuilds {
            (self.guilds, readyGuilds) = (guilds, ready)
            let away = away()
            guildProblems = guildProblems.filter { away.contains($0.key) }
        }
        self.storeProblem = storeProblem
        if connected { wasReady = true }
    }
}
