import ChannelStore
import FabricAPI
import SocketIO
import Timing

/// What is asked of a guild to hear it: its channel list, joins, history. Each ends with an event for the inbox.
extension Account {
    func list(_ number: Int, _ purpose: GuildFeed.ListPurpose, epoch: Int) {
        guard let link = links[number] else { return }
        let proofToken = link.token
        run { account in
            do {
                let list: FabricChannelList
                if purpose == .proof, let proofToken {
                    list = try await link.guild.channelList(token: proofToken)
                } else {
                    list = try await account.withGuildToken(link.nodeId) {
                        try await link.guild.channelList(token: $0)
                    }
                }
                guard account.links[number] === link else { return }
                account.handle(
                    .listed(
                        number, list.channels.map(ListedChannel.init), purpose, epoch: epoch, date: list.date))
            } catch is CancellationError {
            } catch {
                let failure = listFailure(error)
                if case .refused = failure, purpose == .proof, let proofToken {
                    // Also when the guild has dropped the socket meanwhile: the next one needs another token.
                    account.environment.sessions.invalidate(account.id, ifTokenIs: proofToken)
                }
                account.handle(.listFailed(number, failure, purpose, epoch: epoch))
            }
        }
    }

    func join(_ number: Int, _ slots: [Int], channels: [String], epoch: Int, timeout: Duration) {
        guard let client = links[number]?.client else { return }
        run { account in
            let answered = await withTaskGroup(of: Bool.self, returning: Int.self) { group in
                for channel in channels {
                    group.addTask {
                        // An acknowledgement is asked for and not required: what matters is what arrives.
                        let argument = SocketIOArgument.json(FabricRealtime.channelArgument(channel))
                        return (try? await client.emit(FabricRealtime.join, [argument], ackTimeout: timeout)) != nil
                    }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            account.handle(.joinsEnded(number, slots, answered: answered, epoch: epoch))
        }
    }

    func leave(_ number: Int, channel: String) {
        guard let client = links[number]?.client else { return }
        run { _ in
            try? await client.emit(FabricRealtime.leave, [.json(FabricRealtime.channelArgument(channel))])
        }
    }

    func readHistory(_ number: Int, slot: Int, number read: UInt64, channel: String, _ range: ClosedRange<Int64>) {
        guard let link = links[number] else { return }
        run { account in
            do {
                let page = try await account.page(of: channel, range, link)
                account.remember(page.messages, ChannelKey(guild: link.nodeId, channel: channel))
                account.handle(.page(number, slot: slot, number: read, page.messages))
            } catch is CancellationError {
            } catch {
                let isFinal = (error as? FabricError)?.isFinal ?? false
                account.handle(
                    .pageFailed(number, slot: slot, number: read, isFinal: isFinal, reason: operatorText(error)))
            }
        }
    }

    /// A page of history, of fewer rows if they are more than an answer may hold.
    private func page(
        of channel: String, _ range: ClosedRange<Int64>, _ link: GuildLink
    ) async throws -> FabricHistory {
        var limit = Inbox.page
        let patience = settings.historyPatience
        while true {
            do {
                return try await withGuildToken(link.nodeId) { [limit] token in
                    try await link.guild.history(
                        channel: channel, from: range.lowerBound, to: range.upperBound, limit: limit, token: token,
                        patience: patience)
                }
            } catch let error as FabricError
                where error.isTooLarge && limit > 1
            {
                limit /= 8
            }
        }
    }

    // MARK: Tokens

    func guildToken(_ guild: String) async throws -> String {
        guard !ending.hasBegun else { throw CancellationError() }
        // Without leaving the loop: between the check above and a look-up elsewhere the account could be stopped, and the
        // look-up would log in for nobody.
        if let cached = environment.sessions.cachedGuildToken(for: id, guild: guild) { return cached.token }
        return try await environment.sessions.guildToken(for: id, guild: guild).token
    }

    /// Runs a request with the guild token valid now; a 401 invalidates exactly that token, and one more try is made with
    /// its successor. Not again and again where the successors are refused too.
    func withGuildToken<Result: Sendable>(
        _ guild: String, _ body: @Sendable (String) async throws -> Result
    ) async throws -> Result {
        let first = try await guildToken(guild)
        try checkLease()
        do {
            return try await body(first)
        } catch let error as FabricError where error.isRefusedToken {
            guard session.mayRenew(guild, now: .now) else { throw error }
            environment.sessions.invalidate(id, ifTokenIs: first)
            let second = try await guildToken(guild)
            guard second != first else { throw error }
            try checkLease()
            do {
                let result = try await body(second)
                session.renewalHelped(guild)
                return result
            } catch let error as FabricError where error.isRefusedToken {
                session.refusedAgain(guild, now: .now)
                throw error
            }
        }
    }
}

extension ListedChannel {
    init(_ info: FabricChannelInfo) {
        self.init(
            id: info.id, name: info.name, type: info.xType, lastSeq: info.lastSeq, closed: info.closed,
            createdAt: info.createdAt.flatMap { TimeText.seconds($0) }, purpose: info.purpose, onDuty: info.onDuty)
    }
}
