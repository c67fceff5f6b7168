import ChannelStore
import FabricAPI
import JSONBytes

@testable import FabricChannel

/// A run of an account: carries out what the real `Inbox` and `Outgoing` decide, over a guild that behaves. What a guild may do
/// to one account is the other simulation's subject; here the store, the process and the clock are unreliable.
final class SharedAccount {
    let id: String
    let process: SimProcess
    let room: ClusterRoom
    /// The lease it runs under.
    let lease: AccountLease?
    private var inbox: Inbox
    private var outgoing: Outgoing
    private var inboxActions: [Inbox.Action] = []
    private var outgoingActions: [Outgoing.Action] = []
    private var isPerforming = false
    private(set) var isRunning = true
    private var isHurried = false
    private var isReady = false
    private(set) var commits = 0
    private var answers: [UInt64: (Bool) -> Void] = [:]
    private var requests: UInt64 = 0
    private var timerDue: ContinuousClock.Instant?
    private var timers = 0

    init(_ id: String, process: SimProcess, room: ClusterRoom, stored: StoredAccount, isHandover: Bool) {
        self.id = id
        self.process = process
        self.room = room
        lease = process.store.leases[id]
        let world = process.world
        var settings = Inbox.Settings()
        settings.redeliveries = 1000
        inbox = Inbox(
            account: id, settings: settings, stored: stored, isHandover: isHandover, mediaRoot: "/media",
            agents: AgentDirectory(), seed: world.schedule.random.next(), now: process.moment, &inboxActions)
        outgoing = Outgoing(
            settings: .init(), stored: stored, takenOver: inbox.turns.keys.sorted(),
            seed: world.schedule.random.next())
        handle(Inbox.Event.storeHealth(isGood: true))
        handle(Outgoing.Event.tick)
        after(world.schedule.random.delay(0.3)) { [self] in handle(.session(user: room.agent, guilds: ["g"])) }
    }

    private var world: ClusterWorld { process.world }
    var connected: Bool { isRunning && isReady }
    var isQuiet: Bool { inbox.isQuiet && outgoing.isQuiet }
    var openTurns: [String] { Array(inbox.turns.keys) }

    private func after(_ seconds: Double, _ body: @escaping () -> Void) {
        process.later(seconds) { [self] in if isRunning { body() } }
    }

    private var mayAct: Bool {
        switch world.mutant {
        case .noLookAtTheClock, .noLocalDeadline: true
        default: process.mayAct
        }
    }

    // MARK: Deciding and carrying out

    private func handle(_ event: Inbox.Event) {
        inbox.handle(event, now: process.moment, &inboxActions)
        perform()
    }

    private func handle(_ event: Outgoing.Event) {
        outgoing.handle(event, now: process.moment.instant, &outgoingActions)
        perform()
    }

    private func perform() {
        guard !isPerforming else { return }
        isPerforming = true
        var at = 0
        while at < inboxActions.count || !outgoingActions.isEmpty {
            if at < inboxActions.count {
                let action = inboxActions[at]
                at += 1
                perform(action)
            }
            while !outgoingActions.isEmpty { perform(outgoingActions.removeFirst()) }
        }
        inboxActions.removeAll(keepingCapacity: true)
        isPerforming = false
        armTimer()
    }

    private func perform(_ action: Inbox.Action) {
        switch action {
        case .open(let guild): connect(guild)
        case .close: disconnect()
        case .list(let guild, let purpose, let epoch):
            ask { [room] in
                room.list()
            } then: { [self] list in
                handle(.listed(guild, list, purpose, epoch: epoch, date: ClusterWorld.epoch + world.schedule.seconds))
            }
        case .join(let guild, let slots, let channels, let epoch, _):
            after(world.schedule.random.delay(0.1)) { [self] in
                if !room.sockets.contains(where: { $0 === self }) { room.sockets.append(self) }
                handle(.joinsEnded(guild, slots, answered: channels.count, epoch: epoch))
            }
        case .leave, .report, .notice, .trace, .statusChanged, .removeMedia, .record: break
        case .readHistory(let guild, let slot, let number, _, let range):
            ask { [room] in
                room.history(range)
            } then: { [self] rows in
                handle(.page(guild, slot: slot, number: number, rows))
            }
        case .replaceConnection: reconnect()
        case .deliverRecord(let guild, let slot, let message, let isStored):
            handle(.recordAnswered(guild, slot: slot, message, isStored: isStored, .adopted))
        case .fetch(let id, _): handle(.fetched(id))
        case .deliver(let id): deliver(id)
        case .endTurn(let turn): handle(.turnEnded(turn, floor: room.head))
        case .commit(let changes, let ticket): commit(changes) { $0.handle(Inbox.Event.stored(ticket)) }
        case .flushSoon: after(0.001) { [self] in handle(Inbox.Event.flush) }
        case .phaseChanged(let guild): isReady = inbox.guilds[guild].feed.isReady
        }
    }

