import JSONBytes
import Testing

@testable import GatewayHost

/// The protocol as a value, without a gateway.
@Suite struct MCPServerTests {
    private let start = ContinuousClock.now
    private let identity = MCPIdentity(name: "gateway", version: "1.2.3", instructions: "act")

    private func meta(_ version: JSONValue = "2026-07-28", _ more: [String: JSONValue] = [:]) -> JSONValue {
        var meta: [String: JSONValue] = [
            "io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": [:],
        ]
        meta.merge(more) { $1 }
        return .object(meta)
    }

    private func line(_ method: String, _ parameters: JSONValue? = nil, id: JSONValue? = 1) -> [UInt8] {
        var message: [String: JSONValue] = ["jsonrpc": "2.0", "method": .string(method)]
        message["id"] = id
        message["params"] = parameters
        return JSONValue.object(message).serialized
    }

    private func sent(_ actions: [MCPServer.Action]) -> [JSONValue] {
        actions.compactMap { if case .send(let message) = $0 { message } else { nil } }
    }

    @Test func theEarlierRevisionsBeginWithInitialize() throws {
        var server = MCPServer(identity: identity)
        for (wanted, agreed) in [
            ("2024-11-05", "2024-11-05"), ("2025-11-25", "2025-11-25"), ("1999-01-01", "2025-11-25"),
        ] {
            let answer = sent(server.received(line("initialize", ["protocolVersion": .string(wanted)]), at: start))[0]
            #expect(answer["result"]?["protocolVersion"]?.string == agreed)
            #expect(answer["result"]?["serverInfo"]?["version"]?.string == "1.2.3")
            #expect(answer["result"]?["capabilities"]?["tools"] != nil && answer["result"]?["resultType"] == nil)
        }
        #expect(server.received(line("notifications/initialized", id: nil), at: start) == [])
        #expect(sent(server.received(line("ping"), at: start)) == [["jsonrpc": "2.0", "id": 1, "result": [:]]])
        #expect(server.received(line("tools/list", id: "a"), at: start) == [.ask(1, .listTools)])
        let listed = sent(
            server.answered(
                1, .tools([["name": "t", "inputSchema": ["type": "object"], "readOnly": true, "destructive": false]])))[
                0]
        #expect(listed["id"]?.string == "a" && listed["result"]?["ttlMs"] == nil)
        #expect(listed["result"]?["tools"]?.array?.first?["annotations"]?["readOnlyHint"]?.bool == true)
    }

