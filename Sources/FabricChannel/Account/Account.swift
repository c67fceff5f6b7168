import ChannelStore
import FabricAPI
import Logging
import Sessions
import SocketIO

/// One agent, as a member of its guilds.
///
/// Isolated to the realtime loop: what the sockets bring is handled where it arrives, without a lock and without a hop.
/// Decisions are in the values it holds (`GuildFeed`, `Lane`, `Outbox`, `TurnReplies`, `AccountLife`); this actor and its
/// extensions carry them out.
actor Account {
    let id: String
    let settings: AccountSettings
    let environment: AccountEnvironment
    let logger: Logger
    let startedAt: Double
    let facts: AccountFacts

    nonisolated let loop: RealtimeLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    var life = AccountLife()
    var links: [String: GuildLink] = [:]
    var ownUserID = ""
    var ownUserBytes: [UInt8] = []
    var subscription: SessionSubscription?
    /// What was kept of an earlier run, and of links that are closed for now.
    var restored = StoredAccount()
    private var isLoaded = false

    // Inbound
    let buffer = DeliveryBuffer()
    var turns: [String: Turn] = [:]
    /// Record-only deliveries that the gateway has and has not adopted yet.
    var unadopted: [String: StoredDelivery] = [:]
    /// The account goes on from another instance in the same process: the gateway still has what was handed over.
    var isHandover = false
    var cursorsDirty = false
    var lastInboundAt: Double?

    // Outbound
    var outbox: Outbox
    var replies = TurnReplies()
    var sendCompletions: [String: [@Sendable (ChannelResult) -> Void]] = [:]
    var pendingRequests: [UInt64: @Sendable (ChannelResult) -> Void] = [:]
    var nextRequest: UInt64 = 0
    var outboxTimer: LoopTimer?
    var outboxDue: ContinuousClock.Instant?
    /// Per outbox entry: the position its post must lie behind, for reading back.
    var postFloors: [String: Int64] = [:]
    /// Directories of attachments that outlive their turn, because its answer sends files from them.
    var heldMedia: [String] = []
    /// Messages sent so far within a turn, when they are not coalesced.
    var segments: [String: Int] = [:]
    var lastOutboundAt: Double?

    // Work under way
    var tasks: [UInt64: Task<Void, Never>] = [:]
    var nextTask: UInt64 = 0
    var isStopping = false
    var drainWaiters: [CheckedContinuation<Void, Never>] = []
    var lastStatus: [UInt8] = []

    /// A wake delivery whose turn is not over.
    struct Turn {
        var guild: String
        var channel: String
        var slot: Int
        var generation: Int
        var message: PendingMessage
        var timer: LoopTimer?
        var mediaDirectory: String?
        /// The gateway has it.
        var handedOver: Bool
    }

    init(id: String, settings: AccountSettings, facts: AccountFacts, environment: AccountEnvironment) {
        self.id = id
        self.facts = facts
        self.settings = settings
        self.environment = environment
        self.loop = environment.loop
        var logger = environment.logger
        logger[metadataKey: "account"] = "\(id)"
        self.logger = logger
        self.startedAt = environment.wallClock()
        self.outbox = Outbox(restored: [], seed: environment.seed())
    }

    // MARK: Life

    /// Starts the account; it goes on until `stop`. With `handover`, from where another instance in this process left
    /// it; otherwise from the store.
    func start(handover: Handover? = nil) async throws {
        if let handover {
            environment.store.replace(handover.stored, account: id)
            isHandover = true
        }
        restored = try await environment.store.load(id)
        guard !isStopping else { return }
        isLoaded = true
        life.running = true
        outbox = Outbox(restored: restored.outbox, seed: environment.seed())
        adoptHeldMedia()
        subscription = environment.sessions.subscribe(id)
        if let session = handover?.session { environment.sessions.importSnapshot(id, session) }
        statusChanged()
        run { account in await account.followSession() }
        perform(outbox.wake(now: .now))
    }

    /// Keeps the set of guild connections in step with the session, until the account stops.
    private func followSession() async {
        let updates = environment.sessions.updates(for: id)
        run { account in await account.obtainSession() }
        for await update in updates {
            if isStopping { return }
            switch update {
            case .renewed(let session): adopt(session)
            case .blocked(let reason): block(reason)
            case .unblocked: unblock()
            case .renewalEnded(let reason):
                logger.error("the session is no longer renewed ahead of time", metadata: ["reason": "\(reason)"])
            }
        }
    }

    /// Asks for the first session, again and again while the reason is a passing one.
    private func obtainSession() async {
        var failures = 0
        while !isStopping, life.blocked == nil {
            do {
                adopt(try await environment.sessions.session(for: id))
                return
            } catch {
                if isStopping { return }
                if let reason = error.blockedReason {
                    block(reason)
                    return
                }
                life.sessionProblem = error.operatorText
                statusChanged()
                failures += 1
                logger.log(
                    level: failures == 1 ? .warning : .debug, "no session",
                    metadata: ["reason": "\(error.operatorText)"])
                guard await pause(error.retryDelay ?? .seconds(1 << min(failures, 6))) else { return }
            }
        }
    }

    private func adopt(_ session: Session) {
        guard !isStopping else { return }
        life.blocked = nil
        life.sessionProblem = nil
        life.hasSession = true
        if ownUserID != session.fabric.user.id {
            ownUserID = session.fabric.user.id
            ownUserBytes = Array(ownUserID.utf8)
        }
        var present: Set<String> = []
        for info in session.fabric.guilds {
            present.insert(info.nodeId)
            if let link = links[info.nodeId], link.endpoint == info.endpoint { continue }
            if let old = links[info.nodeId] { retire(old) }
            open(info)
        }
        for (nodeId, link) in links where !present.contains(nodeId) { retire(link) }
        statusChanged()
    }

    private func block(_ reason: String) {
        guard life.blocked == nil else { return }
        life.blocked = reason
        logger.error("account blocked", metadata: ["reason": "\(reason)"])
        for link in links.values { retire(link) }
        statusChanged()
    }

    private func unblock() {
        guard life.blocked != nil else { return }
        life.blocked = nil
        statusChanged()
        run { account in await account.obtainSession() }
    }

    // MARK: Tasks

    /// Runs `body` as part of the account: stopped with it.
    func run(_ body: @escaping @Sendable (isolated Account) async -> Void) {
        guard !isStopping else { return }
        nextTask += 1
        let number = nextTask
        tasks[number] = Task { [weak self] in
            guard let self else { return }
            await self.carryOut(body)
            await self.taskEnded(number)
        }
    }

    /// A task that gets its turn only after the account was stopped does nothing: its session is gone, and asking for a
    /// token would log in for nobody.
    private func carryOut(_ body: @Sendable (isolated Account) async -> Void) async {
        if !isStopping { await body(self) }
    }

    private func taskEnded(_ number: UInt64) {
        tasks[number] = nil
    }

    /// Waits on the loop's clock; false when the account stops meanwhile.
    func pause(_ duration: Duration) async -> Bool {
        do {
            try await Task.sleep(for: duration)
            return !isStopping
        } catch {
            return false
        }
    }

    // MARK: Stop

    /// Stops the account: no socket, timer, task or callback of it remains. What the next instance needs is returned.
    func stop(drain: Duration) async -> Handover {
        guard !isStopping, isLoaded else {
            // Nothing was begun; what the store has must not be replaced by nothing.
            isStopping = true
            return Handover(stored: await environment.stored(id), session: nil)
        }
        for link in links.values { silence(link) }
        if drain > .zero, !isStopping { await self.drain(drain) }
        isStopping = true
        life.running = false
        let kept = snapshot()
        for (_, turn) in turns { turn.timer?.cancel() }
        outboxTimer?.cancel()
        outboxTimer = nil
        for link in links.values { close(link) }
        links = [:]
        let running = Array(tasks.values)
        for task in running { task.cancel() }
        for task in running { await task.value }
        tasks = [:]
        // With the subscription the session goes. Not before the tasks are over: one that is on its way to ask for a token
        // would log in again, for nobody.
        let session = environment.sessions.export(id)
        subscription?.cancel()
        subscription = nil
        let reason = ChannelProblem(
            .unavailable, "the account was stopped before the message was sent", at: "account \(id)",
            remedy: "it is kept and sent when the account runs again", retryable: false)
        for completion in sendCompletions.values.joined() { completion(reason.result) }
        for completion in pendingRequests.values { completion(reason.result) }
        sendCompletions = [:]
        pendingRequests = [:]
        for (_, turn) in turns where !turn.handedOver { removeMedia(turn.mediaDirectory) }
        turns = [:]
        environment.store.replace(kept, account: id)
        statusChanged()
        return Handover(stored: kept, session: session)
    }

    /// Lets running turns and queued messages finish, for at most `limit`.
    private func drain(_ limit: Duration) async {
        guard !turns.isEmpty || outbox.count > 0 else { return }
        let timer = loop.schedule(after: limit) { [weak self] in self?.assumeIsolated { $0.endDrain() } }
        await withCheckedContinuation { drainWaiters.append($0) }
        timer.cancel()
    }

    func checkDrained() {
        if !drainWaiters.isEmpty, turns.isEmpty, outbox.count == 0 { endDrain() }
    }

    private func endDrain() {
        let waiters = drainWaiters
        drainWaiters = []
        for waiter in waiters { waiter.resume() }
    }

    /// What has to survive: positions, unsettled deliveries, unsent messages.
    private func snapshot() -> StoredAccount {
        for (delivery, turn) in replies.endAll() {
            for (number, reply) in turn.enumerated() {
                _ = acceptReply(reply, id: "\(delivery)#handover\(number)")
            }
        }
        for link in links.values { remember(link) }
        var kept = restored
        kept.outbox = outbox.all
        let running = turns.sorted { $0.key < $1.key }.map { _, turn in
            turn.message.stored(
                key: ChannelKey(guild: turn.guild, channel: turn.channel), handedOver: turn.handedOver,
                mediaDirectory: turn.mediaDirectory)
        }
        // A lane's turn goes before what waits behind it.
        kept.deliveries = running + kept.deliveries
        kept.deliveries += unadopted.values.sorted { $0.id < $1.id }
        return kept
    }

    /// Closes a link and keeps where it was, for the next one to the same guild.
    private func retire(_ link: GuildLink) {
        remember(link)
        links[link.nodeId] = nil
        close(link)
    }

    private func remember(_ link: GuildLink) {
        let guild = link.nodeId
        if let at = link.feed.listedAt { restored.listedAt[guild] = at }
        restored.cursors = restored.cursors.filter { $0.key.guild != guild }
        for (channel, sequence) in link.feed.positions {
            restored.cursors[ChannelKey(guild: guild, channel: channel)] = sequence
        }
        for slot in link.feed.slots where slot.isPresent {
            let key = ChannelKey(guild: guild, channel: slot.id)
            restored.deliveries += slot.lane.waitingMessages.map { $0.stored(key: key, handedOver: false) }
        }
    }
}
