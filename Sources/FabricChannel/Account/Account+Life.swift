import ChannelStore
import FabricAPI
import Logging
import Sessions
import SocketIO
import Timing

/// Start, session, stop.
extension Account {
    /// Starts the account; it goes on until `stop`.
    /// - Throws: when what is kept of it cannot be read.
    func start(handover: Handover? = nil, traces: Bool = false) async throws {
        var stored = try await environment.store.load(id)
        if let shared = environment.store as? any SharedStore, !stored.outbox.isEmpty {
            stored.outbox = try await OutboxFiles.restore(
                stored.outbox, root: environment.outboxDirectory, account: id, from: shared)
        }
        for index in stored.deliveries.indices {
            guard let directory = stored.deliveries[index].mediaDirectory,
                !MediaDirectory.isOfATurn(directory, beside: environment.mediaDirectory)
            else { continue }
            stored.deliveries[index].mediaDirectory = nil
        }
        guard !ending.hasBegun else { return }
        ending.loaded()
        life.started(keptUser: stored.notes[Self.userNote].map { String(decoding: $0, as: UTF8.self) })
        inbox = Inbox(
            account: id, settings: settings.inbox, stored: stored, isHandover: handover != nil,
            mediaRoot: environment.mediaDirectory, agents: environment.agents, seed: environment.seed(),
            now: environment.moment, &actions.inbox)
        inbox.traces = traces
        outgoing = Outgoing(
            settings: settings.outgoing, stored: stored,
            takenOver: inbox.openTurns,
            seed: environment.seed())
        OutboxFiles.sweep(environment.outboxDirectory, account: id, keeping: stored.outbox)
        // It may have changed while what is kept was being read.
        handle(.storeHealth(isGood: environment.store.health == .good))
        session.isUsed(by: environment.sessions.subscribe(id))
        if let snapshot = handover?.session { environment.sessions.importSnapshot(id, snapshot) }
        statusChanged()
        restoreSubDiscussions(stored)
        inbox.knowsStop = environment.commands.names.contains(SlashCommand.stop)
        // After a hand-over too: the last instance may have owed its guilds a word, and they hear a farewell only from one that
        // has told them something. Idle also where a turn is open: the host begins with that, and says only what is otherwise.
        if settings.hostCapabilities.contains("presence") { presence.set(.idle) }
        followSession()
        handle(Outgoing.Event.tick)
    }

    // MARK: The session

    /// Keeps the set of guild connections in step with the session, until the account stops. By a closure, not a task that
    /// would wait all the time: that costs 5 KB of memory.
    private func followSession() {
        let news = environment.sessions.listen(to: id) { [weak self] update in
            guard let self else { return }
            loop.execute { self.assumeIsolated { $0.heard(update) } }
        }
        session.isHeard(by: news)
        run { account in await account.obtainSession() }
    }

    private func heard(_ update: SessionUpdate) {
        if ending.hasBegun { return }
        switch update {
        case .renewed(let session): adopt(session)
        case .blocked(let reason): block(reason)
        case .unblocked: unblock()
        case .renewalEnded(let reason):
            logger.error("the session is no longer renewed ahead of time", metadata: ["reason": "\(reason)"])
        case .loginFailed(let reason, let retryIn):
            life.loginFailed(reason)
            statusChanged()
            logger.warning("a login failed", metadata: ["reason": "\(reason)", "next try in": "\(retryIn)"])
        case .loginRecovered:
            life.loginsRecovered()
            logger.notice("logins succeed again")
        case .notice(let text): logger.warning("\(text)")
        }
    }

    /// Asks for the first session, again and again while the reason is a passing one.
    private func obtainSession() async {
        var failures = 0
        while !ending.hasBegun, life.blocked == nil {
            do {
                adopt(try await environment.sessions.session(for: id))
                return
            } catch {
                if ending.hasBegun { return }
                if let reason = error.blockedReason {
                    block(reason)
                    return
                }
                life.loginFailed(error.operatorText)
                statusChanged()
                failures += 1
                logger.log(
                    level: failures == 1 ? .warning : .debug, "no session",
                    metadata: ["reason": "\(error.operatorText)"])
                let backoff = Backoff(.seconds(2), upTo: .seconds(64))
                guard await pause(error.retryDelay ?? backoff.delay(step: failures - 1)) else { return }
            }
        }
    }

    private func adopt(_ session: Session) {
        guard !ending.hasBegun else { return }
        life.sessionBegan(session.fabric.guilds)
        environment.agents.insert(session.fabric.user.id)
        keepUser(session.fabric.user.id)
        for link in links.values.sorted(by: { $0.number < $1.number }) {
            guard let info = life.guildInfos[link.nodeId], info.endpoint != link.endpoint else { continue }
            // The guild moved.
            tearDown(link)
            handle(.disconnected(link.number))
            open(link.number)
        }
        presence.keep(Set(life.guildInfos.keys))
        let user = session.fabric.user
        handle(.session(user: user.id, name: user.name, guilds: session.fabric.guilds.map(\.nodeId)))
        // One that could not be used before may be usable now.
        for info in session.fabric.guilds {
            if let number = inbox.number(of: info.nodeId), links[number] == nil { open(number) }
        }
        statusChanged()
    }

    /// The note that says which user an account is.
    static let userNote = "user"

