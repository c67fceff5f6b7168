import FabricAPI

@testable import FabricChannel
@testable import Sessions

/// Why a request came to nothing.
enum SimTrouble: Error {
    case passing(String)
    case unknownOutcome
    case refusedToken
    case final(Int)
}

/// Sockets and requests.
extension SimAccount {
    func open(_ number: Int) {
        let name = inbox.nodeID(number)
        guard links[number] == nil, let guild = world.guilds.first(where: { $0.id == name }) else { return }
        let link = SimLink(number: number, guild: guild, account: self)
        links[number] = link
        after(0) { link.connect() }
    }

    func close(_ number: Int) { links.removeValue(forKey: number)?.silence() }

    // MARK: The session

    /// As `Account` follows its session.
    func obtainSession(failures: Int = 0) {
        guard isRunning else { return }
        sessions.demand { [self] result in
            guard isRunning else { return }
            switch result {
            case .success(let session): adopt(session)
            case .failure(let error):
                world.trace("no session: \(error.kind)")
                guard error.blockedReason == nil else { return block() }
                if world.mutant == .logsInOnce { return }
                let pause = error.retryDelay ?? .seconds(1 << min(failures + 1, 6))
                after(max(pause.inSeconds, 0.01)) { [self] in obtainSession(failures: failures + 1) }
            }
        }
    }

    func heard(_ update: SessionUpdate) {
        guard isRunning else { return }
        world.trace("session: \(update)")
        switch update {
        case .renewed(let session): adopt(session)
        case .blocked: block()
        case .unblocked: if isBlocked { obtainSession() }
        default: break
        }
    }

    private func adopt(_ session: Session) {
        isBlocked = false
        handle(Inbox.Event.session(user: session.fabric.user.id, guilds: session.fabric.guilds.map(\.nodeId)))
    }

    private func block() {
        isBlocked = true
        handle(Inbox.Event.session(user: inbox.user, guilds: []))
    }

    // MARK: Requests

    /// Asks a guild for something, with a token that is good now; one that is refused is replaced once, as in `Account`.
    func ask<Answer>(
        _ guild: SimGuild, isPost: Bool = false, _ serve: @escaping () -> Answer,
        _ done: @escaping (Result<Answer, SimTrouble>) -> Void
    ) {
        token(guild) { [self] first in
            guard let first else { return done(.failure(.passing("no token"))) }
            ask(guild, isPost: isPost, token: first, serve) { [self] answer in
                guard case .failure(.refusedToken) = answer,
                    tokenDoubts[guild.id]?.mayRenew(now: world.moment.instant) ?? true
                else { return done(answer) }
                sessions.invalidate(first)
                token(guild) { [self] second in
                    guard let second, second != first else { return done(answer) }
                    ask(guild, isPost: isPost, token: second, serve) { [self] answer in
                        switch answer {
                        case .failure(.refusedToken):
                            tokenDoubts[guild.id, default: TokenDoubt()].refusedAgain(now: world.moment.instant)
                        case .success: tokenDoubts[guild.id]?.renewalHelped()
                        case .failure: break
                        }
                        done(answer)
                    }
                }
            }
        }
    }

    private func token(_ guild: SimGuild, _ done: @escaping (String?) -> Void) {
        sessions.token(for: guild.id) { [self] result in if isRunning { done(try? result.get()) } }
    }

    /// Asks with a given token; it may be done although its answer never arrives.
    func ask<Answer>(
        _ guild: SimGuild, isPost: Bool = false, token: String, _ serve: @escaping () -> Answer,
        _ done: @escaping (Result<Answer, SimTrouble>) -> Void
    ) {
        let world = world
        var there = world.schedule.random.delay(0.2)
        let back = world.schedule.random.delay(0.2) + (world.isHit(.slowAnswers, 0.15) ? 20 : 0)
        if guild.isDown { return after(there) { done(.failure(.passing("the guild is down"))) } }
        if world.isHit(.lostRequests, 0.15) { return after(10) { done(.failure(.unknownOutcome)) } }
        if world.isHit(.refusedTokens, 0.1) { return after(there) { done(.failure(.refusedToken)) } }
        let isLost = world.isHit(.lostAnswers, 0.15)
        // A guild that does not know the keys cannot tell a late request from a second one; nothing here could.
        if isLost, world.plan.honoursKeys { there = world.schedule.random.between(0, 40) }
        if isLost { after(10) { done(.failure(.unknownOutcome)) } }
        world.schedule.after(there) { [self] in
            guard isRunning || world.plan.honoursKeys || !isPost else { return }
            guard !guild.isDown else {
                if !isLost { after(back) { done(.failure(.unknownOutcome)) } }
                return
            }
            guard guild.takes(token) else {
                if !isLost { after(back) { done(.failure(.refusedToken)) } }
                return
            }
            let answer = serve()
            if !isLost { after(back) { done(.success(answer)) } }
        }
    }

