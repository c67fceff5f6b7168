import ChannelStore
import FabricAPI
import Logging
import Sessions
import SocketIO

/// The guild connections: opening, closing, and carrying out what the feed decides.
extension Account {
    func open(_ info: FabricGuildInfo) {
        let guild: FabricGuild
        do {
            guild = try makeGuild(info)
        } catch {
            logger.error(
                "guild cannot be used", metadata: ["guild": "\(info.nodeId)", "reason": "\(error.operatorText)"])
            life.guildProblem = error.operatorText
            return
        }
        let nodeId = info.nodeId
        var cursors: [String: Int64] = [:]
        for (key, sequence) in restored.cursors where key.guild == nodeId { cursors[key.channel] = sequence }
        let feed = GuildFeed(
            settings: .init(
                syncPeriod: settings.syncPeriod, limits: .init(catchUp: Int64(settings.catchUpMessages))),
            restored: cursors, listedAt: restored.listedAt[nodeId], seed: environment.seed())
        let link = GuildLink(guild: guild, nodeId: nodeId, endpoint: info.endpoint, feed: feed)
        links[nodeId] = link
        restoreDeliveries(link)

        let delegate = GuildSocketDelegate(account: self, link: link)
        var configuration: SocketIOClient.Configuration
        do {
            configuration = try SocketIOClient.Configuration(url: guild.realtimeURL)
        } catch {
            life.guildProblem = "guild \(nodeId): \(error)"
            return
        }
        configuration.namespace = guild.realtimeNamespace
        configuration.certificateAuthorityFile = settings.certificateAuthorityFile
        let client = SocketIOClient(
            configuration: configuration, loop: loop,
            auth: { [weak self] _ in
                guard let self else { throw CancellationError() }
                return try await self.authenticate(nodeId)
            }, delegate: delegate)
        link.client = client
        link.delegate = delegate
        run { _ in await client.connect() }
    }

    func makeGuild(_ info: FabricGuildInfo) throws(FabricError) -> FabricGuild {
        try FabricGuild(
            nodeId: info.nodeId, endpoint: info.endpoint, http: environment.http,
            foreignDownloads: settings.allowsPrivateAddresses ? .withoutToken : .withoutTokenFromPublicAddresses)
    }

    /// The auth callback: a guild token that is valid now, asked for on every connect.
    private func authenticate(_ nodeId: String) async throws -> [UInt8] {
        guard let link = links[nodeId] else { throw CancellationError() }
        perform(link.feed.askedForToken(), on: link)
        let token = try await guildToken(nodeId)
        link.token = token
        return FabricRealtime.authentication(token: token)
    }

    /// No more messages from this guild; a running turn may still finish.
    func silence(_ link: GuildLink) {
        leaveBoard(link)
        link.timer?.cancel()
        link.timer = nil
        if let client = link.client {
            link.client = nil
            link.delegate = nil
            Task { await client.disconnect() }
        }
    }

    func close(_ link: GuildLink) {
        silence(link)
        perform(link.feed.disconnected(stopped: true), on: link)
    }

    func changed(_ state: SocketIOState, of client: SocketIOClient, _ link: GuildLink) {
        guard link.client === client else { return }
        switch state {
        case .idle: break
        case .connecting(let attempt):
            leaveBoard(link)
            link.reconnectAttempts = attempt
            perform(link.feed.connecting(), on: link)
        case .connected:
            perform(link.feed.connected(), on: link)
        case .disconnected(let reason, let retryIn):
            lost(link, reason: reason, retryIn: retryIn)
        }
    }

