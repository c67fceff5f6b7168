import JSONBytes
import Timing

/// The host's side of the Agent Client Protocol, version 1, as a value: one agent's process with its sessions and turns.
///
/// A conversation has one session, and a session one turn at a time. The process is started again when it ends, after a
/// pause that doubles; turns that were with it fail, those that wait go to the next.
struct ACPClient: Sendable {
    typealias Instant = ContinuousClock.Instant
    typealias TurnID = UInt64

    /// A conversation of an account.
    struct Key: Hashable, Sendable {
        var account: String
        var conversation: String
    }

    struct Limits: Equatable, Sendable {
        var sessions = 16
        /// From when the turn came to its end.
        var turn: Duration = .seconds(600)
        /// For the answers to `initialize` and `session/new`.
        var start: Duration = .seconds(60)
        /// For a cancelled turn to end by itself.
        var grace: Duration = .seconds(5)
        /// Bytes of an answer.
        var output = 1 << 20
        /// The pause after the first end; it doubles up to the longest, and is forgotten after a good time.
        var firstPause: Duration = .seconds(1)
        var longestPause: Duration = .seconds(60)
        var goodTime: Duration = .seconds(60)
    }

    /// A turn that comes.
    struct Wanted: Equatable, Sendable {
        var key: Key
        var prompt: [JSONValue]
        /// `mcpServers` of the session, if this turn is the first of it.
        var servers: [JSONValue]
    }

    enum Outcome: Equatable, Sendable {
        /// What the agent said; empty: nothing.
        case said(String)
        case failed(String)
        /// The gateway gave it up.
        case cancelled
    }

    enum Action: Equatable, Sendable {
        /// Start the process; `ended` comes when it could not be, or when it is over.
        case start
        case write(JSONValue)
        /// End the process, whatever it does.
        case kill
        case finish(TurnID, Outcome)
        /// For the log.
        case note(String)
    }

    enum Phase: Equatable, Sendable {
        case down(until: Instant?)
        case starting
        case ready
        /// No more turns; it does not come up again.
        case over
    }

    enum Request: Equatable, Sendable {
        case initialize
        case authenticate
        case open(Key)
        case load(Key)
        case prompt(TurnID, Key)
        case other
    }

    struct Session: Equatable, Sendable {
        enum State: Equatable, Sendable {
            /// Of a process that is gone: `id` may be loaded by the next, if that can.
            case remembered
            case opening(since: Instant)
            case idle
            case busy(TurnID)
            /// Its turn is over for us; the agent has been asked to end it.
            case ending(TurnID, since: Instant)
        }
        var id: String?
        var state: State
        var used: UInt64
    }

    struct Turn: Sendable {
        var wanted: Wanted
        var since: Instant
        var text = ""
        /// Something else came between the parts of the text.
        var isBroken = false
    }

    let name: String
    let settings: ACPPolicy
    let limits: Limits
    var phase: Phase = .down(until: nil)
    var phaseSince: Instant?
    /// It goes when its turns are over.
    var isRetiring = false
    var failures = 0
    /// Why the present process is being ended.
    var cause: String?
    /// Why the one before ended; nil once one is ready.
    var lastEnd: String?
    /// Lines of the present process that were no messages.
    var strays = 0
    var requests: [Int64: Request] = [:]
    var lastRequest: Int64 = 0
    var sessions: [Key: Session] = [:]
    var turns: [TurnID: Turn] = [:]
    var waiting: [TurnID] = []
    var uses: UInt64 = 0
    var abilities = ACPAbilities()

    init(name: String, settings: ACPPolicy, limits: Limits) {
        self.name = name
        self.settings = settings
        self.limits = limits
    }

    // MARK: events

    /// Brings the process up, before the first turn needs it.
    mutating func begin(at now: Instant) -> [Action] { step(now) }

    /// A turn comes.
    mutating func submit(_ id: TurnID, _ wanted: Wanted, at now: Instant) -> [Action] {
        guard phase != .over, !isRetiring else { return [.finish(id, .failed("the agent \(name) is no more"))] }
        turns[id] = Turn(wanted: wanted, since: now)
        waiting.append(id)
        return step(now)
    }

    /// A turn is to end: the gateway stops, or somebody said so.
    mutating func cancel(_ id: TurnID, at now: Instant) -> [Action] {
        var actions: [Action] = []
        end(id, as: .cancelled, now, &actions)
        return actions + step(now)
    }