    func list(_ number: Int, _ purpose: GuildFeed.ListPurpose, epoch: Int) {
        guard let link = links[number] else { return }
        let failed = { [self] (failure: GuildFeed.ListFailure) in
            handle(.listFailed(number, failure, purpose, epoch: epoch))
        }
        var date: Double?
        var madeAt = world.schedule.now
        let proof = purpose == .proof ? link.token : nil
        let serve = { [self] in
            if world.plan.tellsTime { date = link.guild.clock.rounded(.down) }
            madeAt = world.schedule.now
            return world.liar.list(link.guild)
        }
        let done = { [self] (answer: Result<(isTrue: Bool, channels: [ListedChannel])?, SimTrouble>) in
            switch answer {
            case .success(.some((let isTrue, let channels))):
                guard links[number] === link else { return }
                if isTrue, inbox.guilds[number].feed.epoch == epoch { world.liar.wasHeard(link.guild) }
                world.trace("list \(purpose) \(channels.map { "\($0.id):\($0.lastSeq ?? -9)" })")
                world.checks.listed(channels, of: link.guild, madeAt: madeAt)
                handle(.listed(number, channels, purpose, epoch: epoch, date: date))
            case .success(.none): failed(.passing("500"))
            case .failure(.refusedToken):
                if let proof { sessions.invalidate(proof) }
                failed(.refused("401"))
            case .failure(let trouble): failed(.passing("\(trouble)"))
            }
        }
        if let proof { ask(link.guild, token: proof, serve, done) } else { ask(link.guild, serve, done) }
    }

    func join(_ number: Int, _ slots: [Int], _ channels: [String], epoch: Int, timeout: Duration) {
        guard let link = links[number], let socket = link.socket else {
            return after(0) { [self] in handle(.joinsEnded(number, slots, answered: 0, epoch: epoch)) }
        }
        let wait = timeout.inSeconds
        let isDropped = world.isHit(.drops, 0.1)
        let arrival = world.schedule.random.delay(0.2)
        world.schedule.after(arrival) {
            guard socket.isOpen, !isDropped else { return }
            for channel in link.guild.channels where channel.isMember && channels.contains(channel.id) {
                socket.joined.insert(channel.number)
            }
        }
        let isAnswered = world.plan.answersJoins && !isDropped && arrival * 2 < wait
        after(isAnswered ? arrival * 2 : channels.isEmpty ? 0 : wait) { [self] in
            handle(.joinsEnded(number, slots, answered: isAnswered ? channels.count : 0, epoch: epoch))
        }
    }

    func leave(_ number: Int, _ channel: String) {
        guard let link = links[number], let socket = link.socket else { return }
        for other in link.guild.channels where other.id == channel { socket.joined.remove(other.number) }
    }

    func readHistory(_ number: Int, _ slot: Int, _ read: UInt64, _ channel: String, _ range: ClosedRange<Int64>) {
        guard let link = links[number] else { return }
        if world.mutant == .gapNotRead {
            return after(0.1) { [self] in handle(.page(number, slot: slot, number: read, [])) }
        }
        ask(link.guild) {
            self.world.liar.history(link.guild, channel, range)
        } _: { [self] (told: Result<(isTrue: Bool, answer: Result<[FabricHistory.Row], SimTrouble>), SimTrouble>) in
            if case .success((true, _)) = told, inbox.guilds[number].feed.slots[slot].read == read {
                world.liar.wasHeard(link.guild, channel)
            }
            switch told.flatMap(\.answer) {
            case .success(var rows):
                world.trace("page \(channel) \(range): \(rows.map { $0.seq ?? -9 })")
                if world.mutant == .overflowLost, rows.count == Inbox.page { rows.removeSubrange(50..<100) }
                if world.mutant == .rowLost, rows.count > 2 { rows.remove(at: 1) }
                let before = inbox.guilds[number].feed.slots[slot].position.intake ?? .max
                handle(.page(number, slot: slot, number: read, rows))
                let after = inbox.guilds[number].feed.slots[slot].position.intake ?? .min
                for row in rows where (row.seq ?? .min) > before && (row.seq ?? .max) <= after {
                    world.checks.read(row.id)
                }
            case .failure(.final):
                handle(.pageFailed(number, slot: slot, number: read, isFinal: true, reason: "404"))
            case .failure(let trouble):
                handle(.pageFailed(number, slot: slot, number: read, isFinal: false, reason: "\(trouble)"))
            }
        }
    }
}
