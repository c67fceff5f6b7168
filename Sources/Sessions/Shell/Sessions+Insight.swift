import FabricAPI

/// How the cache is doing.
public struct SessionStatistics: Sendable, Equatable {
    /// Agents with an entry.
    public var total = 0
    /// Entries whose session may be served now.
    public var valid = 0
    /// Entries with a session past its hard lifetime.
    public var expired = 0
    /// Entries whose credentials were refused.
    public var blocked = 0
    /// Entries with at least one subscription.
    public var inUse = 0
    /// Logins begun since the start.
    public var logins = 0
    /// Callers that joined a login that was under way.
    public var coalesced = 0
    /// Logins that Center refused.
    public var refused = 0
    /// Logins that failed for a passing reason.
    public var failed = 0
    /// Logins whose answer came after nobody wanted it.
    public var discarded = 0
    /// Logins running now.
    public var running = 0
    /// Logins waiting for a slot.
    public var queued = 0
}

/// A session on its way from one instance to the next in the same process. It holds tokens in the clear and times that
/// mean nothing elsewhere: never write it to a disk.
public struct SessionSnapshot: Sendable, Codable {
    let agent: String
    let fabric: FabricSession
    let receivedAt: ContinuousClock.Instant
    let softDeadline: ContinuousClock.Instant
    let hardDeadline: ContinuousClock.Instant
    let expiries: [String: ContinuousClock.Instant]
    let knownLifetime: Duration?
    let lifetimeIsStated: Bool
    let notes: [String]

    init(_ session: Session) {
        agent = session.agent
        fabric = session.fabric
        receivedAt = session.receivedAt
        softDeadline = session.softDeadline
        hardDeadline = session.hardDeadline
        expiries = Dictionary(session.tokens.map { ($0.guild, $0.expiresAt) }, uniquingKeysWith: { first, _ in first })
        knownLifetime = session.knownLifetime
        lifetimeIsStated = session.lifetimeIsStated
        notes = session.notes
    }

    var session: Session {
        let endpoints = Dictionary(
            fabric.guilds.map { ($0.nodeId, $0.endpoint) }, uniquingKeysWith: { first, _ in first })
        let tokens = fabric.guildAccessTokens.sorted { $0.key < $1.key }.compactMap { guild, token in
            expiries[guild].map {
                GuildToken(token: token, guild: guild, endpoint: endpoints[guild] ?? "", expiresAt: $0)
            }
        }
        return Session(
            agent: agent, fabric: fabric, receivedAt: receivedAt, softDeadline: softDeadline,
            hardDeadline: hardDeadline, notes: notes, tokens: tokens, knownLifetime: knownLifetime,
            lifetimeIsStated: lifetimeIsStated)
    }
}

extension SessionSnapshot: CustomStringConvertible, CustomReflectable {
    public var description: String { "snapshot of \(agent)'s session" }
    public var customMirror: Mirror { Mirror(self, children: ["agent": agent]) }
}

extension Sessions {
    /// Counts.
    public var statistics: SessionStatistics {
        state.withLock { $0.cache.statistics(now: clock.now()) }
    }

    /// Whether a login of the agent waits until others are through.
    public func isQueued(_ agent: String) -> Bool { state.withLock { $0.cache.isQueued(agent) } }

    /// The agent's session for another instance in this process; nil if there is none that may still be served.
    public func export(_ agent: String) -> SessionSnapshot? {
        state.withLock { $0.cache.entries[agent]?.usable(nil, clock.now()) }.map { SessionSnapshot($0) }
    }

    /// Takes over a session another instance exported. Ignored if it is dead or older than what is here.
    public func importSnapshot(_ agent: String, _ snapshot: SessionSnapshot) {
        guard snapshot.agent == agent else { return }
        change { cache, now in cache.adopt(snapshot.session, now: now) }
    }

    /// Who hears what happens to a session.
    struct Listener {
        var tell: @Sendable (SessionUpdate) -> Void
    }

    /// Tells what happens to the agent's session from now on, in order, until the subscription is cancelled or dropped.
    /// - Parameter tell: called with a lock held, on any thread: it may only pass the news on.
    public func listen(to agent: String, _ tell: @escaping @Sendable (SessionUpdate) -> Void) -> SessionSubscription {
        guard let number = add(Listener(tell: tell), to: agent) else {
            return SessionSubscription(agent: agent) {}
        }
        return SessionSubscription(agent: agent) { [weak self] in self?.stopListening(agent, number) }
    }

    /// nil after ``shutdown()``.
    private func add(_ listener: Listener, to agent: String) -> UInt64? {
        state.withLock { state in
            guard !state.isShutDown else { return nil }
            let number = state.cache.number()
            state.listeners[agent, default: [:]][number] = listener
            return number
        }
    }

    private func stopListening(_ agent: String, _ number: UInt64) {
        let ended = state.withLock { state in
            let ended = state.listeners[agent]?.removeValue(forKey: number)
            if state.listeners[agent]?.isEmpty == true { state.listeners[agent] = nil }
            return ended
        }
        // Released here, outside the lock: what it holds may call back.
        _ = ended
    }
}
