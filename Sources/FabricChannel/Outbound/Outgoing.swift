import ChannelStore

/// What goes out for one account: messages on their way to the guilds, and what agents say during turns that are not over.
///
/// A plain value with one entrance, like `Inbox`. Nothing is sent before the store has it, so that a crash at any point goes
/// on with the same message and the same idempotency key. What was accepted keeps the order of its channel. The end of a
/// turn and its answer are one commit: after a crash there is either the turn to run again, or the answer to send.
struct Outgoing {
    struct Settings: Sendable, Equatable {
        /// Whether the texts of one turn become one message when it ends.
        var coalesces = true
    }

    enum Event {
        /// A message, from the gateway. `entry` is its id in the outbox unless it belongs to a turn; `floor` the position
        /// it will lie behind.
        case send(SendRequest, request: UInt64, key: ChannelKey, isTurn: Bool, entry: String, floor: Int64?)
        case turnEnded(Inbox.EndedTurn, floor: Int64?)
        /// The agent posted in the turn's conversation by other means: silence at its end is not a pass.
        case spoke(String)
        /// The files of a message were kept (with their new paths), or cannot be read.
        case filesKept(String, [StoredMedia])
        case filesLost(String, reason: String)
        /// Everything committed up to this ticket is kept.
        case stored(UInt64)
        case uploaded(String, index: Int, answer: [UInt8])
        case posted(String, messageId: String, sequence: Int64?)
        case notFound(String)
        case failed(String, Outbox.Failure, posting: Bool)
        case tick
        case resubmit(String)
        case drop(String)
        /// The account stops: what is kept is sent by the next run, what is not is told so.
        case stop
    }

    enum Action: Equatable {
        /// Keep the files of a message where they outlive the turn.
        case keepFiles(String, [StoredMedia])
        case dropFiles(String)
        case removeMedia(String)
        case commit([StoreChange], ticket: UInt64)
        case upload(String, index: Int)
        case post(String)
        case readBack(String)
        /// Our message is in the guild's log.
        case inLog(ChannelKey, sequence: Int64)
        case answer([UInt64], Answer)
        case failed(String, reason: String)
        case statusChanged
    }

    /// What a request is answered.
    enum Answer: Equatable, Sendable {
        case sent(messageId: String, sequence: Int64?)
        /// It can never be sent; whether it is kept as a dead letter.
        case dead(entry: String, reason: String, isKept: Bool)
        case turnFailed
        case filesLost(reason: String)
        /// The account stopped; whether the message is kept and sent by the next run.
        case stopped(isKept: Bool)
    }

    /// Messages that are committed together, once the files of all of them are kept.
    private struct Acceptance {
        var entries: [String]
        var waitingFor: Set<String>
        var changes: [StoreChange]
        var mediaDirectory: String?
    }

    var settings: Settings
    private(set) var outbox: Outbox
    private var replies = TurnReplies()
    /// Messages sent so far within a turn, when they are not coalesced.
    private var segments: [String: Int] = [:]
    /// Turns that are not over, in whose conversation a tool posted.
    private var spoken: Set<String> = []
    /// Turns that another instance began: how many messages it sent of them is not known, so theirs are numbered apart.
    private var takenOver: [String: String] = [:]
    private var acceptances: [Acceptance] = []
    private var requests: [String: [UInt64]] = [:]
    /// The messages of this run that belong to no turn.
    private var singles: Set<String> = []
    private var storing: [(ticket: UInt64, entries: [String])] = []
    /// What came from the run before, until the store is asked whether it has it.
    private var restored: [String]
    private var nextTicket: UInt64 = 0
    private var isStopped = false

    /// - Parameters:
    ///   - stored: what is kept of the account.
    ///   - takenOver: the turns that go on from another instance.
    init(settings: Settings, stored: StoredAccount, takenOver: [String] = [], seed: UInt64) {
        self.settings = settings
        var random = SplitMix64(state: seed)
        outbox = Outbox(
            restored: stored.outbox, lastPosts: LastPosts(notes: stored.notes), seed: random.next())
        restored = outbox.unconfirmed
        for turn in takenOver { self.takenOver[turn] = String(random.next(), radix: 16) }
    }

