import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

/// Tools over the control socket: for operators, and for turns.
@Suite struct ToolTests {
    private func bench(tools: Bool = true) async throws -> TestBench {
        let bench = try TestBench(accounts: ["a": "1", "b": "2"], settings: tools ? ["tools": true] : [:])
        try await bench.start()
        try await eventually("connected") { await bench.account("b")["connected"]?.bool == true }
        return bench
    }

    @Test func theCommandListsAndCalls() async throws {
        let bench = try await bench()
        let file = bench.scratch.path + "/gateway.json"
        let list = Output()
        #expect(try await blocking { list.tool(file).tools(account: "a", channel: nil, json: false) } == 0)
        #expect(list.printed.contains("say (reads only)\n  Says what it was asked.\n    text string: anything\n"))
        let json = Output()
        #expect(try await blocking { json.tool(file).tools(account: nil, channel: nil, json: true) } == 0)
        #expect(try JSONValue(parsing: json.printed)["tools"]?.array?.count == 2)

        func call(
            _ name: String, _ account: String?, _ arguments: String = "{}", seconds: Double = 20
        ) async throws -> (code: Int32, output: Output) {
            let output = Output()
            let code = try await blocking {
                output.tool(file).callTool(
                    name, account: account, channel: nil, arguments: arguments, seconds: seconds)
            }
            return (code, output)
        }
        let said = try await call("say", "a", #"{"text":"hi"}"#)
        #expect(said.code == 0)
        let asked = try JSONValue(parsing: JSONValue(parsing: said.output.printed)["asked"]?.string ?? "")
        #expect(asked["account"]?.string == "a" && asked["arguments"]?["text"]?.string == "hi")
        #expect(asked["delivery"] == nil && asked["timeoutSeconds"]?.double == 20)

        let unknown = try await call("nothing", "a")
        #expect(unknown.code == 2 && unknown.output.complained.contains("there is no such tool"))
        let nobody = try await call("say", "nobody")
        #expect(nobody.code == 1 && nobody.output.complained.contains("there is no account “nobody”"))
        #expect(try await call("say", nil).output.complained.contains("Give --account"))
        #expect(try await call("say", "a", "[1]").code == 2)
        #expect(try await call("say", "a", "{").output.complained.contains("--json is not JSON"))
        #expect(try await call("say", "a", seconds: .nan).code == 2)
        await bench.gateway.stop()
        #expect(try await call("say", "a").code == 3)
    }

    @Test func aCallIsGivenUpAndOthersGoOn() async throws {
        let bench = try await bench()
        let gateway = bench.gateway
        let waiting = Task {
            await gateway.answer(["command": "tool", "account": "a", "tool": "wait", "callId": "one"])
        }
        try await eventually("waiting") { try await bench.journal().contains("waiting a") }
        // The same id a second time, and another's cancellation.
        let repeated = await gateway.answer(["command": "tool", "account": "a", "tool": "say", "callId": "one"])
        #expect(repeated["error"]?.string?.contains("is under way") == true)
        let none = await gateway.answer(["command": "tool.cancel", "callId": "other"])
        #expect(none["result"]?["cancelled"] == false)
        let cancelled = await gateway.answer(["command": "tool.cancel", "callId": "one"])
        #expect(cancelled["result"]?["cancelled"] == true)
        #expect(await waiting.value["result"]?["error"]?["code"]?.string == "cancelled")
        #expect(await gateway.answer(["command": "tool.cancel", "callId": "one"])["result"]?["cancelled"] == false)
        await gateway.stop()
    }

    @Test func callsAreBounded() async throws {
        let bench = try await bench()
        let gateway = bench.gateway
        let waiting = (0..<ToolCalls.maximumPerCaller).map { number in
            Task {
                await gateway.answer([
                    "command": "tool", "account": "a", "tool": "wait", "callId": .string("c\(number)"),
                ])
            }
        }
        try await eventually("all wait") {
            try await bench.journal().count { $0 == "waiting a" } == ToolCalls.maximumPerCaller
        }
        let more = await gateway.answer(["command": "tool", "account": "b", "tool": "say"])
        #expect(more["result"]?["error"]?["code"]?.string == "busy")
        // A stop does not wait for them.
        await gateway.stop()
        for task in waiting { #expect(await task.value["ok"] == false) }
    }

    @Test func aModuleWithoutToolsSaysSo() async throws {
        let bench = try await bench(tools: false)
        let answer = await bench.gateway.answer(["command": "tools", "account": "a"])
        #expect(answer["error"]?.string == "the module of channel “test”, version 1.0.0, has no tools")
        #expect(answer["remedy"]?.string?.contains("gateway reload --module") == true)
        await bench.gateway.stop()
    }

    // MARK: what a turn may do

    private func scope(_ reach: AgentTools = .conversation) -> ToolScope {
        ToolScope(reach: reach, conversation: "test:g/c", guild: "g", room: "c")
    }

    @Test func aCapabilityActsAsItsAccountDuringItsTurnInItsConversation() async throws {
        let bench = try await bench()
        let gateway = bench.gateway
        let token = gateway.capabilities.make(channel: "test", account: "a", scope: scope())
        #expect(token.count == 64)
        func call(_ tool: String, _ arguments: JSONValue = [:], account: String? = nil) async -> JSONValue {
            var request: [String: JSONValue] = [
                "command": "tool", "capability": .string(token), "tool": .string(tool), "arguments": arguments,
            ]
            if let account { request["account"] = .string(account) }
            return await gateway.answer(.object(request))
        }
        // Before its turn.
        #expect(await call("say")["error"]?.string?.contains("the turn it was given to is over") == true)
        gateway.capabilities.begin(token, delivery: "d1")
        let said = await call("say", ["text": "x"])
        let asked = try JSONValue(parsing: said["result"]?["result"]?["asked"]?.string ?? "")
        #expect(asked["account"]?.string == "a" && asked["delivery"]?.string == "d1")
        // As another account.
        #expect(await call("say", account: "b")["error"]?.string?.contains("acts as no other") == true)
        #expect(await call("say", account: "a")["ok"] == true)
        // Another conversation, in every spelling.
        for name in ["channelId", "channel_id", "callbackChannelId", "CHANNELID", "channel", "channelIds"] {
            let other: JSONValue = name == "channelIds" ? ["c", "d"] : "d"
            let answer = await call("history", .object([name: other]))
            #expect(answer["result"]?["error"]?["code"]?.string == "other_conversation", "\(name)")
            #expect(answer["result"]?["error"]?["argument"]?.string == name)
        }
        for other: JSONValue in [7, ["x": "c"], []] {
            #expect(await call("history", ["channelId": other])["result"]?["ok"] == false, "\(other)")
        }
        #expect(await call("history", ["channelId": "c", "guildNodeId": "h"])["result"]?["ok"] == false)
        for own: JSONValue in ["c", "test:g/c", .null] {
            #expect(await call("history", ["channelId": own, "guildNodeId": "g"])["result"]?["ok"] == true, "\(own)")
        }
        // What the turn made is its own too.
        #expect(await call("history", ["channelId": "c-new"])["result"]?["ok"] == false)
        #expect(await call("make")["result"]?["ok"] == true)
        #expect(await call("history", ["channelId": "c-new"])["result"]?["ok"] == true)
        // A guessed one, and one after its turn; a call that is under way ends with the turn.
        let guess = await gateway.answer(["command": "tool", "capability": "0", "tool": "say"])
        #expect(guess["error"]?.string?.contains("the capability is not good") == true)
        let waiting = Task { await call("wait") }
        try await eventually("waiting") { try await bench.journal().contains("waiting a") }
        gateway.capabilities.end(token)
        #expect(await waiting.value["result"]?["error"]?["code"]?.string == "cancelled")
        #expect(await call("say")["ok"] == false)
        #expect(await gateway.answer(["command": "tools", "capability": .string(token)])["ok"] == false)
        // The next turn does not inherit what the last one made.
        gateway.capabilities.begin(token, delivery: "d2")
        #expect(await call("history", ["channelId": "c-new"])["result"]?["ok"] == false)
        gateway.capabilities.remove(token)
        #expect(gateway.capabilities.count == 0)
        #expect(!bench.log.all.contains { $0.contains(token) || $0.contains(token.prefix(12)) })
        await gateway.stop()
    }

    @Test func anOperatorMayWidenTheReach() {
        #expect(scope(.account).refusal(of: ["channelId": "other"]) == nil)
        #expect(scope().refusal(of: ["channelId": "other"]) != nil)
        #expect(scope().refusal(of: ["nameFilter": "other"]) == nil)
    }
}
