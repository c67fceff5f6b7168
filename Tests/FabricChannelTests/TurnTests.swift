import ChannelStore
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
}