    // MARK: What others may ask

    var kept: [OutboxEntry] { outbox.kept }
    var due: ContinuousClock.Instant? { outbox.due }
    var isQuiet: Bool { outbox.count == 0 }
    /// Messages that are not posted yet.
    var count: Int { outbox.count }
    var deadLetters: [OutboxEntry] { outbox.deadLetters }
    var deadCount: Int { outbox.deadCount }
    func isDead(_ entry: String) -> Bool { outbox.isDead(entry) }
    func entry(_ id: String) -> OutboxEntry? { outbox.entry(id) }
    /// What keeps the messages of a conversation from being posted.
    func problem(of key: ChannelKey) -> String? { outbox.problem(of: key) }
    /// What has kept messages from being posted for longest.
    func longestProblem(now: ContinuousClock.Instant) -> (reason: String, since: ContinuousClock.Instant)? {
        outbox.longestProblem(now: now)
    }

    // MARK: The entrance

    mutating func handle(_ event: Event, now: ContinuousClock.Instant, _ actions: inout [Action]) {
        guard !isStopped else { return }
        switch event {
        case .send(let send, let request, let key, let isTurn, let entry, let floor):
            self.send(send, request, key, isTurn: isTurn, entry: entry, floor: floor, now, &actions)
        case .turnEnded(let turn, let floor): turnEnded(turn, floor: floor, now, &actions)
        case .spoke(let turn): spoken.insert(turn)
        case .filesKept(let entry, let media):
            outbox.filesKept(entry, media)
            filesReady(entry, now, &actions)
        case .filesLost(let entry, let reason):
            actions.append(.answer(requests.removeValue(forKey: entry) ?? [], .filesLost(reason: reason)))
            singles.remove(entry)
            actions.append(.dropFiles(entry))
            perform(outbox.withdraw(entry, now: now), &actions)
            for index in acceptances.indices { acceptances[index].entries.removeAll { $0 == entry } }
            filesReady(entry, now, &actions)
        case .stored(let ticket): stored(ticket, now, &actions)
        case .uploaded(let entry, let index, let answer):
            perform(outbox.uploaded(entry, index: index, answer: answer, now: now), &actions)
        case .posted(let entry, let messageId, let sequence):
            if let sequence, let key = outbox.entry(entry)?.key {
                actions.append(.inLog(key, sequence: sequence))
            }
            perform(outbox.posted(entry, messageId: messageId, sequence: sequence, now: now), &actions)
        case .notFound(let entry): perform(outbox.notFound(entry, now: now), &actions)
        case .failed(let entry, .final(let reason), _) where isTold(entry):
            // Whoever sent it hears it now, and can mend it: a dead letter would be for those who cannot be told.
            let waiting = requests.removeValue(forKey: entry) ?? []
            singles.remove(entry)
            perform(outbox.refuse(entry, now: now), &actions)
            actions.append(.dropFiles(entry))
            actions.append(.answer(waiting, .dead(entry: entry, reason: reason, isKept: false)))
            actions.append(.statusChanged)
        case .failed(let entry, let failure, let posting):
            if case .final = failure {} else { actions.append(.failed(entry, reason: failure.words)) }
            perform(outbox.failed(entry, failure, posting: posting, now: now), &actions)
            actions.append(.statusChanged)
        case .tick:
            confirmRestored(&actions)
            perform(outbox.wake(now: now), &actions)
        case .resubmit(let entry):
            perform(outbox.resubmit(entry, now: now) ?? [], &actions)
            actions.append(.statusChanged)
        case .drop(let entry):
            if let dropped = outbox.drop(entry) {
                perform(dropped, &actions)
                actions += [.dropFiles(entry), .statusChanged]
            }
        case .stop: stop(&actions)
        }
    }

    // MARK: Accepting