    /// Keeps which user the account is, so that gateways that share the store know it for an agent.
    private func keepUser(_ user: String) {
        guard environment.lease != nil, life.isNewUser(user) else { return }
        commit([.note(Self.userNote, Array(user.utf8))]) { _ in }
    }

    private func block(_ reason: String) {
        guard life.block(reason) else { return }
        logger.error("account blocked", metadata: ["reason": "\(reason)"])
        handle(.session(user: inbox.user, name: inbox.userName, guilds: []))
        statusChanged()
    }

    private func unblock() {
        guard life.unblock() else { return }
        statusChanged()
        run { account in await account.obtainSession() }
    }

    // MARK: Tasks

    /// Runs `body` as part of the account: stopped with it.
    /// - Returns: its number, for ``cancelTask(_:)``; 0 if the account has ended.
    @discardableResult
    func run(_ body: @escaping @Sendable (isolated Account) async -> Void) -> UInt64 {
        guard !ending.hasBegun else { return 0 }
        let number = tasks.number()
        // On the loop from the first step: a task that began elsewhere would go to a thread of the pool and come back, twice.
        tasks.began(
            number,
            Task {
                await carryOut(body)
                tasks.ended(number)
            })
        return number
    }

    func cancelTask(_ number: UInt64) { tasks.cancel(number) }

    /// A task that gets its turn only after the account was stopped does nothing: its session is gone, and asking for a
    /// token would log in for nobody.
    private func carryOut(_ body: @Sendable (isolated Account) async -> Void) async {
        if !ending.hasBegun { await body(self) }
    }

    /// Waits; false when the account stops meanwhile.
    func pause(_ duration: Duration) async -> Bool {
        do {
            try await Task.sleep(for: duration)
            return !ending.hasBegun
        } catch {
            return false
        }
    }

    // MARK: Stop

    /// Stops the account: no socket, timer, task or callback of it remains, and the store has what the next run needs.
    /// - Parameters:
    ///   - isHandover: another instance goes on with it, so the agent is not away.
    ///   - isMoving: another gateway goes on with it.
    func stop(drain: Duration, isHandover: Bool = false, isMoving: Bool = false) async -> Handover {
        guard !ending.hasBegun, ending.isLoaded else {
            ending.begin()
            return Handover(session: nil)
        }
        if isMoving { ending.mute() }
        for link in links.values { silence(link) }
        async let farewell: Void = isHandover || isMoving ? () : sayFarewell()
        if drain > .zero { await self.drain(drain) }
        await farewell
        guard !ending.hasBegun else { return Handover(session: nil) }
        endWork()
        let session = await endTasks()
        await storeHasEverything(within: .seconds(2))
        answerHeld()
        answers.end(account: id)
        statusChanged()
        return Handover(session: session, mediaDirectories: inbox.mediaDirectories)
    }

    /// Ends the account at once, because it is no longer ours: nothing is waited for, and nothing more is done in its name.
    /// ``abandoned()`` follows.
    func abandon() {
        ending.mute()
        guard !ending.hasBegun, ending.isLoaded else {
            ending.begin()
            ending.letDrainWaitersGo()
            ending.letStoreWaitersGo()
            return
        }
        endWork()
        ending.letDrainWaitersGo()
        answerHeld()
        answers.end(account: id)
    }

    /// What is left of an account that was abandoned comes to its end.
    /// - Returns: its session, for the case that it starts here again.
    func abandoned() async -> SessionSnapshot? { await endTasks() }

    /// No socket, no timer, no decision any more.
    private func endWork() {
        handle(Outgoing.Event.stop)
        handle(Inbox.Event.stop)
        ending.begin()
        life.stopped()
        timer.timer?.cancel()
        timer = AccountTimer()
        for link in links.values { tearDown(link) }
        links = [:]
    }

    private func endTasks() async -> SessionSnapshot? {
        let running = tasks.all
        for task in running { task.cancel() }
        for task in running { await task.value }
        for directory in tools.downloads.endAll() { removeMedia(directory) }
        // With the subscription the session goes. Not before the tasks are over: one that is on its way to ask for a token
        // would log in again, for nobody.
        let snapshot = environment.sessions.export(id)
        session.end()
        return snapshot
    }

    /// Lets running turns and queued messages finish, for at most `limit`.
    private func drain(_ limit: Duration) async {
        handle(.drain)
        guard !isDrained else { return }
        let timer = loop.schedule(after: limit) { [weak self] in
            self?.assumeIsolated { $0.ending.letDrainWaitersGo() }
        }
        await withCheckedContinuation { ending.awaitDrain($0) }
        timer.cancel()
    }

    var isDrained: Bool { inbox.isQuiet && outgoing.isQuiet && tools.calls.isEmpty }

    func checkDrained() {
        if ending.isDrainAwaited, isDrained { ending.letDrainWaitersGo() }
    }

    /// A store that does not take anything must not keep a stop waiting: what it has not is what a crash would lose.
    private func storeHasEverything(within limit: Duration) async {
        guard !ending.isStored else { return }
        let timer = loop.schedule(after: limit) { [weak self] in
            self?.assumeIsolated { $0.ending.letStoreWaitersGo() }
        }
        await withCheckedContinuation { ending.awaitStore($0) }
        timer.cancel()
        if !ending.isStored {
            logger.error("the store did not take the last changes in time; what they held may be delivered again")
        }
    }
}
