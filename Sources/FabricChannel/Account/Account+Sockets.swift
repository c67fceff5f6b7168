import FabricAPI
import Logging
import SocketIO

/// The sockets of an account: one per guild of its session.
extension Account {
    /// Connects to a guild. One whose address cannot be used is still a guild of the account: it is not connected, and
    /// the status says why.
    func open(_ number: Int) {
        let nodeId = inbox.nodeID(number)
        guard links[number] == nil, let info = life.guildInfos[nodeId] else { return }
        do {
            let guild = try makeGuild(info)
            var configuration = try SocketIOClient.Configuration(url: guild.realtimeURL)
            configuration.namespace = guild.realtimeNamespace
            configuration.certificateAuthorityFile = settings.certificateAuthorityFile
            // Many accounts wait for their turn in it; a token that does not come has a deadline of its own.
            configuration.timeouts.authentication = .seconds(3600)
            connect(GuildLink(number: number, nodeId: nodeId, endpoint: info.endpoint, guild: guild), configuration)
        } catch {
            let reason = operatorText(error)
            if life.guildFailed(number, nodeId, reason) {
                logger.error("guild cannot be used", metadata: ["guild": "\(nodeId)", "reason": "\(reason)"])
            }
            statusChanged()
        }
    }

    private func connect(_ link: GuildLink, _ configuration: SocketIOClient.Configuration) {
        links[link.number] = link
        let delegate = GuildSocketDelegate(account: self, link: link)
        let number = link.number
        let client = SocketIOClient(
            configuration: configuration, loop: loop,
            auth: { [weak self] _ in
                guard let self else { throw CancellationError() }
                return try await self.authenticate(number)
            }, delegate: delegate)
        link.client = client
        link.delegate = delegate
        run { _ in await client.connect() }
    }

    func makeGuild(_ info: FabricGuildInfo) throws(FabricError) -> FabricGuild {
        var mayBegin: (@Sendable () -> Bool)?
        if let clock = environment.lease?.clock { mayBegin = { clock.isInForce } }
        return try FabricGuild(
            nodeId: info.nodeId, endpoint: info.endpoint, http: environment.http,
            foreignDownloads: settings.allowsPrivateAddresses ? .withoutToken : .withoutTokenFromPublicAddresses,
            mayBegin: mayBegin)
    }

    /// The auth callback: a guild token that is valid now, asked for on every connect.
    private func authenticate(_ number: Int) async throws -> [UInt8] {
        guard let link = links[number] else { throw CancellationError() }
        handle(.askedForToken(number))
        // Before its turn comes: nobody is kept waiting by a login.
        _ = try await guildToken(link.nodeId)
        try await takeTurn(link)
        let token = try await guildToken(link.nodeId)
        link.token = token
        return FabricRealtime.authentication(token: token)
    }

    /// Waits until the account may connect: a guild cannot take thousands in one moment.
    private func takeTurn(_ link: GuildLink) async throws {
        guard link.client != nil, !Task.isCancelled else { throw CancellationError() }
        leaveGate(link)
        let number = environment.gate.enter(link.endpoint)
        link.connectNumber = number
        await environment.gate.pass(link.endpoint, number)
        guard link.connectNumber == number else { throw CancellationError() }
    }

    /// The attempt is over, well or not.
    private func leaveGate(_ link: GuildLink, _ outcome: ConnectQueue.Outcome = .other) {
        guard let number = link.connectNumber else { return }
        link.connectNumber = nil
        environment.gate.leave(link.endpoint, number, outcome)
    }

    /// The session has the guild no more.
    func close(_ number: Int) {
        life.nothingWrong(with: number)
        guard let link = links.removeValue(forKey: number) else { return }
        tearDown(link)
    }

    func tearDown(_ link: GuildLink) {
        silence(link)
        if links[link.number] === link { links[link.number] = nil }
    }

    /// No more messages from this guild; a running turn may still finish.
    func silence(_ link: GuildLink) {
        leaveBoard(link)
        leaveGate(link)
        guard let client = link.client else { return }
        link.client = nil
        link.delegate = nil
        Task { await client.disconnect() }
    }

    // MARK: What the socket says of itself

    func changed(_ state: SocketIOState, of client: SocketIOClient, _ link: GuildLink) {
        guard link.client === client else { return }
        switch state {
        case .idle: break
        case .connecting(let attempt):
            leaveBoard(link)
            link.reconnectAttempts = attempt
            handle(.connecting(link.number))
        case .connected:
            leaveGate(link, .connected)
            handle(.connected(link.number))
        case .disconnected(let reason, let retryIn):
            lost(link, reason: reason, retryIn: retryIn)
        }
    }

    private func lost(_ link: GuildLink, reason: SocketIODisconnect, retryIn: Duration?) {
        leaveGate(link, reason.isOverload ? .overloaded : .other)
        link.lastDisconnect = "\(reason)"
        life.guildFailed(link.number, link.nodeId, "\(reason)")
        if reason.suggestsRejectedToken, let token = link.token {
            environment.sessions.invalidate(id, ifTokenIs: token)
        }
        link.token = nil
        // The first failure says it; while a guild is away, a thousand agents trying again are not news.
        let isNews = inbox.phase(link.number) == .ready || link.reconnectAttempts <= 1
        logger.log(
            level: isNews ? .warning : .debug, "guild connection lost",
            metadata: [
                "guild": "\(link.nodeId)", "reason": "\(reason)",
                "retryIn": "\(retryIn.map { "\($0)" } ?? "no")",
            ])
        handle(.disconnected(link.number))
        if reason.isOutage, let client = link.client {
            link.boardNumber = environment.board.wait(link.endpoint) { Task { await client.connect() } }
        }
        statusChanged()
    }

    func replaceConnection(_ number: Int, reason: String) {
        guard let link = links[number] else { return }
        if let token = link.token { environment.sessions.invalidate(id, ifTokenIs: token) }
        life.guildFailed(number, link.nodeId, reason)
        if let client = link.client { run { _ in await client.reconnect(reason: reason) } }
    }

    /// What keeps a guild from being connected is its status.
    func noteProblem(_ report: GuildFeed.Report, of number: Int) {
        guard case .listFailed(let reason) = report, inbox.phase(number) != .ready else { return }
        life.guildFailed(number, inbox.nodeID(number), reason)
        statusChanged()
    }

    func phaseChanged(_ number: Int) {
        if let link = links[number], inbox.phase(number) == .ready {
            link.lastConnectedAt = environment.wallClock()
            link.reconnectAttempts = 0
            life.nothingWrong(with: number)
            tellBoard(link)
            presence.connected(link.nodeId)
            syncCommands(link)
            sayPresence()
        }
        statusChanged()
    }

    // MARK: The board

    private func leaveBoard(_ link: GuildLink) {
        guard let number = link.boardNumber else { return }
        link.boardNumber = nil
        environment.board.leave(link.endpoint, number)
    }

    /// The guild is back: the others that wait for it need not wait for their backoff.
    private func tellBoard(_ link: GuildLink) {
        let waiting = environment.board.reached(link.endpoint, now: .now)
        for (index, retry) in waiting.enumerated() {
            loop.schedule(after: GuildBoard.spread * (Double(index) / Double(waiting.count)), retry)
        }
    }
}
