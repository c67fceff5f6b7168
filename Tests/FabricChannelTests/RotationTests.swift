import ChannelStore
import JSONBytes
import Testing

@testable import FabricAPI
@testable import FabricChannel

/// A message that was read from history in a channel that takes turns: whose turn it made it, only the socket would have said.
@Suite struct RotationTests {
    /// An inbox whose lists, joins and history are answered at once, in virtual time.
    struct Stage {
        var inbox: Inbox
        var log: [(sequence: Int64, author: String)] = []
        var instant = ContinuousClock.now
        var type: FabricChannelType
        /// What went to the gateway: positions, and whether they woke the agent.
        var delivered: [String] = []
        var ended: [Inbox.EndedTurn] = []
        var created = 1_774_000_000_000 as Int64
        private var actions: [Inbox.Action] = []
        private var reads = true

        static let key = ChannelKey(guild: "g", channel: "c")
        static let fresh = StoredAccount(
            cursors: [key: 3], newest: [key: 1.7739e9], listedAt: ["g": 1.773e9], isRunning: false)

        init(
            _ type: FabricChannelType = .discuss, settings: Inbox.Settings = .init(), stored: StoredAccount = fresh,
            isHandover: Bool = false, agents: AgentDirectory = AgentDirectory(), account: String = "me"
        ) {
            self.type = type
            inbox = Inbox(
                account: account, settings: settings, stored: stored, isHandover: isHandover, mediaRoot: "/m",
                agents: agents, seed: 1, now: Inbox.Moment(instant: instant, wall: 1.774e9), &actions)
        }

        var moment: Inbox.Moment { Inbox.Moment(instant: instant, wall: 1.774e9) }

        mutating func handle(_ event: Inbox.Event) {
            tell(event)
            while !actions.isEmpty {
                let decided = actions
                actions = []
                for action in decided { perform(action) }
            }
        }

        private mutating func tell(_ event: Inbox.Event) {
            let now = moment
            inbox.handle(event, now: now, &actions)
        }

        private mutating func perform(_ action: Inbox.Action) {
            switch action {
            case .list(let guild, let purpose, let epoch):
                let head = log.last?.sequence ?? 3
                let list = [ListedChannel(id: "c", name: "c", type: type, lastSeq: head, closed: false)]
                tell(.listed(guild, list, purpose, epoch: epoch))
            case .join(let guild, let slots, _, let epoch, _):
                tell(.joinsEnded(guild, slots, answered: 1, epoch: epoch))
            case .readHistory(let guild, let slot, let number, _, let range):
                let rows = log.filter { range.contains($0.sequence) }.map { row($0.sequence, $0.author) }
                tell(.page(guild, slot: slot, number: number, rows))
            case .deliverRecord(let guild, let slot, let message, let isStored):
                delivered.append("\(message.sequence ?? -1)")
                tell(.recordAnswered(guild, slot: slot, message, isStored: isStored, .adopted))
            case .record: delivered.append("live")
            case .commit(_, let ticket): tell(.stored(ticket))
            case .flushSoon: tell(.flush)
            case .fetch(let id, _): tell(.fetched(id))
            case .deliver(let id):
                delivered.append("wake \(inbox.turn(id)?.message.sequence ?? -1)")
                tell(.answered(id, .taken))
            case .endTurn(let turn): ended.append(turn)
            default: break
            }
        }

