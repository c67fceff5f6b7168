import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

/// The gateway's own slash commands, the catalogue of them, and presence.
@Suite struct SlashCommandTests {
    private func bench(_ agents: JSONValue) async throws -> TestBench {
        let bench = try TestBench(accounts: ["a": "1", "b": "2"], agents: agents, settings: ["tools": true])
        try await bench.start()
        try await eventually("connected") { await bench.account("a")["connected"]?.bool == true }
        return bench
    }

    private func said(_ bench: TestBench, _ delivery: String) async throws -> String {
        try await eventually("\(delivery) is over") {
            try await bench.journal().contains { $0.hasPrefix("settle \(delivery) ") }
        }
        return try await bench.journal().first { $0.hasPrefix("send ") && $0.hasSuffix(" \(delivery)") } ?? ""
    }

    @Test func stopEndsTheTurnOfItsConversationOnly() async throws {
        let bench = try await bench(["a": ["command": ["/bin/sh", "-c", "exec sleep 1000"]]])
        try await bench.deliver("d1")
        try await bench.deliver("d2", room: "other")
        try await eventually("both run") { await bench.account("a")["turns"]?["running"]?.int == 2 }
        // What an agent writes stops nobody: it is a message like any other.
        try await bench.deliver("d3", text: "/stop", command: "stop", byAgent: true, room: "third")
        try await eventually("three run") { await bench.account("a")["turns"]?["running"]?.int == 3 }
        try await bench.deliver("s1", text: "/status", command: "status")
        #expect(try await said(bench, "s1").contains("[The agent a works on 3 turns, the oldest for "))
        try await bench.deliver("s2", text: "/stop", command: "stop")
        #expect(try await said(bench, "s2").contains("[Stopped.]"))
        #expect(try await said(bench, "d1") == "")
        #expect(try await bench.journal().contains("settle d1 2"))
        try await eventually("it is over") { await bench.account("a")["turns"]?["running"]?.int == 2 }
        #expect(await bench.account("a")["turns"]?["failuresInRow"]?.int ?? 0 == 0)
        try await bench.deliver("s3", text: "/stop", command: "stop")
        #expect(try await said(bench, "s3").contains("[Nothing is running here.]"))
        let recent = await bench.gateway.status(recent: true)["accounts"]?.array?.first { $0["accountId"] == "a" }
        #expect(recent?["recent"]?.array?.first?["outcome"] == "stopped")
        await bench.gateway.stop()
    }

