import ChannelStore
import FabricAPI

@testable import FabricChannel

/// The course of events of a seed.
extension World {
    private static let types: [FabricChannelType] = [
        .dm, .general, .general, .report, .discuss, .work, .triage, .custom, .announce,
    ]

    /// Runs all of it; what was wrong is in `failures` afterwards.
    func play() {
        prepare()
        startProcess()
        for _ in 0..<plan.messages { sometime { $0.somebodyWrites() } }
        for _ in 0..<plan.sends { sometime { $0.agentWrites() } }
        planFaults()
        schedule.run(for: plan.length)
        settle()
    }

    private func prepare() {
        for guild in guilds {
            for _ in 0..<plan.channels {
                let channel = guild.addChannel(schedule.random.pick(Self.types))
                for _ in 0..<schedule.random.below(4) { write(guild, channel) }
            }
        }
        schedule.run(for: 30)
    }

    private func sometime(_ body: @escaping (World) -> Void) {
        schedule.after(schedule.random.between(0, plan.length)) { [unowned self] in body(self) }
    }

    private func several(_ fault: Plan.Fault, _ most: Int, _ body: @escaping (World) -> Void) {
        guard plan.has(fault) else { return }
        for _ in 0...schedule.random.below(most) { sometime(body) }
    }

    private func planFaults() {
        several(.crashes, 4) { $0.crash(losesPower: false) }
        several(.powerCuts, 3) { $0.crash(losesPower: true) }
        several(.stops, 3) { $0.stop() }
        several(.handovers, 4) { $0.move(handsOver: true) }
        several(.restarts, 3) { $0.supervisor?.settingsChanged() }
        several(.disconnects, 6) { world in
            for guild in world.guilds { if let socket = guild.sockets.first { guild.close(socket) } }
        }
        several(.deafness, 3) { world in
            for guild in world.guilds { for socket in guild.sockets { socket.isDeaf = true } }
        }
        several(.vanishing, 3) { world in
            for guild in world.guilds { for socket in guild.sockets { socket.isGone = true } }
        }
        several(.failingStore, 2) { world in
            world.setStore(isGood: false)
            world.schedule.after(world.schedule.random.between(1, 60)) { [unowned world] in world.setStore(isGood: true)
            }
        }
        several(.failingHistory, 2) { world in
            world.liar.historyFailsUntil = world.schedule.now + Int64(world.schedule.random.between(5, 120) * 1e6)
        }
        several(.failingLists, 2) { world in
            world.liar.listsFailUntil = world.schedule.now + Int64(world.schedule.random.between(5, 120) * 1e6)
        }
        several(.guildRestarts, 3) { world in
            let guild = world.schedule.random.pick(world.guilds)
            guild.isDown = true
            for socket in guild.sockets { guild.close(socket) }
            let time = world.schedule.random.between(1, world.plan.has(.gaps) ? 200 : 20)
            world.schedule.after(time) { guild.isDown = false }
        }
        several(.backups, 2) { world in
            let guild = world.schedule.random.pick(world.guilds)
            guild.cutOff(world.schedule.random.pick(guild.channels), 1 + world.schedule.random.below(6))
        }
        several(.clockJumps, 3) { $0.wallSkew += $0.schedule.random.between(-20000, 20000) }
        several(.membership, 4) { $0.membershipChanges() }
        several(.guildLeaves, 1) { world in
            let guild = world.schedule.random.pick(world.guilds)
            world.setMember(guild, false)
            world.schedule.after(world.schedule.random.between(1, 60)) { [unowned world] in world.setMember(guild, true)
            }
        }
        several(.bursts, 3) { $0.burst(10 + $0.schedule.random.below(40)) }
        several(.overflow, 1) { $0.burst(2300) }
        several(.lyingEvents, 4) { $0.lyingEvent() }
    }

    func setStore(isGood: Bool) {
        guard store.isGood != isGood else { return }
        store.setHealth(isGood)
        if let account, account.isRunning { account.handle(Inbox.Event.storeHealth(isGood: isGood)) }
    }

    private func setMember(_ guild: SimGuild, _ isMember: Bool) {
        guard guild.hasAgent != isMember else { return }
        trace("\(guild.id) member \(isMember)")
        guild.hasAgent = isMember
        renewSession(tries: 20)
    }

    /// Until the account has a session that shows the guilds as they are, as it would have once its tokens ran out.
    private func renewSession(tries: Int) {
        let present = Set(guilds.filter(\.hasAgent).map(\.id))
        let known = account?.sessions.session.map { Set($0.fabric.guilds.map(\.nodeId)) }
        guard tries > 0, known != present else { return }
        account?.sessions.renew()
        schedule.after(15) { [unowned self] in renewSession(tries: tries - 1) }
    }

