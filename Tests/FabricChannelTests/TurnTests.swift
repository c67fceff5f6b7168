import ChannelStore
import FabricAPI
import JSONBytes
import Testing

@testable import FabricChannel

@Suite struct TurnTests {
    /// A turn that the gateway has from an instance before, and that waits for the store in this one: when the gateway makes
    /// it its own meanwhile, the end of this instance does not put it back, behind what was after it.
    @Test func whatTheGatewayMadeItsOwnDoesNotGoBackToItsLane() throws {
        let id = "me/g/c/6"
        var stored = StoredAccount(isRunning: false)
        stored.cursors[ChannelKey(guild: "g", channel: "c")] = 7
        for sequence in [6, 7] as [Int64] {
            stored.deliveries.append(
                StoredDelivery(
                    id: "me/g/c/\(sequence)", key: ChannelKey(guild: "g", channel: "c"), sequence: sequence, wake: true,
                    caughtUp: false, redelivered: false, message: Array(#"{"id":"x"}"#.utf8), handedOver: sequence == 6,
                    attempts: sequence == 6 ? 1 : 0))
        }
        var actions: [Inbox.Action] = []
        let now = Inbox.Moment(instant: .now, wall: 1.774e9)
        var inbox = Inbox(
            account: "me", settings: .init(), stored: stored, isHandover: false, mediaRoot: "/m",
            agents: AgentDirectory(), seed: 1, now: now, &actions)
        func handle(_ event: Inbox.Event) { inbox.handle(event, now: now, &actions) }
        handle(.session(user: "u-me", guilds: ["g"]))
        handle(.connected(0))
        let epoch = inbox.guilds[0].feed.epoch
        handle(
            .listed(
                0, [ListedChannel(id: "c", name: "c", type: .report, lastSeq: 7, closed: false)], .proof, epoch: epoch))
        handle(.joinsEnded(0, [0], answered: 1, epoch: epoch))
        #expect(inbox.openTurns == [id], "it waits for the store")
        handle(.settled(id, .adopted))
        handle(.stop)
        let changes = actions.flatMap { if case .commit(let changes, _) = $0 { changes } else { [StoreChange]() } }
        let last = changes.last { change in
            switch change {
            case .delivery(let delivery): delivery.id == id
            case .settled(let delivery): delivery == id
            default: false
            }
        }
        #expect(last == .settled(delivery: id))
        #expect(inbox.kept.deliveries.map(\.id) == ["me/g/c/7"])
    }

    /// The guild's log went back, nobody has noticed, and another message stands where one does whose turn runs: it is heard as
    /// well, under an id of its own. The same message is not.
    @Test func anotherMessageOfARunningTurnsPositionIsHeard() throws {
        let key = ChannelKey(guild: "g", channel: "c")
        func text(_ id: String) -> [UInt8] {
            Array(
                #"{"messageId":"\#(id)","seq":6,"channelId":"c","authorUserId":"u-1","content":"x","wakeup":true}"#.utf8
            )
        }
        var stored = StoredAccount(listedAt: ["g": 1.773e9], isRunning: false)
        stored.cursors[key] = 5
        stored.deliveries.append(
            StoredDelivery(
                id: "me/g/c/6", key: key, sequence: 6, wake: true, caughtUp: false, redelivered: false,
                message: text("m6"), handedOver: true, attempts: 1))
        for (id, expected) in [("m6", ["me/g/c/6"]), ("other", ["me/g/c/6", "me/g/c/6~"])] {
            var actions: [Inbox.Action] = []
            let now = Inbox.Moment(instant: .now, wall: 1.774e9)
            var inbox = Inbox(
                account: "me", settings: .init(), stored: stored, isHandover: true, mediaRoot: "/m",
                agents: AgentDirectory(), seed: 1, now: now, &actions)
            func handle(_ event: Inbox.Event) { inbox.handle(event, now: now, &actions) }
            handle(.session(user: "u-me", guilds: ["g"]))
            handle(.connected(0))
            let epoch = inbox.guilds[0].feed.epoch
            let list = [ListedChannel(id: "c", name: "c", type: .general, lastSeq: 5, closed: false)]
            handle(.listed(0, list, .proof, epoch: epoch))
            handle(.joinsEnded(0, [0], answered: 1, epoch: epoch))
            let bytes = text(id)
            bytes.withUnsafeBytes { raw in
                let json = JSONView(validated: raw, start: 0, end: raw.count)
                guard let view = FabricMessageView(json) else { return }
                handle(.message(0, view, json))
            }
            let ids = inbox.kept.deliveries.map(\.id)
            #expect(ids.count == expected.count && zip(ids, expected).allSatisfy { $0.hasPrefix($1) }, "\(ids)")
            handle(.settled("me/g/c/6", .finished))
            #expect(inbox.turns.keys.sorted() == ids.filter { $0 != "me/g/c/6" })
        }
    }
}