    @Test func theStatelessRevisionCarriesItsVersionInEachRequest() throws {
        var server = MCPServer(identity: identity)
        let found = sent(server.received(line("server/discover", ["_meta": meta()]), at: start))[0]
        #expect(found["result"]?["supportedVersions"]?.array?.first == "2026-07-28")
        #expect(found["result"]?["resultType"]?.string == "complete" && found["result"]?["cacheScope"] == "private")
        #expect(found["result"]?["_meta"]?["io.modelcontextprotocol/serverInfo"]?["name"]?.string == "gateway")
        let unknown = sent(server.received(line("tools/list", ["_meta": meta("2031-01-01")]), at: start))[0]
        #expect(unknown["error"]?["code"]?.int == -32022)
        #expect(unknown["error"]?["data"]?["supported"]?.array?.contains("2026-07-28") == true)
        for wrong: JSONValue in [
            ["_meta": meta(7)], ["_meta": ["io.modelcontextprotocol/protocolVersion": "2026-07-28"]],
        ] {
            let refused = sent(server.received(line("tools/list", wrong), at: start))[0]
            #expect(refused["error"]?["code"]?.int == -32602)
        }
        #expect(sent(server.received(line("server/discover"), at: start))[0]["error"]?["code"]?.int == -32602)
        let call = server.received(line("tools/call", ["name": "t", "_meta": meta()]), at: start)
        #expect(call == [.ask(1, .callTool(name: "t", arguments: [:]))])
        let result = sent(server.answered(1, .succeeded([1, 2])))[0]["result"]
        #expect(
            result?["structuredContent"] == [1, 2] && result?["resultType"] == "complete" && result?["isError"] == false
        )
        #expect(result?["content"]?.array?.first?["text"]?.string == "[1,2]")
    }

    @Test func whatAToolSaysIsForTheModelAndWhatTheServerSaysForTheClient() {
        var server = MCPServer(identity: identity)
        _ = server.received(line("initialize", ["protocolVersion": "2025-06-18"]), at: start)
        func call(_ answer: MCPServer.Answer) -> JSONValue? {
            let asked = server.received(line("tools/call", ["name": "t", "arguments": ["a": 1]]), at: start)
            guard case .ask(let number, .callTool("t", ["a": 1])) = asked.first else { return nil }
            return sent(server.answered(number, answer)).first
        }
        #expect(call(.succeeded("text"))?["result"]?["content"]?.array?.first?["text"] == "text")
        #expect(call(.succeeded("text"))?["result"]?["structuredContent"] == nil, "only objects before 2026-07-28")
        let failed = call(.failed(message: "not so", error: ["code": "x", "retryable": true, "done": ["a": 1]]))?[
            "result"]
        #expect(failed?["isError"] == true)
        #expect(
            failed?["content"]?.array?.first?["text"]?.string?.contains("not so\nWhat was done before: {\"a\":1}")
                == true)
        #expect(call(.unreachable("no gateway"))?["result"]?["isError"] == true)
        _ = server.received(line("tools/list"), at: start)
        #expect(sent(server.answered(5, .unreachable("no gateway")))[0]["error"]?["code"]?.int == -32000)
        #expect(server.pending == 0)
    }

    @Test func progressIsToldToWhoAskedForItAndGrows() {
        var server = MCPServer(identity: identity)
        #expect(server.nextTick == nil)
        let begun = server.received(
            line("tools/call", ["name": "t", "_meta": ["progressToken": "p"]], id: 9), at: start)
        #expect(sent(begun).first?["params"]?["progress"] == 0)
        #expect(server.nextTick == start.advanced(by: .seconds(1)))
        #expect(server.tick(start.advanced(by: .milliseconds(900))) == [])
        let told = sent(server.tick(start.advanced(by: .milliseconds(3500))))
        #expect(told.count == 1 && told[0]["params"]?["progress"] == 3 && told[0]["params"]?["progressToken"] == "p")
        #expect(server.tick(start.advanced(by: .milliseconds(3900))) == [])
        #expect(server.nextTick == start.advanced(by: .seconds(4)))
        _ = server.answered(1, .succeeded(1))
        #expect(server.nextTick == nil && server.tick(start.advanced(by: .seconds(9))) == [])
        _ = server.received(line("tools/call", ["name": "t"], id: 10), at: start)
        #expect(server.tick(start.advanced(by: .seconds(9))) == [], "nobody asked")
    }

    @Test func aCancelledRequestIsNotAnswered() {
        var server = MCPServer(identity: identity)
        _ = server.received(line("tools/call", ["name": "t"], id: 5), at: start)
        _ = server.received(line("tools/call", ["name": "t"], id: "5"), at: start)
        let cancelled = server.received(line("notifications/cancelled", ["requestId": 5], id: nil), at: start)
        #expect(cancelled == [.cancel(1)])
        #expect(server.received(line("notifications/cancelled", ["requestId": 5], id: nil), at: start) == [])
        #expect(server.answered(1, .succeeded(1)) == [])
        #expect(sent(server.answered(2, .succeeded(1)))[0]["id"] == "5")
        _ = server.received(line("tools/call", ["name": "t"], id: 6), at: start)
        #expect(server.ended() == [.cancel(3)])
        #expect(server.answered(3, .succeeded(1)) == [])
    }

    @Test(arguments: [
        ("{", -32700), ("7", -32600), ("[]", -32600), ("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", -32600), ("{\"jsonrpc\":\"2.0\",\"id\":1}", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\"}", -32601),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}", -32602),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"t\",\"arguments\":[]}}",
            -32602
        ),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":7}", -32602),
    ]) func whatIsWrongIsSaid(_ text: String, _ code: Int64) {
        var server = MCPServer(identity: identity)
        let answer = sent(server.received(Array(text.utf8), at: start))
        #expect(answer.count == 1 && answer.first?["error"]?["code"]?.int == code)
        #expect(server.pending == 0)
    }

    @Test func requestsAreBoundedAndTheirIdsDiffer() {
        var server = MCPServer(identity: identity)
        for number in 0..<MCPServer.maximumRequests {
            #expect(!server.received(line("tools/list", id: .int(Int64(number))), at: start).isEmpty)
        }
        #expect(server.pending == MCPServer.maximumRequests)
        #expect(sent(server.received(line("tools/list", id: "more"), at: start))[0]["error"]?["code"]?.int == -32000)
        _ = server.answered(1, .tools([]))
        #expect(sent(server.received(line("tools/list", id: 5), at: start))[0]["error"]?["code"]?.int == -32600)
        // A batch, as one of the revisions has it, and a response, which nobody waits for.
        var other = MCPServer(identity: identity)
        let batch = #"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"result":{}}]"#
        #expect(other.received(Array(batch.utf8), at: start).count == 1)
    }
}