    private func membershipChanges() {
        let guild = schedule.random.pick(guilds)
        switch schedule.random.below(3) {
        case 0:
            let channel = guild.addChannel(schedule.random.pick(Self.types), isMember: false)
            for _ in 0..<schedule.random.below(3) { write(guild, channel) }
            guild.setMember(channel, true)
        default:
            let channel = schedule.random.pick(guild.channels)
            guild.setMember(channel, !channel.isMember)
        }
    }

    // MARK: Messages

    private func somebodyWrites() {
        let guild = schedule.random.pick(guilds)
        write(guild, schedule.random.pick(guild.channels))
    }

    private func agentWrites() {
        let guild = schedule.random.pick(guilds)
        let channel = schedule.random.pick(guild.channels)
        guard channel.isMember, let host else { return }
        host.say(to: ChannelKey(guild: guild.id, channel: channel.id))
    }

    private func burst(_ count: Int) {
        let guild = schedule.random.pick(guilds)
        let channel = schedule.random.pick(guild.channels)
        for _ in 0..<count { write(guild, channel) }
    }

    /// A message, and whom it wakes by the rules of its channel.
    @discardableResult
    func write(_ guild: SimGuild, _ channel: SimChannel) -> SimMessage {
        let isAgent = plan.has(.agentsTalk) && isFaulty && schedule.random.chance(0.4)
        let author = isAgent ? schedule.random.pick(Self.otherAgents) : "u-\(schedule.random.below(3))"
        let mention = schedule.random.below(5)
        let mentionsMe = mention == 0
        let mentionsOther = mention == 1
        var (wake, isInferable) = (mentionsMe, true)
        switch channel.type {
        case .dm: wake = true
        case .general: wake = mentionsMe || !mentionsOther
        case .discuss, .work, .triage, .custom:
            if channel.type == .custom { wake = false }
            if !wake, schedule.random.chance(0.4) { (wake, isInferable) = (true, false) }
        default: wake = false
        }
        let words = mentionsMe ? "<@\(SimGuild.agent)> look" : mentionsOther ? "<@u-9> look" : "text"
        return guild.post(
            channel, author: author, content: words, wake: wake, isInferable: isInferable,
            hasFile: plan.has(.files) && schedule.random.chance(0.3))
    }

    /// An event that no log holds.
    private func lyingEvent() {
        let guild = schedule.random.pick(guilds)
        let channel = schedule.random.pick(guild.channels)
        messageCount += 1
        let sequence = schedule.random.pick([
            .max, .min, -5, 1 << 53, channel.next + 1, channel.next + 1000, channel.next + 100_000,
        ])
        let text =
            #"{"messageId":"lie\#(messageCount)","seq":\#(sequence),"channelId":"\#(channel.id)","#
            + #""authorUserId":"u-1","content":"x","createdAt":\#(Int64(guild.clock * 1000)),"wakeup":false}"#
        trace("a lie: \(text)")
        checks.lied(ChannelKey(guild: guild.id, channel: channel.id), sequence)
        for socket in guild.sockets where socket.joined.contains(channel.number) {
            guild.push(.messageCreated, Array((schedule.random.chance(0.1) ? "{}" : text).utf8), nil, to: socket)
        }
    }

    // MARK: The end

    /// The faults end; whatever is still missing a while later is lost.
    private func settle() {
        trace("the faults end")
        isFaulty = false
        liar.historyFailsUntil = 0
        liar.listsFailUntil = 0
        for guild in guilds {
            guild.isDown = false
            setMember(guild, true)
        }
        setStore(isGood: true)
        account?.sessions.unblock()
        schedule.run(for: 20)
        for _ in 0..<90 where !checks.isSettled || center.isSilent { schedule.run(for: 10) }
        if account == nil { fail("the process does not run") }
        // Deafness: what is posted now must be taken in within two periods, whatever the sockets do.
        if plan.has(.deafness) { for guild in guilds { for socket in guild.sockets { socket.isDeaf = true } } }
        var probes: [SimMessage] = []
        for guild in guilds {
            for channel in guild.channels where channel.isMember { probes.append(write(guild, channel)) }
        }
        schedule.run(for: plan.syncPeriod * 2.2 + 15)
        checks.areTakenIn(probes)
        for _ in 0..<60 where !checks.isSettled { schedule.run(for: 60) }
        checks.end()
    }
}