    private func perform(_ action: Outgoing.Action) {
        switch action {
        case .keepFiles, .dropFiles, .removeMedia, .statusChanged, .upload, .failed: break
        case .commit(let changes, let ticket): commit(changes) { $0.handle(Outgoing.Event.stored(ticket)) }
        case .post(let entry): post(entry)
        case .readBack(let entry): readBack(entry)
        case .inLog(let key, let sequence):
            handle(.posted(guild: key.guild, channel: key.channel, sequence: sequence))
        case .answer(let requests, let answer):
            let isSent = if case .sent = answer { true } else { false }
            for request in requests { answers.removeValue(forKey: request)?(isSent) }
        }
    }

    private func armTimer() {
        guard isRunning else { return }
        let due = [inbox.due, outgoing.due].compactMap(\.self).min()
        guard due != timerDue else { return }
        timerDue = due
        timers += 1
        guard let due else { return }
        let timer = timers
        after(process.seconds(until: due) + 1e-6) { [self] in
            guard timer == timers else { return }
            timerDue = nil
            handle(Inbox.Event.tick)
            handle(Outgoing.Event.tick)
        }
    }

    /// Nothing that depends on a refused commit happens, and the run ends.
    private func commit(_ changes: [StoreChange], then next: @escaping (SharedAccount) -> Void) {
        commits += 1
        process.store.commit(changes, id) { [self] outcome in
            commits -= 1
            switch outcome {
            case .kept: if isRunning { next(self) }
            case .refused: process.refused(self)
            }
        }
    }

    // MARK: The guild

    private func connect(_ guild: Int) {
        handle(.connecting(guild))
        handle(.askedForToken(guild))
        after(world.schedule.random.delay(0.2)) { [self] in handle(.connected(guild)) }
    }

    private func disconnect() { room.sockets.removeAll { $0 === self } }

    /// The socket breaks.
    func drop() {
        guard isRunning, inbox.guilds.first?.isOpen == true else { return }
        disconnect()
        handle(.disconnected(0))
        after(1) { [self] in if inbox.guilds.first?.isOpen == true { connect(0) } }
    }

    private func reconnect() { drop() }

    func push(_ message: ClusterMessage) {
        let bytes = message.event(room.channel)
        after(0.05) { [self] in
            // What lay in the socket while the process was stopped.
            guard mayAct else { return }
            bytes.withUnsafeBytes { text in
                let json = JSONView(validated: text, start: 0, end: text.count)
                guard let view = FabricMessageView(json), inbox.guilds.first?.isOpen == true else { return }
                inbox.handle(.message(0, view, json), now: process.moment, &inboxActions)
                perform()
            }
        }
    }

    private func ask<Answer>(_ serve: @escaping () -> Answer, then done: @escaping (Answer) -> Void) {
        let world = world
        world.schedule.after(world.schedule.random.delay(0.1)) { [self] in
            let answer = serve()
            after(world.schedule.random.delay(0.1)) { done(answer) }
        }
    }

    private func deliver(_ id: String) {
        guard mayAct, let turn = inbox.turn(id) else { return }
        let text = turn.message.message.withUnsafeBytes { bytes in
            FabricMessageView(JSONView(validated: bytes, start: 0, end: bytes.count)).map {
                ($0.idText, $0.content?.string ?? "")
            }
        }
        world.checks.acts(self, "delivers \(id)")
        world.checks.delivered(id, text?.0 ?? "", self, isMarked: turn.message.redelivered)
        handle(.answered(id, process.host.deliver(id, account: self.id, text: text?.1 ?? "")))
    }