    private mutating func send(
        _ send: SendRequest, _ request: UInt64, _ key: ChannelKey, isTurn: Bool, entry: String, floor: Int64?,
        _ now: ContinuousClock.Instant, _ actions: inout [Action]
    ) {
        guard isTurn, let delivery = send.delivery else {
            // The late answer of a turn that is over has nobody who would send it again.
            if send.delivery == nil { singles.insert(entry) }
            return accept(entry, send, request, key, floor, now, &actions)
        }
        if settings.coalesces {
            replies.add(
                delivery: delivery, key: key, text: send.text, media: send.media, replyTo: send.replyTo,
                request: request)
            return
        }
        // Numbered within the turn, so that the same turn, run again, repeats the same keys.
        let number = (segments[delivery] ?? 0) &+ 1
        segments[delivery] = number
        let name = takenOver[delivery].map { "\($0)-\(number)" } ?? "\(number)"
        accept("\(delivery)#s\(name)", send, request, key, floor, now, &actions)
    }

    /// Whether a message is no turn's, its sender waits for it, and this was the first attempt.
    private func isTold(_ entry: String) -> Bool {
        singles.contains(entry) && requests[entry]?.isEmpty == false && !outbox.hasFailed(entry)
    }

    private mutating func accept(
        _ entry: String, _ send: SendRequest, _ request: UInt64, _ key: ChannelKey, _ floor: Int64?,
        _ now: ContinuousClock.Instant, _ actions: inout [Action]
    ) {
        let reply = TurnReplies.Reply(
            key: key, texts: [send.text], media: send.media, replyTo: send.replyTo, requests: [request])
        accept([(entry, reply)], floor: floor, changes: [], mediaDirectory: nil, now, &actions)
    }

    private mutating func turnEnded(
        _ turn: Inbox.EndedTurn, floor: Int64?, _ now: ContinuousClock.Instant, _ actions: inout [Action]
    ) {
        let said = segments.removeValue(forKey: turn.id) ?? 0
        takenOver[turn.id] = nil
        let hasSpoken = spoken.remove(turn.id) != nil || said > 0
        var answers = replies.end(turn.id)
        if turn.outcome == .failed {
            // Half an answer is none: whoever failed did not finish what it was saying.
            let waiting = answers.flatMap(\.requests)
            if !waiting.isEmpty { actions.append(.answer(waiting, .turnFailed)) }
            answers = []
        }
        if answers.isEmpty, !hasSpoken, turn.mustAnswer {
            answers = [.noReply(to: ChannelKey(guild: turn.guild, channel: turn.channel))]
        }
        accept(
            answers.enumerated().map { ("\(turn.id)#\($0)", $1) }, floor: floor,
            changes: [.settled(delivery: turn.id)], mediaDirectory: turn.mediaDirectory, now, &actions)
    }

    /// Puts messages into the outbox; they are committed together with `changes`.
    private mutating func accept(
        _ messages: [(String, TurnReplies.Reply)], floor: Int64?, changes: [StoreChange], mediaDirectory: String?,
        _ now: ContinuousClock.Instant, _ actions: inout [Action]
    ) {
        var acceptance = Acceptance(entries: [], waitingFor: [], changes: changes, mediaDirectory: mediaDirectory)
        for (entry, reply) in messages {
            if let reason = outbox.deadReason(entry) {
                // A turn that is run again says what was given up before: nothing will become of it by itself.
                actions.append(.answer(reply.requests, .dead(entry: entry, reason: reason, isKept: true)))
                continue
            }
            requests[entry, default: []] += reply.requests
            guard !outbox.contains(entry) else { continue }
            let text = reply.texts.filter { !$0.isEmpty }.joined(separator: "\n\n")
            outbox.accept(
                id: entry, key: reply.key, text: text, media: reply.media, replyTo: reply.replyTo, floor: floor)
            acceptance.entries.append(entry)
            guard !reply.media.isEmpty else { continue }
            acceptance.waitingFor.insert(entry)
            actions.append(.keepFiles(entry, reply.media))
        }
        if acceptance.waitingFor.isEmpty {
            commit(acceptance, &actions)
        } else {
            acceptances.append(acceptance)
        }
    }

