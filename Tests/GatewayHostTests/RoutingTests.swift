import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

@Suite struct RoutingTests {
    @Test func theLedgerRunsEachDeliveryOnce() {
        var ledger = TurnLedger(maximumFinished: 3)
        let reply = AgentReply(text: "answer")
        #expect(ledger.arrived("d") == .run)
        #expect(ledger.arrived("d") == .underWay)
        ledger.sending("d", reply)
        #expect(ledger.notSent("d") == nil, "nobody waits for it")
        #expect(ledger.arrived("d") == .resend(reply))
        #expect(ledger.arrived("d") == .underWay, "came again while it is on its way")
        #expect(ledger.notSent("d") == reply, "so it must be sent again now")
        #expect(ledger.arrived("d") == .underWay)
        #expect(ledger.finish("d") == true, "and settled once more")
        #expect(ledger.arrived("d") == .finished)
        for id in ["e", "f", "g"] {
            #expect(ledger.arrived(id) == .run)
            ledger.finish(id)
        }
        #expect(ledger.arrived("d") == .run, "the oldest is forgotten")
        ledger.forget("d")
        #expect(ledger.arrived("d") == .run)
    }

    @Test func theLedgerIsBounded() {
        var ledger = TurnLedger(maximumFinished: 100, maximumUnsentBytes: 1000)
        for index in 0..<10_000 {
            _ = ledger.arrived("d\(index)")
            ledger.finish("d\(index)")
            _ = ledger.arrived("u\(index)")
            ledger.sending("u\(index)", AgentReply(text: String(repeating: "x", count: 100)))
            _ = ledger.notSent("u\(index)")
        }
        #expect(ledger.remembered <= 111 && ledger.active == 0)
        #expect(ledger.arrived("u9999") == .resend(AgentReply(text: String(repeating: "x", count: 100))))
        #expect(ledger.arrived("u9000") == .run)
    }

    @Test func deliveriesAreReadAndRefused() throws {
        let text =
            #"{"delivery":"d","account":"a","channel":"c","wake":true,"redelivered":true,"conversation":{"id":"c:g/x"},"#
            + #""message":{"text":"h\u00e9\n","author":{"id":"u"}},"media":[{"path":"/p","bytes":3},{"name":"lost"}],"new":[1]}"#
        let head = try #require(DeliveryHead(Array(text.utf8)))
        #expect(head.id == "d" && head.account == "a" && head.channel == "c" && head.wake && head.redelivered)
        #expect(head.conversation == "c:g/x" && head.text == "hé\n")
        #expect(head.media == [.init(path: "/p"), .init(name: "lost")])
        for bad in [
            "", "[]", "nonsense", "{}", #"{"delivery":"","account":"a","wake":true,"conversation":{"id":"c"}}"#,
            #"{"delivery":"d","wake":true,"conversation":{"id":"c"}}"#,
            #"{"delivery":"d","account":"a","wake":true,"conversation":7}"#,
            #"{"delivery":"d","account":"a","conversation":{"id":"c"}}"#,
        ] { #expect(DeliveryHead(Array(bad.utf8)) == nil, "\(bad)") }
    }

    @Test func bindingsComeBeforeNamesAndAccountsBeforeChannels() {
        let table = RoutingTable(
            agents: ["a": EchoAgent(), "all": EchoAgent(), "one": EchoAgent()],
            bindings: [
                .init(agent: "all", channel: "c"), .init(agent: "one", channel: "c", account: "b"),
                .init(agent: "gone", channel: "e", account: "a"),
            ])
        #expect(table.agent(channel: "c", account: "b")?.name == "one")
        #expect(table.agent(channel: "c", account: "a")?.name == "all")
        #expect(table.agent(channel: "d", account: "a")?.name == "a")
        #expect(table.agent(channel: "d", account: "b") == nil)
        #expect(table.agent(channel: "e", account: "a") == nil)
    }

    @Test func slotsAreGivenInOrderAndCancelledOnesAreSkipped() async {
        let slots = CommandSlots(1)
        #expect(await slots.enter("a"))
        let cancelled = Task { await slots.enter("a") }
        cancelled.cancel()
        #expect(await cancelled.value == false)
        let next = Task { await slots.enter("a") }
        slots.leave("a")
        #expect(await next.value)
        slots.leave("a")
        #expect(await slots.enter("a"))
    }
}