    private func lost(_ link: GuildLink, reason: SocketIODisconnect, retryIn: Duration?) {
        link.lastDisconnect = "\(reason)"
        life.guildProblem = "guild \(link.nodeId): \(reason)"
        if reason.suggestsRejectedToken, let token = link.token {
            environment.sessions.invalidate(id, ifTokenIs: token)
        }
        link.token = nil
        // The first failure says it; while a guild is away, a thousand agents trying again are not news.
        let isNews = link.feed.phase == .ready || link.reconnectAttempts <= 1
        logger.log(
            level: isNews ? .warning : .debug, "guild connection lost",
            metadata: [
                "guild": "\(link.nodeId)", "reason": "\(reason)",
                "retryIn": "\(retryIn.map { "\($0)" } ?? "no")",
            ])
        perform(link.feed.disconnected(stopped: false), on: link)
        if reason.isOutage, let client = link.client {
            link.boardNumber = environment.board.wait(link.endpoint) { Task { await client.connect() } }
        }
        statusChanged()
    }

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

    // MARK: Actions

    func perform(_ actions: [GuildFeed.Action], on link: GuildLink) {
        for action in actions { perform(action, on: link) }
        armTimer(link)
    }

    private func perform(_ action: GuildFeed.Action, on link: GuildLink) {
        switch action {
        case .list(let purpose, let epoch): list(link, purpose: purpose, epoch: epoch)
        case .join(let slots, let epoch): join(link, slots: slots, epoch: epoch)
        case .leave(let channel): leave(link, channel: channel)
        case .readHistory(let slot, let generation, let range):
            readHistory(link, slot: slot, generation: generation, range: range)
        case .replaceConnection(let reason, let deaf):
            if let token = link.token { environment.sessions.invalidate(id, ifTokenIs: token) }
            life.guildProblem = "guild \(link.nodeId): \(reason)"
            if deaf { logger.error("deaf socket", metadata: ["guild": "\(link.nodeId)", "reason": "\(reason)"]) }
            if let client = link.client { run { _ in await client.reconnect(reason: reason) } }
        case .forget(let channel):
            link.forgetTexts()
            restored.cursors[ChannelKey(guild: link.nodeId, channel: channel)] = nil
            commit([.forgetChannel(ChannelKey(guild: link.nodeId, channel: channel))])
        case .phaseChanged: phaseChanged(link)
        case .report(let report): log(report, of: link)
        }
    }

    private func phaseChanged(_ link: GuildLink) {
        if link.feed.isReady {
            link.lastConnectedAt = environment.wallClock()
            link.reconnectAttempts = 0
            tellBoard(link)
            for slot in link.feed.slots.indices { pump(link, slot) }
            storeCursors()
        }
        statusChanged()
    }

    private func log(_ report: GuildFeed.Report, of link: GuildLink) {
        let guild: Logger.MetadataValue = "\(link.nodeId)"
        switch report {
        case .joined(let channels):
            logger.info("joined", metadata: ["guild": guild, "channels": "\(channels)"])
        case .resynced(let added, let removed):
            logger.info("channels changed", metadata: ["guild": guild, "added": "\(added)", "removed": "\(removed)"])
        case .skipped(let channel, let count):
            logger.warning(
                "messages skipped: the gap is longer than a catch-up reads",
                metadata: ["guild": guild, "channel": "\(channel)", "count": "\(count)"])
        case .deaf(let channel):
            logger.error(
                "the socket did not bring what the guild has; reconnecting with a new token",
                metadata: ["guild": guild, "channel": "\(channel)"])
        case .listFailed(let reason):
            logger.warning("channel list failed", metadata: ["guild": guild, "reason": "\(reason)"])
        case .rewound(let channel, let from, let to):
            logger.error(
                "the guild's log went back; following it",
                metadata: ["guild": guild, "channel": "\(channel)", "from": "\(from)", "to": "\(to)"])
        case .historyGivenUp(let channel, let reason):
            logger.error(
                "history cannot be read; messages may be missing",
                metadata: ["guild": guild, "channel": "\(channel)", "reason": "\(reason)"])
        }
    }

    private func armTimer(_ link: GuildLink) {
        guard link.timerDue != link.feed.nextTick else { return }
        link.timer?.cancel()
        link.timer = nil
        link.timerDue = link.feed.nextTick
        guard let due = link.feed.nextTick, links[link.nodeId] === link, !isStopping else { return }
        let guild = link.nodeId
        link.timer = loop.schedule(after: max(.zero, ContinuousClock.now.duration(to: due))) { [weak self] in
            self?.assumeIsolated { account in
                guard let link = account.links[guild] else { return }
                link.timerDue = nil
                account.perform(link.feed.tick(now: .now), on: link)
                account.storeCursors()
            }
        }
    }