    private mutating func filesReady(
        _ entry: String, _ now: ContinuousClock.Instant, _ actions: inout [Action]
    ) {
        for index in acceptances.indices { acceptances[index].waitingFor.remove(entry) }
        let complete = acceptances.filter(\.waitingFor.isEmpty)
        acceptances.removeAll(where: \.waitingFor.isEmpty)
        for acceptance in complete { commit(acceptance, &actions) }
    }

    private mutating func commit(_ acceptance: Acceptance, _ actions: inout [Action]) {
        var changes: [StoreChange] = []
        for entry in acceptance.entries {
            for case .store(let change) in outbox.keep(entry) { changes.append(change) }
        }
        changes += acceptance.changes
        if let directory = acceptance.mediaDirectory { actions.append(.removeMedia(directory)) }
        guard !changes.isEmpty else { return }
        nextTicket += 1
        actions.append(.commit(changes, ticket: nextTicket))
        if !acceptance.entries.isEmpty { storing.append((nextTicket, acceptance.entries)) }
    }

    /// An instance before this one may have ended while the store took nothing. A commit of nothing is answered when
    /// everything before it is kept.
    private mutating func confirmRestored(_ actions: inout [Action]) {
        guard !restored.isEmpty else { return }
        nextTicket += 1
        actions.append(.commit([], ticket: nextTicket))
        storing.append((nextTicket, restored))
        restored = []
    }

    private mutating func stored(_ ticket: UInt64, _ now: ContinuousClock.Instant, _ actions: inout [Action]) {
        while let first = storing.first, first.ticket <= ticket {
            storing.removeFirst()
            for entry in first.entries {
                guard let key = outbox.entry(entry)?.key else { continue }
                outbox.stored(entry)
                perform(outbox.wake(key, now: now), &actions)
            }
        }
    }

    // MARK: Carrying on

    private mutating func perform(_ decided: [Outbox.Action], _ actions: inout [Action]) {
        var changes: [StoreChange] = []
        var rest: [Action] = []
        for action in decided {
            switch action {
            case .store(let change): changes.append(change)
            case .upload(let id, let index): rest.append(.upload(id, index: index))
            case .post(let id): rest.append(.post(id))
            case .readBack(let id): rest.append(.readBack(id))
            case .complete(let id, let outcome): complete(id, outcome, &rest)
            }
        }
        if !changes.isEmpty {
            nextTicket += 1
            actions.append(.commit(changes, ticket: nextTicket))
        }
        actions += rest
    }

    private mutating func complete(_ id: String, _ outcome: Outbox.Outcome, _ actions: inout [Action]) {
        let waiting = requests.removeValue(forKey: id) ?? []
        singles.remove(id)
        switch outcome {
        case .sent(let messageId, let sequence):
            actions.append(.dropFiles(id))
            actions.append(.answer(waiting, .sent(messageId: messageId, sequence: sequence)))
        case .dead(let reason):
            actions.append(.answer(waiting, .dead(entry: id, reason: reason, isKept: true)))
        }
        actions.append(.statusChanged)
    }

    private mutating func stop(_ actions: inout [Action]) {
        // Files that are still being kept: the message goes with the paths it came with, and the turn is over.
        for acceptance in acceptances {
            var acceptance = acceptance
            acceptance.mediaDirectory = nil
            commit(acceptance, &actions)
        }
        acceptances = []
        let unfinished = replies.endAll().flatMap { $0.replies.flatMap(\.requests) }
        if !unfinished.isEmpty { actions.append(.answer(unfinished, .stopped(isKept: false))) }
        for (_, waiting) in requests.sorted(by: { $0.key < $1.key }) where !waiting.isEmpty {
            actions.append(.answer(waiting, .stopped(isKept: true)))
        }
        requests = [:]
        isStopped = true
    }
}

extension Outbox.Failure {
    var words: String {
        switch self {
        case .passing(let reason, _), .unknownOutcome(let reason), .final(let reason): reason
        }
    }
}
