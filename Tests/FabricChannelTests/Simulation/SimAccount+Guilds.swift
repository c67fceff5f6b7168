import FabricAPI

@testable import FabricChannel

/// The account's connection to one guild.
final class SimLink {
    let number: Int
    let guild: SimGuild
    var socket: SimSocket?
    /// Counts attempts, so that one that was overtaken comes to nothing.
    var attempt = 0
    var isSilent = false

    init(number: Int, guild: SimGuild) {
        self.number = number
        self.guild = guild
    }

    /// Nothing is heard of this connection any more.
    func silence() {
        isSilent = true
        attempt += 1
        guard let socket else { return }
        self.socket = nil
        socket.isOpen = false
        guild.sockets.removeAll { $0 === socket }
    }
}

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
        let link = SimLink(number: number, guild: guild)
        links[number] = link
        after(0) { [self] in connect(link) }
    }

    func close(_ number: Int) { links.removeValue(forKey: number)?.silence() }

    private func connect(_ link: SimLink) {
        guard !link.isSilent else { return }
        link.attempt += 1
        let attempt = link.attempt
        let step = { [self] (usual: Double, body: @escaping () -> Void) in
            after(world.schedule.random.delay(usual)) { if link.attempt == attempt { body() } }
        }
        handle(.connecting(link.number))
        step(0.3) { [self] in
            guard !link.guild.isDown, !world.isHit(.disconnects, 0.2) else { return lost(link) }
            handle(.askedForToken(link.number))
            step(0.3) { [self] in
                guard !link.guild.isDown else { return lost(link) }
                connected(link)
            }
        }
    }

    private func connected(_ link: SimLink) {
        var this: SimSocket?
        let socket = SimSocket(
            event: { [self] event, bytes, message in
                if link.socket === this { received(event, bytes, message, link) }
            },
            lost: { [self] in if isRunning, link.socket === this { lost(link) } })
        this = socket
        socket.isDeaf = world.isHit(.deafness, 0.3)
        link.socket = socket
        link.guild.sockets.append(socket)
        handle(.connected(link.number))
    }

    /// The connection is gone, and is tried again after a while.
    func lost(_ link: SimLink) {
        guard !link.isSilent else { return }
        link.attempt += 1
        if let socket = link.socket {
            link.socket = nil
            socket.isOpen = false
            link.guild.sockets.removeAll { $0 === socket }
        }
        handle(.disconnected(link.number))
        let attempt = link.attempt
        after(world.schedule.random.between(1, 10)) { [self] in if link.attempt == attempt { connect(link) } }
    }

    // MARK: Requests

    /// Asks a guild for something; it may be done although its answer never arrives.
    func ask<Answer>(
        _ guild: SimGuild, isPost: Bool = false, retriesToken: Bool = true, _ serve: @escaping () -> Answer,
        _ done: @escaping (Result<Answer, SimTrouble>) -> Void
    ) {
        let world = world
        var there = world.schedule.random.delay(0.2)
        let back = world.schedule.random.delay(0.2) + (world.isHit(.slowAnswers, 0.15) ? 20 : 0)
        if guild.isDown { return after(there) { done(.failure(.passing("the guild is down"))) } }
        if world.isHit(.lostRequests, 0.15) { return after(10) { done(.failure(.unknownOutcome)) } }
        if world.isHit(.refusedTokens, 0.1) {
            return after(there) { [self] in
                guard retriesToken else { return done(.failure(.refusedToken)) }
                ask(guild, isPost: isPost, retriesToken: false, serve, done)
            }
        }
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
        ask(link.guild, retriesToken: purpose != .proof) {
            if self.world.plan.tellsTime { date = link.guild.clock.rounded(.down) }
            return self.world.liar.list(link.guild)
        } _: { [self] (answer: Result<[ListedChannel]?, SimTrouble>) in
            switch answer {
            case .success(.some(let channels)):
                guard links[number] === link else { return }
                world.trace("list \(purpose) \(channels.map { "\($0.id):\($0.lastSeq ?? -9)" })")
                handle(.listed(number, channels, purpose, epoch: epoch, date: date))
            case .success(.none): failed(.passing("500"))
            case .failure(.refusedToken): failed(.refused("401"))
            case .failure(let trouble): failed(.passing("\(trouble)"))
            }
        }
    }

    func join(_ number: Int, _ slots: [Int], _ channels: [String], epoch: Int, timeout: Duration) {
        guard let link = links[number], !link.isSilent, let socket = link.socket else {
            return after(0) { [self] in handle(.joinsEnded(number, slots, answered: 0, epoch: epoch)) }
        }
        let wait = Double(timeout.components.seconds) + Double(timeout.components.attoseconds) / 1e18
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
            if case .success((true, _)) = told { world.liar.wasHeard(link.guild, channel) }
            switch told.flatMap(\.answer) {
            case .success(var rows):
                world.trace("page \(channel) \(range): \(rows.map { $0.seq ?? -9 })")
                if world.mutant == .overflowLost, rows.count == Inbox.page { rows.removeSubrange(50..<100) }
                if world.mutant == .rowLost, rows.count > 2 { rows.remove(at: 1) }
                handle(.page(number, slot: slot, number: read, rows))
            case .failure(.final):
                handle(.pageFailed(number, slot: slot, number: read, isFinal: true, reason: "404"))
            case .failure(let trouble):
                handle(.pageFailed(number, slot: slot, number: read, isFinal: false, reason: "\(trouble)"))
            }
        }
    }
}
