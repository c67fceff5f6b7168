import ChannelStore
import FabricAPI
import JSONBytes

@testable import FabricChannel
@testable import Sessions

/// Carries out what the real `Inbox` and `Outgoing` decide, in virtual time. It differs from `Account` where that meets the
/// world, and nowhere else:
/// - the session comes from `SimSessions`, which is the real cache, and connections are `SimLink`s, which are the real state
///   machine of a client, without packets;
/// - requests are functions of `SimGuild` that answer later, or fail;
/// - a delivery is a value, not JSON text, and a message for the record is told by the id of its slot, as the writer does;
/// - the end of the turn of the loop comes up to 5 ms later;
/// - files are fetched, kept and uploaded without a file system; uploads always succeed;
/// - logs, status, settings taken up while running, the guild board and bare channel ids are left out.
final class SimAccount {
    enum SendResult { case sent, notNow, failed }

    unowned let world: World
    let host: SimHost
    /// The run of the process it belongs to.
    let run: Int
    var inbox: Inbox
    var outgoing: Outgoing
    private var inboxActions: [Inbox.Action] = []
    private var outgoingActions: [Outgoing.Action] = []
    private var isPerforming = false
    let sessions: SimSessions
    var links: [Int: SimLink] = [:]
    var tokenDoubts: [String: TokenDoubt] = [:]
    var isBlocked = false
    private var answers: [UInt64: (SendResult) -> Void] = [:]
    private var requests: UInt64 = 0
    private(set) var isRunning = true
    private(set) var commits = 0
    /// Requests that have no answer yet.
    var unanswered: Int { answers.count }
    private var timerDue: ContinuousClock.Instant?
    private var timers = 0

    /// - Parameter session: the session of the instance before, when the account moves.
    init(world: World, host: SimHost, run: Int, stored: StoredAccount, isHandover: Bool, session: Session? = nil) {
        self.world = world
        self.host = host
        self.run = run
        sessions = SimSessions(world: world)
        let agents = AgentDirectory()
        for agent in World.otherAgents { agents.insert(agent) }
        agents.insert(SimGuild.agent)
        inbox = Inbox(
            account: "me", settings: world.inboxSettings, stored: stored, isHandover: isHandover, mediaRoot: "/media",
            agents: agents, seed: world.schedule.random.next(), now: world.moment, &inboxActions)
        outgoing = Outgoing(
            settings: .init(coalesces: world.plan.coalesces), stored: stored,
            takenOver: inbox.turns.keys.sorted(),
            seed: world.schedule.random.next())
        world.checks.began(with: stored)
        handle(Inbox.Event.storeHealth(isGood: world.store.isGood))
        handle(Outgoing.Event.tick)
        sessions.subscribe(adopting: session) { [weak self] in self?.heard($0) }
        after(0.01) { [self] in obtainSession() }
    }

    /// As a task of the account: not once it has stopped.
    func after(_ seconds: Double, _ body: @escaping () -> Void) {
        world.schedule.after(seconds) { [self] in if isRunning { body() } }
    }

    // MARK: Deciding and carrying out

    func handle(_ event: Inbox.Event) {
        inbox.handle(event, now: world.moment, &inboxActions)
        perform()
    }