    /// The conversation begins anew with its next turn.
    /// - Returns: also whether there was one.
    mutating func renew(_ key: Key, at now: Instant) -> (had: Bool, actions: [Action]) {
        guard let session = sessions[key] else { return (false, []) }
        var actions: [Action] = []
        if case .busy(let id) = session.state { end(id, as: .cancelled, now, &actions) }
        forget(key, &actions)
        return (true, actions + step(now))
    }

    /// Whether what was said in a conversation is still known where its next turn goes.
    func remembers(_ key: Key) -> Bool {
        guard let session = sessions[key] else { return false }
        return session.state != .remembered || abilities.loads
    }

    /// The process is over, or could not be started.
    mutating func ended(_ reason: String, at now: Instant) -> [Action] {
        var actions: [Action] = []
        let wasStarting = phase == .starting
        // Why it was ended says more than how.
        let reason = cause ?? reason
        (cause, lastEnd) = (nil, reason)
        if let since = phaseSince, phase == .ready, now - since >= limits.goodTime { failures = 0 }
        failures += 1
        for id in turns.keys.sorted() {
            // Those that were not with it wait for the next, unless it does not even come up.
            let isWaiting = waiting.contains(id)
            guard !isWaiting || wasStarting || phase == .over else { continue }
            finish(id, .failed(reason), &actions)
        }
        requests = [:]
        strays = 0
        for (key, session) in sessions {
            if session.id == nil { sessions[key] = nil } else { sessions[key]?.state = .remembered }
        }
        guard phase != .over else { return actions }
        let pause = Backoff(limits.firstPause, upTo: limits.longestPause).delay(step: failures - 1)
        phase = .down(until: now.advanced(by: pause))
        phaseSince = nil
        actions.append(.note("\(reason); it is started again in \(Int((pause / .seconds(1)).rounded(.up))) s"))
        return actions
    }

    /// No more turns: those under way end, and then the process.
    mutating func retire(at now: Instant, atOnce: Bool) -> [Action] {
        var actions: [Action] = []
        isRetiring = true
        if atOnce { for id in turns.keys.sorted() { finish(id, .cancelled, &actions) } }
        return actions + step(now)
    }

    /// Time has passed.
    mutating func tick(_ now: Instant) -> [Action] {
        var actions: [Action] = []
        if phase == .starting, let since = phaseSince, now - since >= limits.start {
            let reason =
                "it did not answer initialize within \(limits.start / .seconds(1)) s; see agents.\(name).acp.startSeconds"
            actions.append(.note(reason))
            actions.append(.kill)
            cause = cause ?? reason
            phaseSince = now
        }
        for (key, session) in sessions {
            switch session.state {
            case .opening(let since) where now - since >= limits.start:
                fail(key, "the agent did not open a session within \(Int(limits.start / .seconds(1))) s", &actions)
            case .ending(_, let since) where now - since >= limits.grace:
                // It does not listen: the conversation begins anew, and the others are not held up.
                actions.append(.note("it did not end a cancelled turn within \(Int(limits.grace / .seconds(1))) s"))
                forget(key, &actions)
            default: break
            }
        }
        for (id, turn) in turns.sorted(by: { $0.key < $1.key }) {
            guard now - turn.since >= limits.turn else { continue }
            let seconds = limits.turn / .seconds(1)
            end(
                id, as: .failed("the agent took longer than \(seconds) s; see agents.\(name).timeoutSeconds"), now,
                &actions)
        }
        return actions + step(now)
    }

    /// When `tick` has something to do; `nil`: not before something comes.
    var nextTick: Instant? {
        var times: [Instant] = []
        if case .down(let until?) = phase { times.append(until) }
        if phase == .starting, let since = phaseSince { times.append(since.advanced(by: limits.start)) }
        for session in sessions.values {
            switch session.state {
            case .opening(let since): times.append(since.advanced(by: limits.start))
            case .ending(_, let since): times.append(since.advanced(by: limits.grace))
            default: break
            }
        }
        for turn in turns.values { times.append(turn.since.advanced(by: limits.turn)) }
        return times.min()
    }

    // MARK: what follows

