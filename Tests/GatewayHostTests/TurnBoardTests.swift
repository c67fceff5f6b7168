import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

@Suite struct TurnBoardTests {
    func turn(_ number: Int, _ outcome: TurnRecord.Outcome, account: String = "a", agent: String = "x") -> TurnRecord {
        TurnRecord(
            delivery: "d\(number)", account: account, agent: agent, conversation: "c", sequence: Int64(number),
            redelivered: false, startedAt: 1000 + Double(number), seconds: 0.25, outcome: outcome)
    }

    @Test func oneRecordPerChangeNotPerTurn() {
        var board = TurnBoard()
        #expect(board.ended(turn(1, .answered(files: 0))) == nil)
        #expect(board.ended(turn(2, .failed("exit 3"))) == .fails(reason: "exit 3"))
        #expect(board.ended(turn(3, .failed("exit 3"))) == nil)
        #expect(board.ended(turn(4, .interrupted)) == nil, "that says nothing about the agent")
        #expect(board.ended(turn(5, .failed("too slow"))) == .fails(reason: "too slow"), "another reason is news")
        #expect(board.ended(turn(6, .failed("exit 3"), account: "b")) == .fails(reason: "exit 3"), "per account")
        let standing = board.standing(of: "x", for: "a")
        #expect(standing?.turns == 4 && standing?.failuresInRow == 3)
        #expect(standing?.lastError == "too slow" && standing?.lastErrorAt == 1005.25)
        #expect(board.ended(turn(7, .silent)) == .recovered(after: 3))
        #expect(board.standing(of: "x", for: "a")?.failuresInRow == 0)
        #expect(board.standing(of: "x", for: "a")?.lastError == "too slow", "still worth knowing")
        #expect(board.ended(turn(8, .answered(files: 1))) == nil)
    }

    @Test func whatIsRememberedIsBounded() {
        var board = TurnBoard(capacity: 3)
        for number in 0..<100 { _ = board.ended(turn(number, .silent)) }
        #expect(board.recent(of: "a").map(\.delivery) == ["d97", "d98", "d99"])
        board.refused("d98", account: "a", reason: String(repeating: "x", count: 1000))
        guard case .refused(let reason) = board.recent(of: "a")[1].outcome else { return #expect(Bool(false)) }
        #expect(reason.count == TurnRecord.longestReason)
        board.refused("d1", account: "a", reason: "long gone")
        _ = board.ended(turn(100, .silent, account: "b"))
        board.keep(agents: { _ in true }, accounts: { $0 == "b" })
        #expect(board.recent(of: "a").isEmpty && board.standing(of: "x", for: "a") == nil)
        #expect(board.recent(of: "b").count == 1)
        board.keep(agents: { $0 != "x" }, accounts: { _ in true })
        #expect(board.standing(of: "x", for: "b") == nil)
    }

    @Test func nobodysTurnsAreRememberedButStandForNobody() {
        var board = TurnBoard()
        #expect(board.ended(turn(1, .failed("no agent"), agent: "")) == nil)
        #expect(board.recent(of: "a").first?.json["outcome"]?.string == "failed")
        #expect(board.standing(of: "", for: "a") == nil)
    }

    @Test func theEchoNeverAnswersAnAgent() async throws {
        func reply(_ author: String) async throws -> AgentReply? {
            let text = Array(
                #"{"delivery":"d","account":"a","wake":true,"conversation":{"id":"c"},"message":{"seq":9,"text":"hi","author":\#(author)}}"#
                    .utf8)
            let head = try #require(DeliveryHead(text))
            #expect(head.sequence == 9)
            return try await EchoAgent().answer(Turn(head: head, delivery: text))
        }
        #expect(try await reply(#"{"id":"u"}"#)?.text == "echo: hi")
        #expect(try await reply(#"{"id":"u","isAgent":false}"#)?.text == "echo: hi")
        #expect(try await reply(#"{"id":"u","isAgent":true}"#) == nil)
    }
}
