/// The rules of logging in and renewing as a value: events and times in, actions out. It starts nothing and waits for
/// nothing.
struct SessionCache {
    enum Action {
        case startLogin(agent: String, flight: UInt64)
        /// The login's answer is no longer wanted.
        case cancelLogin(flight: UInt64)
        case resume(waiter: UInt64, Result<Session, SessionError>)
        case publish(agent: String, [PublishedToken])
        case tell(agent: String, SessionUpdate)
    }

    /// The answer to a demand.
    enum Answer {
        case now(Result<Session, SessionError>)
        /// The waiter will be resumed by an action.
        case wait
    }

    var configuration: Sessions.Configuration
    /// Evenly drawn from 0 to 1.
    var chance: @Sendable () -> Double
    var actions: [Action] = []
    private(set) var counters = Counters()
    var entries = EntryTable()
    var alarms = DeadlineHeap()
    /// Flights that hold one of the login slots.
    var running: Set<UInt64> = []
    var queue = LoginQueue()
    var pace = LoginPace()
    /// When those that wait are looked at, because none may be started before; nil: they wait for a slot.
    var turnAt: ContinuousClock.Instant?
    /// Remarks that were made, without their numbers, and when.
    var noticed: [String: ContinuousClock.Instant] = [:]
    private var lastNumber: UInt64 = 0
    private var sweepIsPlanned = false

    struct Counters {
        var logins = 0
        var coalesced = 0
        var refused = 0
        var failed = 0
        var discarded = 0
    }

    init(configuration: Sessions.Configuration, chance: @escaping @Sendable () -> Double) {
        self.configuration = configuration
        self.chance = chance
    }

    /// When ``wake(_:)`` should be called next; nil if there is nothing to wake for.
    var nextWake: ContinuousClock.Instant? { alarms.earliest }

    /// Takes the actions collected since the last time, in the order in which they must be carried out.
    mutating func takeActions() -> [Action] {
        let taken = actions
        actions.removeAll()
        return taken
    }

    /// A number never given before: for flights and for the generations of timers.
    mutating func number() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    mutating func count(_ change: (inout Counters) -> Void) { change(&counters) }

    // MARK: Events

    /// Somebody wants a session, or the token of a guild.
    mutating func demand(
        _ agent: String, guild: String?, waiter: UInt64, now: ContinuousClock.Instant
    ) -> Answer {
        var entry = entries[agent] ?? SessionEntry()
        defer { store(entry, agent, now) }
        if let blocked = entry.blocked {
            return .now(.failure(SessionError(kind: .blocked, agent: agent, reason: blocked.reason)))
        }
        let usable = entry.usable(guild, now)
        if let usable, entry.isFresh(usable, now) { return .now(.success(usable)) }
        if entry.flight == nil, let guild, usable == nil, let session = entry.session, entry.lacks(guild),
            entry.isFresh(session, now), !mayTry(guild, &entry, now)
        {
            return .now(.failure(lacking(guild, agent, entry, session, now)))
        }
        if entry.flight == nil {
            if let pause = entry.pauseLeft(now) {
                if let usable { return .now(.success(usable)) }
                let kind = SessionError.Kind.unavailable(retryIn: pause)
                return .now(.failure(SessionError(kind: kind, agent: agent, reason: entry.lastFailure)))
            }
            takeOff(&entry, agent, isRenewal: false, now)
        } else {
            counters.coalesced += 1
        }
        entry.waiters.append(SessionEntry.Waiter(id: waiter, guild: guild))
        return .wait
    }

    /// A waiter no longer waits. The login it waited for goes on: its result is of use to the next.
    mutating func cancel(_ agent: String, waiter: UInt64, now: ContinuousClock.Instant) {
        guard var entry = entries[agent], let index = entry.waiters.firstIndex(where: { $0.id == waiter }) else {
            return
        }
        entry.waiters.remove(at: index)
        actions.append(
            .resume(
                waiter: waiter, .failure(SessionError(kind: .cancelled, agent: agent, reason: "the task was cancelled"))
            ))
        if let flight = entry.flight, !flight.isRunning, entry.waiters.isEmpty, !entry.isInUse {
            queue.remove(flight.id)
            entry.flight = nil
        }
        store(entry, agent, now)
    }

    /// A server refused `token`. Does nothing unless it is one of the agent's present tokens.
    mutating func invalidate(_ agent: String, token: String, now: ContinuousClock.Instant) {
        guard var entry = entries[agent], let session = entry.session, session.contains(token: token),
            entry.rejected.insert(token).inserted
        else { return }
        let isYoung = session.receivedAt.duration(to: now) < .seconds(5)
        entry.youngRejections = isYoung ? entry.youngRejections + 1 : 0
        if entry.youngRejections >= 5 {
            // A guild that refuses every new token must not turn into a stream of logins.
            let pause = RefreshPlan(configuration: configuration)
                .pause(failures: entry.youngRejections - 4, chance: chance())
            entry.notBefore = max(entry.notBefore ?? now, now.advanced(by: pause))
            entry.lastFailure = """
                a guild refuses tokens that Center has just issued; check the guild's connection to Center and its clock
                """
        }
        publish(entry, agent)
        if entry.isInUse, entry.flight == nil, entry.pauseLeft(now) == nil {
            takeOff(&entry, agent, isRenewal: false, now)
        }
        store(entry, agent, now)
    }