    /// Does whatever can be done now.
    mutating func step(_ now: Instant) -> [Action] {
        var actions: [Action] = []
        if isRetiring, turns.isEmpty, phase != .over {
            let isUp = phase == .starting || phase == .ready
            (phase, phaseSince) = (.over, nil)
            return isUp ? [.kill] : []
        }
        if case .down(let until) = phase, until.map({ now >= $0 }) ?? true {
            phase = .starting
            phaseSince = now
            actions.append(.start)
            actions.append(request("initialize", ACPMessages.initialize, .initialize))
        }
        guard phase == .ready else { return actions }
        for id in waiting {
            guard let turn = turns[id] else { continue }
            let key = turn.wanted.key
            switch sessions[key]?.state {
            case .idle: prompt(id, turn, &actions)
            case .opening, .busy, .ending: break
            case .remembered where abilities.loads: open(key, turn.wanted.servers, now, &actions)
            case .remembered, nil:
                guard sessions[key] != nil || makeRoom(&actions) else { break }
                sessions[key] = nil
                open(key, turn.wanted.servers, now, &actions)
            }
        }
        return actions
    }

    private mutating func open(_ key: Key, _ servers: [JSONValue], _ now: Instant, _ actions: inout [Action]) {
        uses += 1
        let id = sessions[key]?.id
        sessions[key] = Session(id: id, state: .opening(since: now), used: uses)
        let parameters = ACPMessages.session(id, directory: settings.directory, servers: servers)
        actions.append(
            id == nil
                ? request("session/new", parameters, .open(key)) : request("session/load", parameters, .load(key)))
    }

    private mutating func prompt(_ id: TurnID, _ turn: Turn, _ actions: inout [Action]) {
        let key = turn.wanted.key
        guard let session = sessions[key]?.id else { return }
        uses += 1
        sessions[key]?.state = .busy(id)
        sessions[key]?.used = uses
        waiting.removeAll { $0 == id }
        actions.append(
            request(
                "session/prompt", ["sessionId": .string(session), "prompt": .array(turn.wanted.prompt)],
                .prompt(id, key)))
    }

    /// Room for one more session: the one that was not used for longest goes.
    private mutating func makeRoom(_ actions: inout [Action]) -> Bool {
        guard sessions.count >= limits.sessions else { return true }
        let free = sessions.filter { $0.value.state == .idle || $0.value.state == .remembered }
        guard let oldest = free.min(by: { $0.value.used < $1.value.used })?.key else { return false }
        forget(oldest, &actions)
        return true
    }

    mutating func forget(_ key: Key, _ actions: inout [Action]) {
        guard let session = sessions.removeValue(forKey: key), let id = session.id, session.state != .remembered else {
            return
        }
        if abilities.closes, phase == .ready {
            actions.append(request("session/close", ["sessionId": .string(id)], .other))
        }
    }

    mutating func end(_ id: TurnID, as outcome: Outcome, _ now: Instant, _ actions: inout [Action]) {
        guard let key = turns[id]?.wanted.key else { return }
        if case .busy(id) = sessions[key]?.state, let session = sessions[key]?.id {
            sessions[key]?.state = .ending(id, since: now)
            actions.append(.write(ACPMessages.notification("session/cancel", ["sessionId": .string(session)])))
        }
        finish(id, outcome, &actions)
    }

    /// A turn is over.
    mutating func finish(_ id: TurnID, _ outcome: Outcome, _ actions: inout [Action]) {
        guard let turn = turns.removeValue(forKey: id) else { return }
        waiting.removeAll { $0 == id }
        if case .busy(id) = sessions[turn.wanted.key]?.state { sessions[turn.wanted.key]?.state = .idle }
        actions.append(.finish(id, outcome))
    }

    /// A session could not be opened: the turns that wait for it fail.
    mutating func fail(_ key: Key, _ reason: String, _ actions: inout [Action]) {
        sessions[key] = nil
        for (number, request) in requests where request == .open(key) || request == .load(key) {
            requests[number] = nil
        }
        for id in waiting where turns[id]?.wanted.key == key { finish(id, .failed(reason), &actions) }
    }

    mutating func request(_ method: String, _ parameters: JSONValue, _ kind: Request) -> Action {
        lastRequest += 1
        requests[lastRequest] = kind
        return .write(ACPMessages.request(lastRequest, method, parameters))
    }
}