    private func list(_ link: GuildLink, purpose: GuildFeed.ListPurpose, epoch: Int) {
        let nodeId = link.nodeId
        let proofToken = link.token
        run { account in
            do {
                let channels: [FabricChannelInfo]
                if purpose == .proof, let proofToken {
                    channels = try await link.guild.channels(token: proofToken)
                } else {
                    channels = try await account.withGuildToken(nodeId) { try await link.guild.channels(token: $0) }
                }
                account.listed(channels, link: link, purpose: purpose, epoch: epoch)
            } catch is CancellationError {
            } catch {
                let failure = listFailure(error)
                if case .refused = failure, purpose == .proof, let proofToken {
                    // Also when the guild has dropped the socket meanwhile: the next one needs another token.
                    account.environment.sessions.invalidate(account.id, ifTokenIs: proofToken)
                }
                account.perform(
                    link.feed.listFailed(failure, purpose: purpose, epoch: epoch, now: .now), on: link)
            }
        }
    }

    private func listed(_ channels: [FabricChannelInfo], link: GuildLink, purpose: GuildFeed.ListPurpose, epoch: Int) {
        guard links[link.nodeId] === link else { return }
        let rows = channels.map { info in
            ListedChannel(
                id: info.id, name: info.name, type: info.xType, lastSeq: info.lastSeq, closed: info.closed,
                createdAt: info.createdAt.flatMap(FabricTime.seconds))
        }
        link.forgetTexts()
        let actions = link.feed.listed(
            rows, purpose: purpose, epoch: epoch, now: .now, wall: environment.wallClock())
        commit([.listed(guild: link.nodeId, at: environment.wallClock())])
        perform(actions, on: link)
        for slot in link.feed.slots.indices where link.feed.slots[slot].lane.waitingCount > 0 { pump(link, slot) }
    }

    private func join(_ link: GuildLink, slots: [Int], epoch: Int) {
        let channels = slots.map { link.feed.slots[$0].id }
        guard let client = link.client else { return }
        let timeout = settings.joinTimeout
        run { account in
            await withTaskGroup(of: Void.self) { group in
                for channel in channels {
                    group.addTask {
                        // An acknowledgement is asked for and not required: what matters is what arrives.
                        let argument = SocketIOArgument.json(FabricRealtime.channelArgument(channel))
                        _ = try? await client.emit(FabricRealtime.join, [argument], ackTimeout: timeout)
                    }
                }
            }
            account.perform(link.feed.joinsEnded(slots, epoch: epoch), on: link)
        }
    }

    private func leave(_ link: GuildLink, channel: String) {
        guard let client = link.client else { return }
        run { _ in
            try? await client.emit(FabricRealtime.leave, [.json(FabricRealtime.channelArgument(channel))])
        }
    }

    private func guildToken(_ guild: String) async throws -> String {
        guard !isStopping else { throw CancellationError() }
        // Without leaving the loop: between the check above and a look-up elsewhere the account could be stopped, and the
        // look-up would log in for nobody.
        if let cached = environment.sessions.cachedGuildToken(for: id, guild: guild) { return cached.token }
        return try await environment.sessions.guildToken(for: id, guild: guild).token
    }

    /// Runs a request with the guild token valid now; a 401 invalidates exactly that token, and one more try is made with
    /// its successor.
    func withGuildToken<Result: Sendable>(
        _ guild: String, _ body: @Sendable (String) async throws -> Result
    ) async throws -> Result {
        let first = try await guildToken(guild)
        do {
            return try await body(first)
        } catch let error as FabricError where error.isRefusedToken {
            environment.sessions.invalidate(id, ifTokenIs: first)
            let second = try await guildToken(guild)
            guard second != first else { throw error }
            return try await body(second)
        }
    }
}