    /// A consumer begins to use the agent's session.
    mutating func subscribe(_ agent: String, subscriber: UInt64, now: ContinuousClock.Instant) {
        var entry = entries[agent] ?? SessionEntry()
        let isFirst = entry.subscribers.isEmpty
        entry.subscribers.insert(subscriber)
        if isFirst, let session = entry.session, entry.blocked == nil {
            planRenewal(&entry, agent, session, now)
            publish(entry, agent)
        }
        if isFirst { planBlockRetry(&entry, agent, now) }
        store(entry, agent, now)
    }

    /// A consumer is done. The last one takes the entry with it; only a block stays, so that restarts of a refused
    /// account do not become logins.
    mutating func unsubscribe(_ agent: String, subscriber: UInt64, now: ContinuousClock.Instant) {
        guard var entry = entries[agent], entry.subscribers.remove(subscriber) != nil else { return }
        guard entry.subscribers.isEmpty else {
            entries[agent] = entry
            return
        }
        entry.plan = nil
        entry.isRenewing = false
        if entry.waiters.isEmpty || entry.blocked != nil {
            drop(&entry, agent, now)
        } else {
            // Somebody without a subscription still waits: the entry lives on as one that nobody renews.
            publish(entry, agent)
            store(entry, agent, now)
        }
    }

    /// The agent's credentials are new: what was obtained with the old ones is forgotten, and a block is lifted.
    mutating func credentialsChanged(_ agent: String, now: ContinuousClock.Instant) {
        guard var entry = entries[agent] else { return }
        var fresh = SessionEntry()
        fresh.subscribers = entry.subscribers
        fresh.waiters = entry.waiters
        abandonFlight(&entry, now)
        entry = fresh
        publish(entry, agent)
        if !entry.waiters.isEmpty { takeOff(&entry, agent, isRenewal: false, now) }
        actions.append(.tell(agent: agent, .unblocked))
        store(entry, agent, now)
    }

    /// A session handed over from another instance. Ignored if it is dead, or older than what is here, or if the agent
    /// is blocked here.
    mutating func adopt(_ session: Session, now: ContinuousClock.Instant) {
        var entry = entries[session.agent] ?? SessionEntry()
        guard now < session.hardDeadline, entry.blocked == nil else { return }
        if let present = entry.session, present.receivedAt >= session.receivedAt { return }
        entry.session = session
        entry.rejected = []
        if entry.isInUse { planRenewal(&entry, session.agent, session, now) }
        publish(entry, session.agent)
        store(entry, session.agent, now)
    }

    /// Ends everything.
    mutating func shutDown(now: ContinuousClock.Instant) {
        // First the queue: a slot that falls free here must not be given to the next.
        queue = LoginQueue()
        for (agent, entry) in entries {
            var entry = entry
            endWaiters(&entry, agent, "the session cache was shut down")
            abandonFlight(&entry, now)
            actions.append(.publish(agent: agent, []))
        }
        entries.removeAll()
        forgetAlarms()
    }

    // MARK: Shared

    mutating func publish(_ entry: SessionEntry, _ agent: String) {
        actions.append(.publish(agent: agent, entry.published()))
    }

    mutating func endWaiters(_ entry: inout SessionEntry, _ agent: String, _ reason: String) {
        for waiter in entry.waiters {
            let error = SessionError(kind: .ended, agent: agent, reason: reason)
            actions.append(.resume(waiter: waiter.id, .failure(error)))
        }
        entry.waiters = []
    }

    /// Tells remarks for the operator, each kind once in a long while: of a thousand accounts one is enough.
    mutating func tellNotes(of session: Session, _ agent: String, _ now: ContinuousClock.Instant) {
        for note in session.notes {
            let kind = note.filter { !$0.isNumber }
            if let last = noticed[kind], now < last.advanced(by: configuration.noticeMemory) { continue }
            noticed[kind] = now
            actions.append(.tell(agent: agent, .notice(note)))
        }
    }

    /// Forgets an entry that nobody uses or waits for, except for its block.
    mutating func drop(_ entry: inout SessionEntry, _ agent: String, _ now: ContinuousClock.Instant) {
        abandonFlight(&entry, now)
        actions.append(.publish(agent: agent, []))
        guard var blocked = entry.blocked else {
            entries[agent] = nil
            return
        }
        var marker = SessionEntry()
        blocked.generation = 0
        marker.blocked = blocked
        store(marker, agent, now)
    }

    mutating func store(_ entry: SessionEntry, _ agent: String, _ now: ContinuousClock.Instant) {
        entries[agent] = entry
        if !sweepIsPlanned {
            sweepIsPlanned = true
            alarms.add(.sweep, at: now.advanced(by: configuration.sweepPeriod))
        }
    }

    private mutating func forgetAlarms() {
        alarms = DeadlineHeap()
        turnAt = nil
    }

    mutating func sweep(_ now: ContinuousClock.Instant) {
        sweepIsPlanned = false
        let dead = entries.filter { $0.value.isDead(now, blockMemory: configuration.blockMemory) }.map(\.key)
        for agent in dead {
            actions.append(.publish(agent: agent, []))
            entries[agent] = nil
        }
        guard !entries.isEmpty else {
            // What is left belongs to nobody: every alarm is about an entry.
            forgetAlarms()
            return
        }
        sweepIsPlanned = true
        alarms.add(.sweep, at: now.advanced(by: configuration.sweepPeriod))
    }
}