    func handle(_ event: Outgoing.Event) {
        outgoing.handle(event, now: world.moment.instant, &outgoingActions)
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
            performOutgoing()
        }
        inboxActions.removeAll(keepingCapacity: true)
        isPerforming = false
        armTimer()
        world.checks.step(self)
    }

    private func performOutgoing() {
        var at = 0
        while at < outgoingActions.count {
            let action = outgoingActions[at]
            at += 1
            perform(action)
        }
        outgoingActions.removeAll(keepingCapacity: true)
    }

    private func perform(_ action: Inbox.Action) {
        switch action {
        case .open(let guild): open(guild)
        case .close(let guild): close(guild)
        case .list(let guild, let purpose, let epoch): list(guild, purpose, epoch: epoch)
        case .join(let guild, let slots, let channels, let epoch, let timeout):
            join(guild, slots, channels, epoch: epoch, timeout: timeout)
        case .leave(let guild, let channel): leave(guild, channel)
        case .readHistory(let guild, let slot, let number, let channel, let range):
            readHistory(guild, slot, number, channel, range)
        case .replaceConnection(let guild, _):
            if world.mutant != .staysDeaf, let link = links[guild] {
                if let token = link.token { sessions.invalidate(token) }
                link.reconnect("deaf")
            }
        case .record: break
        case .deliverRecord(let guild, let slot, let message, let isStored):
            let answer = deliver(message, guild, inbox.conversationChannel(guild, slot))
            handle(.recordAnswered(guild, slot: slot, message, isStored: isStored, answer))
        case .fetch(let id, let directory):
            if directory == nil {
                handle(.fetched(id))
            } else {
                after(world.schedule.random.delay(3)) { [self] in handle(.fetched(id)) }
            }
        case .deliver(let id):
            guard let turn = inbox.turn(id) else { return }
            handle(.answered(id, deliver(turn.message, turn.guild, turn.channel)))
        case .phaseChanged: world.supervisor?.report()
        case .removeMedia, .trace, .statusChanged: break
        case .endTurn(let turn):
            let floor = inbox.highest(ChannelKey(guild: turn.guild, channel: turn.channel))
            handle(.turnEnded(turn, floor: floor))
        case .commit(let changes, let ticket): commit(changes) { $0.handle(Inbox.Event.stored(ticket)) }
        case .flushSoon: after(world.schedule.random.between(0, 0.005)) { [self] in handle(Inbox.Event.flush) }
        case .report(let guild, let report):
            world.trace("report \(guild) \(report)")
            world.checks.reported(report, of: guild)
        case .notice(let notice):
            world.trace("notice \(notice)")
            world.checks.noticed(notice, host)
        }
    }

    private func perform(_ action: Outgoing.Action) {
        switch action {
        case .keepFiles(let entry, let media):
            after(world.schedule.random.delay(1)) { [self] in handle(.filesKept(entry, media)) }
        case .dropFiles, .removeMedia, .statusChanged: break
        case .commit(let changes, let ticket): commit(changes) { $0.handle(Outgoing.Event.stored(ticket)) }
        case .upload(let entry, let index):
            after(world.schedule.random.delay(1)) { [self] in
                handle(.uploaded(entry, index: index, answer: [0x7B, 0x7D]))
            }
        case .post(let entry): post(entry)
        case .readBack(let entry): readBack(entry)
        case .inLog(let key, let sequence):
            handle(.posted(guild: key.guild, channel: key.channel, sequence: sequence))
        case .answer(let requests, let answer):
            if case .dead(let entry, _, _) = answer { world.checks.refused(entry) }
            for request in requests { answers.removeValue(forKey: request)?(result(of: answer)) }
        case .failed(let entry, let reason): world.trace("failed \(entry): \(reason)")
        }
    }

    private func result(of answer: Outgoing.Answer) -> SendResult {
        switch answer {
        case .sent: .sent
        case .dead, .turnFailed, .filesLost: .failed
        case .stopped: .notNow
        }
    }

    // MARK: Time and the store

    private func armTimer() {
        guard isRunning else { return }
        var due = inbox.due
        if let other = outgoing.due { due = due.map { min($0, other) } ?? other }
        guard due != timerDue else { return }
        timerDue = due
        timers += 1
        guard let due else { return }
        let timer = timers
        after(world.seconds(until: due) + 1e-6) { [self] in
            guard timer == timers else { return }
            timerDue = nil
            handle(Inbox.Event.tick)
            handle(Outgoing.Event.tick)
        }
    }

    private func commit(_ changes: [StoreChange], then next: @escaping (SimAccount) -> Void) {
        commits += 1
        let isEarly = world.mutant == .storeNotAwaited
        world.store.commit(changes) { [self] in
            commits -= 1
            for change in changes { world.checks.accepted(change) }
            // Also for one that has stopped: it waits for its last commit.
            if !isEarly, !isDead { next(self) }
        }
        if isEarly { after(0) { next(self) } }
    }

    // MARK: Messages

    func received(_ event: GuildEvent, _ bytes: [UInt8], _ message: SimMessage?, _ link: SimLink) {
        guard isRunning else { return }
        bytes.withUnsafeBytes { text in
            let json = JSONView(validated: text, start: 0, end: text.count)
            guard case .messageCreated = event else {
                guard let change = FabricMembershipEvent(json) else { return }
                let joined = if case .channelJoined = event { true } else { false }
                return handle(.membership(link.number, change, joined: joined))
            }
            if let message { world.checks.heard(message, link.number, in: self) }
            guard let view = FabricMessageView(json) else { return handle(.unreadable(link.number)) }
            inbox.handle(.message(link.number, view, json), now: world.moment, &inboxActions)
            if world.mutant == .doublesDelivered, inboxActions.isEmpty, let slot = inbox.slot(link.number, view) {
                _ = record(view, slot, link)
            }
            for action in inboxActions {
                guard case .record(_, let slot, _) = action else { continue }
                if record(view, slot, link) == .taken { handleLater(.recordTaken(link.number, slot: slot, json)) }
                break
            }
            perform()
        }
    }

    /// In the course of `received`, where the actions of the event itself are not carried out yet.
    private func handleLater(_ event: Inbox.Event) {
        inbox.handle(event, now: world.moment, &inboxActions)
    }

    private func record(_ view: FabricMessageView, _ slot: Int, _ link: SimLink) -> DeliveryAnswer {
        let channel = inbox.guilds[link.number].feed.slots[slot]
        let id =
            channel.deliveryPrefix(account: "me", guild: link.guild.id)
            + DeliveryWriter.idSuffix(sequence: view.seq, messageID: view.idText)
        return host.deliver(
            SimDelivery(
                id: id, place: ChannelKey(guild: link.guild.id, channel: channel.id), sequence: view.seq,
                message: view.idText,
                wake: false, caughtUp: false, redelivered: false))
    }

    private func deliver(_ message: PendingMessage, _ guild: Int, _ channel: String) -> DeliveryAnswer {
        let id = message.message.withUnsafeBytes { text in
            FabricMessageView(JSONView(validated: text, start: 0, end: text.count))?.idText ?? ""
        }
        return host.deliver(
            SimDelivery(
                id: message.id, place: ChannelKey(guild: inbox.nodeID(guild), channel: channel),
                sequence: message.sequence, message: id,
                wake: message.wake, caughtUp: message.caughtUp, redelivered: message.redelivered))
    }

    func settle(_ id: String, _ outcome: DeliveryOutcome) {
        if world.mutant == .settleIgnored { return }
        handle(.settled(id, outcome))
    }

    func send(
        _ text: String, to place: ChannelKey, of turn: String?, _ completion: @escaping (SendResult) -> Void
    ) {
        guard isRunning else { return completion(.notNow) }
        let json =
            #"{"account":"me","to":"fabric:\#(place.guild)/\#(place.channel)","text":"\#(text)""#
            + (turn.map { #","delivery":"\#($0)"}"# } ?? "}")
        guard let request = try? SendRequest(Array(json.utf8)) else { return world.fail("not a request: \(json)") }
        requests += 1
        answers[requests] = completion
        world.entries += 1
        handle(
            .send(
                request, request: requests, key: place, isTurn: turn.map(inbox.isTurn) ?? false,
                entry: "me/send/\(world.entries)", floor: inbox.highest(place)))
    }

    // MARK: The end

    private var isDead = false
    /// What the next instance takes over.
    private(set) var session: Session?

    /// The process dies.
    func crash() {
        isRunning = false
        isDead = true
        sessions.end()
        for link in links.values { link.silence() }
        links = [:]
    }

    /// Ends in good order; `done` when the store has everything, or after two seconds.
    func stop(drain: Double, _ done: @escaping () -> Void) {
        for link in links.values { link.silence() }
        guard drain > 0 else { return end(done) }
        handle(Inbox.Event.drain)
        waitUntil(drain, { [self] in inbox.isQuiet && outgoing.isQuiet }, then: { [self] in end(done) })
    }

    private func end(_ done: @escaping () -> Void) {
        guard isRunning else { return }
        // What the gateway does with the answers that this gives comes after the end, as to any that is carried out at once.
        isRunning = false
        handle(Outgoing.Event.stop)
        handle(Inbox.Event.stop)
        links = [:]
        session = sessions.session
        sessions.end()
        let left = answers
        answers = [:]
        for (_, completion) in left.sorted(by: { $0.key < $1.key }) { completion(.notNow) }
        waitUntil(
            2, { [self] in commits == 0 },
            then: { [self] in
                isDead = true
                done()
            })
    }

    private func waitUntil(_ limit: Double, _ isTrue: @escaping () -> Bool, then body: @escaping () -> Void) {
        if isTrue() || limit <= 0 { return body() }
        world.schedule.after(0.1) { [self] in if !isDead { waitUntil(limit - 0.1, isTrue, then: body) } }
    }
}

extension Inbox {
    func conversationChannel(_ guild: Int, _ slot: Int) -> String { guilds[guild].feed.slots[slot].id }

    func slot(_ guild: Int, _ view: FabricMessageView) -> Int? {
        view.channelId?.string.flatMap { guilds[guild].feed.slot(of: $0) }
    }
}
