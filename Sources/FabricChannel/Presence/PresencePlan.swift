import FabricAPI

/// What the guilds are told of an agent: its state on every change, each guild at most every 30 s, one request at a time.
///
/// A plain value: what happened goes in, what is to be said comes out.
struct PresencePlan: Sendable {
    /// What the gateway says of an agent, and what the guilds call it.
    enum State: String, Sendable, CaseIterable {
        case idle, working, busy, offline

        var fabric: String { self == .working ? "on_call" : rawValue }
    }

    struct Put: Equatable, Sendable {
        var guild: String
        var state: State
    }

    private struct Guild {
        /// Nil where it may have forgotten, and where no answer told that it was said.
        var said: State?
        /// Something else than offline was sent to it: whether or not its answer came, it may show it.
        var mayShow = false
        /// Before this nothing is said to it.
        var next: ContinuousClock.Instant?
    }

    /// How often a guild is told at most.
    static let pause: Duration = .seconds(30)

    private(set) var wanted: State?
    private var guilds: [String: Guild] = [:]
    private var underWay: Put?
    /// The task that says what is under way.
    private(set) var task: UInt64?
    private var isLeaving = false

    /// The gateway says what the agent does.
    mutating func set(_ state: State) { wanted = state }

    /// A guild is connected: what it was told before may be forgotten there.
    mutating func connected(_ guild: String) { guilds[guild, default: Guild()].said = nil }

    /// The session has the guild no more.
    mutating func keep(_ known: Set<String>) { guilds = guilds.filter { known.contains($0.key) } }

    /// The agent goes: nothing more is said of it but that, or it would be there again for ever.
    mutating func leave() { isLeaving = true }

    /// What to say now, if anything; it is under way until ``ended(_:isGood:now:)``.
    mutating func next(now: ContinuousClock.Instant) -> Put? {
        guard underWay == nil, !isLeaving, let wanted else { return nil }
        let due = guilds.filter { $0.value.said != wanted && ($0.value.next ?? now) <= now }
        // In a fixed order, so that no guild waits for ever behind one that fails: that one waits for its pause.
        guard let guild = due.keys.min() else { return nil }
        underWay = Put(guild: guild, state: wanted)
        if wanted != .offline { guilds[guild]?.mayShow = true }
        return underWay
    }

    /// - Parameter task: who says what ``next(now:)`` gave.
    mutating func began(by task: UInt64) { self.task = task }

    mutating func ended(_ put: Put, isGood: Bool, now: ContinuousClock.Instant) {
        guard underWay == put else { return }
        underWay = nil
        task = nil
        guard guilds[put.guild] != nil else { return }
        guilds[put.guild]?.next = now.advanced(by: Self.pause)
        guard isGood else { return }
        guilds[put.guild]?.said = put.state
        guilds[put.guild]?.mayShow = put.state != .offline
    }

    /// When ``next(now:)`` may have something to say.
    var due: ContinuousClock.Instant? {
        guard underWay == nil, !isLeaving, let wanted else { return nil }
        return guilds.values.filter { $0.said != wanted }.compactMap(\.next).min()
    }

    /// The agent goes: the guilds that may think it is there.
    var farewells: [String] { guilds.filter { $0.value.mayShow }.keys.sorted() }
}