        private func text(_ sequence: Int64, _ author: String, wakeup: Bool? = nil) -> [UInt8] {
            let flag = wakeup.map { #","xType":"\#(type.rawValue)","wakeup":\#($0)"# } ?? ""
            return Array(
                #"{"messageId":"m\#(sequence)","seq":\#(sequence),"channelId":"c","authorUserId":"\#(author)","#.utf8)
                + Array(#""content":"text","createdAt":\#(created + sequence)\#(flag)}"#.utf8)
        }

        private func row(_ sequence: Int64, _ author: String) -> FabricHistory.Row {
            .init(id: "m\(sequence)", seq: sequence, json: text(sequence, author))
        }

        /// The guild has a message; the socket brings it with `wakeup`, unless that is nil.
        mutating func post(_ author: String = "u-1", wakeup: Bool? = nil) {
            let sequence = (log.last?.sequence ?? 3) + 1
            log.append((sequence, author))
            guard let wakeup else { return }
            text(sequence, author, wakeup: wakeup).withUnsafeBytes { text in
                let json = JSONView(validated: text, start: 0, end: text.count)
                guard let view = FabricMessageView(json) else { return }
                handle(.message(0, view, json))
            }
        }

        mutating func connect() {
            handle(.session(user: "u-me", guilds: ["g"]))
            handle(.connected(0))
        }

        /// Until the inbox has nothing to wait for, or so many seconds have passed.
        mutating func wait(_ seconds: Double) {
            let end = instant.advanced(by: .seconds(seconds))
            while let due = inbox.due, due <= end {
                instant = max(due, instant)
                handle(.tick)
            }
            instant = end
        }
    }

    @Test(arguments: [FabricChannelType.discuss, .work])
    func whatNobodyAnswersWakesTheAgent(_ type: FabricChannelType) throws {
        var stage = Stage(type)
        stage.post()
        stage.post()
        stage.connect()
        #expect(stage.delivered == ["4"], "the last one waits, and what is before it does not")
        #expect(stage.inbox.guilds[0].feed.slots[0].position.intake == 5, "and holds up no position")
        stage.wait(14.9)
        #expect(stage.delivered == ["4"])
        stage.wait(15.2)
        #expect(stage.delivered == ["4", "wake 5"])
        stage.wait(300)
        stage.handle(.settled("me/g/c/5", .finished))
        #expect(stage.delivered == ["4", "wake 5"], "once")
        #expect(try #require(stage.ended.first).mustAnswer, "it says /no-reply when the agent says nothing")
    }

    enum End: CaseIterable { case record, wake, own, ownAnswer, ownRow, row }

    /// Whatever is newer in the channel ends the wait, and comes behind.
    @Test(arguments: End.allCases) func whatIsNewerEndsTheWait(_ end: End) {
        var stage = Stage()
        stage.post()
        stage.connect()
        stage.wait(5)
        #expect(stage.delivered == [])
        switch end {
        case .record:
            stage.post(wakeup: false)
            #expect(stage.delivered == ["4", "5"])
        case .wake:
            stage.post(wakeup: true)
            #expect(stage.delivered == ["4", "wake 5"])
        case .own: stage.post("u-me", wakeup: false)
        case .ownAnswer:
            stage.handle(.posted(guild: "g", channel: "c", sequence: 5))
            #expect(stage.delivered == ["4"])
        case .ownRow, .row:
            stage.post(end == .row ? "u-2" : "u-me")
            stage.handle(.disconnected(0))
            stage.wait(3)
            stage.handle(.connected(0))
            #expect(stage.delivered == ["4"])
        }
        stage.wait(60)
        #expect(stage.delivered.first == "4")
        // A newer one that came by history too is waited on in its turn.
        #expect(stage.delivered.contains { $0.hasPrefix("wake") } == (end == .wake || end == .row))
        #expect(stage.inbox.waitingCount == 0)
    }

    /// What the socket brought is the guild's word.
    @Test func whatTheSocketBroughtIsNotWaitedOn() {
        var stage = Stage()
        stage.connect()
        stage.post(wakeup: false)
        stage.wait(300)
        #expect(stage.delivered == ["live"])
    }

    @Test(arguments: [FabricChannelType.general, .custom, .announce, .unknown, .report])
    func otherChannelsDoNotWait(_ type: FabricChannelType) {
        var stage = Stage(type)
        stage.post("00000000-0000-0000-0000-000000000000")
        stage.connect()
        #expect(stage.delivered.count == 1)
        #expect(stage.inbox.guilds[0].feed.possibleTurns.isEmpty)
    }

    @Test func settingsSwitchItOff() {
        for change: (inout Inbox.Settings) -> Void in [{ $0.infersWake = false }, { $0.turnPatience = .zero }] {
            var settings = Inbox.Settings()
            change(&settings)
            var stage = Stage(settings: settings)
            stage.post()
            stage.connect()
            #expect(stage.delivered == ["4"])
        }
    }

    /// A reload, a restart, or a crash while it waits: it is kept, and waits anew.
    @Test(arguments: [true, false]) func theWaitGoesOnAfterARestart(isHandover: Bool) {
        var stage = Stage()
        stage.post()
        stage.connect()
        stage.wait(5)
        stage.handle(.stop)
        let kept = stage.inbox.kept
        #expect(kept.deliveries.map(\.id) == ["me/g/c/4"])
        var next = Stage(stored: kept, isHandover: isHandover)
        next.log = stage.log
        next.connect()
        #expect(next.delivered == [])
        next.wait(31)
        #expect(next.delivered == ["wake 4"])
        // Had its channel become another, it would not wait.
        var other = Stage(.report, stored: kept, isHandover: isHandover)
        other.log = stage.log
        other.connect()
        #expect(other.delivered == ["4"])
    }

    /// While the guild is away, or the store takes nothing, nobody can say that nothing was written.
    @Test func itIsNotJudgedBlindly() {
        var stage = Stage()
        stage.post()
        stage.connect()
        stage.handle(.disconnected(0))
        stage.wait(100)
        #expect(stage.delivered == [])
        stage.handle(.connected(0))
        stage.handle(.storeHealth(isGood: false))
        stage.wait(100)
        #expect(stage.delivered == [])
        stage.handle(.storeHealth(isGood: true))
        stage.wait(70)
        #expect(stage.delivered == ["wake 4"])
    }

    /// Three agents of a gateway that was away: each has its own time, and none speaks while another is at work there.
    @Test func theAgentsOfAGatewayGoOneAfterTheOther() {
        let agents = AgentDirectory()
        var stages = ["a", "b", "c"].map { Stage(agents: agents, account: $0) }
        for index in stages.indices {
            stages[index].post()
            stages[index].connect()
        }
        let due = stages.compactMap(\.inbox.due)
        #expect(Set(due).count == 3)
        func pass(_ seconds: Int) {
            for _ in 0..<seconds { for index in stages.indices { stages[index].wait(1) } }
        }
        pass(200)
        let first = stages.indices.filter { !stages[$0].delivered.isEmpty }
        #expect(first.count == 1, "the others wait for its end")
        for index in first { stages[index].handle(.settled("\(stages[index].inbox.account)/g/c/4", .finished)) }
        pass(31)
        #expect(stages.count { !$0.delivered.isEmpty } == 2, "it was not that one's turn")
        // One that moves to another instance is at work in that one too.
        let busy = stages.indices.filter { !first.contains($0) && !stages[$0].delivered.isEmpty }
        for index in busy {
            stages[index].handle(.stop)
            #expect(!agents.turns.hasAny(in: Stage.key))
            _ = Stage(
                stored: stages[index].inbox.kept, isHandover: true, agents: agents,
                account: stages[index].inbox.account)
            #expect(agents.turns.hasAny(in: Stage.key))
        }
    }

    /// The limit on what agents say to each other, and the age from which nothing is caught up, hold for it too.
    @Test func limitsHold() {
        let agents = AgentDirectory()
        agents.insert("u-bot")
        var settings = Inbox.Settings()
        settings.chatter.messages = 1
        var stage = Stage(settings: settings, agents: agents)
        stage.connect()
        stage.post("u-bot", wakeup: true)
        stage.handle(.settled("me/g/c/4", .finished))
        stage.handle(.disconnected(0))
        stage.post("u-bot")
        stage.handle(.connected(0))
        stage.wait(31)
        #expect(stage.delivered == ["wake 4", "5"])
        settings = .init()
        settings.catchUpHours = 0.005
        var old = Stage(settings: settings)
        old.post()
        old.connect()
        old.inbox.guilds[0].feed.clockOffset = 20
        old.wait(31)
        #expect(old.delivered == ["4"])
    }

    /// The agent leaves the channel, or the guild: what waited is for the record.
    @Test(arguments: [true, false]) func whoLeavesDoesNotWait(isGuild: Bool) {
        var stage = Stage()
        stage.post()
        stage.connect()
        if isGuild {
            stage.handle(.session(user: "u-me", guilds: []))
        } else {
            Array(#"{"channelId":"c","userId":"u-me"}"#.utf8).withUnsafeBytes { text in
                let json = JSONView(validated: text, start: 0, end: text.count)
                guard let change = FabricMembershipEvent(json) else { return }
                stage.handle(.membership(0, change, joined: false))
            }
        }
        stage.wait(31)
        #expect(stage.delivered == ["4"])
    }
}