    func settle(_ id: String) { if isRunning { handle(.settled(id, .finished)) } }

    /// As `Account.send`.
    func send(_ text: String, of turn: String?, _ completion: @escaping (Bool) -> Void) {
        guard isRunning else { return completion(false) }
        if let turn, !inbox.isTurn(turn), process.lostTurns.contains(turn), world.mutant != .lateAnswersPosted {
            return completion(false)
        }
        let json =
            #"{"account":"\#(id)","to":"fabric:g/\#(room.channel)","text":"\#(text)""#
            + (turn.map { #","delivery":"\#($0)"}"# } ?? "}")
        guard let request = try? SendRequest(Array(json.utf8)) else { return world.fail("not a request: \(json)") }
        requests += 1
        answers[requests] = completion
        world.entries += 1
        handle(
            .send(
                request, request: requests, key: ChannelKey(guild: "g", channel: room.channel),
                isTurn: turn.map(inbox.isTurn) ?? false, entry: "\(id)/send/\(world.entries)", floor: room.head))
    }

    private func post(_ entry: String) {
        guard let kept = outgoing.outbox.entry(entry) else { return }
        guard mayAct else {
            return handle(.failed(entry, .passing(reason: "no lease", retryAfter: nil), posting: true))
        }
        world.checks.acts(self, "posts \(entry)")
        world.checks.posts(entry)
        var key = IdempotencyKey.of(entry)
        if world.mutant == .keyNotShared { key += "@\(process.gateway)" }
        let (world, room) = (world, room)
        // It may arrive long after it was sent, when somebody else has repeated it.
        let isLost = world.isHit(.lostPosts, 0.2)
        let there = isLost ? world.schedule.random.between(0, 30) : world.schedule.random.delay(0.1)
        if isLost {
            after(10) { [self] in handle(.failed(entry, .unknownOutcome(reason: "no answer"), posting: true)) }
        }
        world.schedule.after(there) { [self] in
            let message = room.post(room.agent, kept.text, key: key)
            world.checks.inLog(entry)
            guard !isLost else { return }
            after(world.schedule.random.delay(0.1)) { [self] in
                handle(.posted(entry, messageId: message.id, sequence: message.sequence))
            }
        }
    }

    private func readBack(_ entry: String) {
        guard let kept = outgoing.outbox.entry(entry), let floor = kept.floor else { return handle(.notFound(entry)) }
        let (room, text) = (room, kept.text)
        ask {
            room.log.first { $0.sequence > floor && $0.author == room.agent && $0.content == text }
        } then: { [self] found in
            guard let found else { return handle(.notFound(entry)) }
            handle(.posted(entry, messageId: found.id, sequence: found.sequence))
        }
    }

    // MARK: The end

    /// Ends at once, or with the process.
    func abandon() {
        guard isRunning else { return }
        disconnect()
        handle(Outgoing.Event.stop)
        handle(Inbox.Event.stop)
        isRunning = false
    }

    func vanish() {
        isRunning = false
        disconnect()
        // Whoever waits for an answer in a process that goes on is told.
        let open = answers.sorted { $0.key < $1.key }
        answers = [:]
        for (_, answer) in open { answer(false) }
    }

    /// Ends in good order: `done` when everything is written, or after two seconds.
    func stop(drain: Double, _ done: @escaping () -> Void) {
        disconnect()
        handle(Inbox.Event.drain)
        let end = { [self] in
            if isRunning { abandon() }
            wait(2, { [self] in commits == 0 }, then: done)
        }
        wait(drain, { [self] in !isRunning || isQuiet || isHurried }, then: end)
    }

    /// The host grants no more time to come to an end.
    func hurry() { isHurried = true }

    private func wait(_ limit: Double, _ isTrue: @escaping () -> Bool, then body: @escaping () -> Void) {
        if isTrue() || limit <= 0 { return body() }
        process.later(0.1) { [self] in wait(limit - 0.1, isTrue, then: body) }
    }
}