    @Test func newIsSeenByAnAgentThatKeepsItsOwnConversations() async throws {
        let bench = try await bench([
            "a": ["command": ["/bin/sh", "-c", #"grep -o '"command":{[^}]*}'"#]], "b": ["builtin": "echo"],
        ])
        try await bench.deliver("n1", text: "/new", command: "new")
        // The test module undoes quotes as it reads.
        #expect(try await said(bench, "n1").contains("command"))
        try await bench.deliver("n2", account: "b", text: "/new", command: "new")
        #expect(try await said(bench, "n2").contains("[echo: /new]"))
        try await bench.deliver("n3", account: "b", text: "/other", command: "other")
        #expect(try await said(bench, "n3").contains("[echo: /other]"))
        await bench.gateway.stop()
    }

    @Test func aStopBesideItsLaneIsNoTurnOfItsOwn() async throws {
        let bench = try await bench(["a": ["command": ["/bin/sh", "-c", "exec sleep 1000"]]])
        // Nothing runs: nothing is said.
        #expect(try await bench.deliver("s0", text: "/stop", wake: false, command: "stop") == 1)
        try await bench.deliver("d1")
        try await eventually("it runs") { await bench.account("a")["turns"]?["running"]?.int == 1 }
        #expect(try await bench.deliver("s1", text: "/stop", wake: false, command: "stop") == 1)
        #expect(try await said(bench, "d1") == "")
        try await eventually("it is said") { try await bench.journal().contains("send a test:g/c [Stopped.]") }
        #expect(try await bench.journal().filter { $0.hasPrefix("settle ") } == ["settle d1 2"])
        #expect(try await bench.journal().filter { $0.hasPrefix("send ") }.count == 1)
        await bench.gateway.stop()
    }

    @Test func historyIsAskedForWhereABindingWantsIt() async throws {
        func binding(_ messages: Int) -> JSONValue {
            [
                [
                    "agentId": "a", "match": ["channel": "test", "accountId": "b"],
                    "history": ["messages": .int(Int64(messages))],
                ]
            ]
        }
        let accounts = ["a": "1", "b": "2"]
        let bench = try TestBench(accounts: accounts, bindings: binding(20), settings: ["tools": true])
        try await bench.start()
        try await eventually("it is asked for") { try await bench.journal().contains("history b 20") }
        try bench.rewrite(accounts: accounts, bindings: binding(5), settings: ["tools": true])
        try await bench.gateway.reload()
        try await eventually("another number") { try await bench.journal().contains("history b 5") }
        try bench.rewrite(accounts: accounts, settings: ["tools": true])
        try await bench.gateway.reload()
        try await eventually("none") { try await bench.journal().contains("history b 0") }
        #expect(try await bench.journal().filter { $0.hasPrefix("history") }.count == 3)
        await bench.gateway.stop()
    }

    @Test func theCatalogueIsGivenToTheModule() async throws {
        let bench = try await bench(["a": ["builtin": "echo"]])
        try await eventually("the catalogue is there") {
            try await bench.journal().contains { $0.hasPrefix("commands ") && $0.contains(#""name":"stop""#) }
        }
        await bench.gateway.stop()
    }

    @Test func presenceFollowsTheTurns() async throws {
        let scratch = try Scratch()
        let gate = scratch.path + "/go"
        let bench = try await bench([
            "a": ["command": ["/bin/sh", "-c", .string("while [ ! -e \(gate) ]; do sleep 0.05; done")]]
        ])
        try await eventually("b has no agent") { try await bench.journal().contains("presence b offline") }
        try await bench.deliver("d1")
        try await eventually("it works") { try await bench.journal().contains("presence a working") }
        _ = try scratch.write("", to: "go")
        try await eventually("it is idle") { try await bench.journal().contains("presence a idle") }
        let told = try await bench.journal().filter { $0.hasPrefix("presence a") }
        #expect(told == ["presence a working", "presence a idle"])
        try bench.rewrite(
            accounts: ["a": "1", "b": "2"], agents: ["a": ["builtin": "echo"], "b": ["builtin": "echo"]],
            settings: ["tools": true])
        try await bench.gateway.reload()
        try await eventually("b has one") { try await bench.journal().contains("presence b idle") }
        await bench.gateway.stop()
    }

    @Test func presenceIsToldOnChangeAndNotTooOften() {
        let start = ContinuousClock.now
        func at(_ seconds: Double) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }
        var board = PresenceBoard(interval: .seconds(1))
        #expect(board.update(["a": .idle], at: at(0)).changes == [:], "as the module says itself")
        #expect(board.update(["a": .working], at: at(0)).changes == ["a": .working])
        #expect(board.update(["a": .working], at: at(0.1)).changes == [:])
        let early = board.update(["a": .busy, "b": .working], at: at(0.5))
        #expect(early.changes == ["b": .working] && early.next == at(1))
        #expect(board.update(["b": .working], at: at(0.9)).changes == [:], "busy was over before it could be said")
        #expect(board.update(["b": .working], at: at(1)).changes == ["a": .idle])
        #expect(board.notIdle == ["b"])
        #expect(board.update([:], at: at(3)).changes == ["b": .idle])
        _ = board.update([:], at: at(9))
        board.forget()
        #expect(board.update([:], at: at(10)).changes == [:])
    }
}
