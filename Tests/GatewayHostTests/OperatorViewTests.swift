import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

/// What an operator is told.
@Suite struct OperatorViewTests {
    func tool(_ bench: TestBench, _ body: @escaping @Sendable (CommandLineTool) -> Int32) async throws -> (
        code: Int32, text: String, errors: String
    ) {
        let output = Output()
        let file = bench.scratch.path + "/gateway.json"
        let code = try await blocking { body(output.tool(file)) }
        return (code, output.printed, output.complained)
    }

    @Test func aFailingAgentIsVisibleUntilItSucceeds() async throws {
        let scratch = try Scratch()
        let good = scratch.path + "/good"
        let bench = try TestBench(
            accounts: ["a": "1", "b": "1"],
            agents: [
                "a": [
                    "command": ["/bin/sh", "-c", .string("cat > /dev/null; test -e \(good) && echo fine || exit 3")]
                ],
                "b": ["builtin": "echo"],
            ], scratch: scratch)
        try await bench.start()
        for account in ["a", "b"] {
            try await eventually("connected") { await bench.account(account)["connected"]?.bool == true }
        }
        #expect(try await tool(bench) { $0.status(json: false) }.code == 0)
        for id in ["d1", "d2", "d3"] {
            _ = try await bench.deliver(id)
            try await eventually("failed") { try await bench.journal().contains("settle \(id) 3") }
        }
        let status = try await tool(bench) { $0.status(json: false) }
        #expect(status.code == 1)
        #expect(
            status.text.contains("!! a") && status.text.contains("the agent a fails: /bin/sh ended with exit code 3")
                && status.text.contains("3 turns in a row"), "\(status.text)")
        #expect(bench.log.all.count { $0.contains("an agent's turns fail") } == 1, "once, not per turn")
        let turns = await bench.account("a")["turns"]
        #expect(turns?["failuresInRow"]?.int == 3 && turns?["total"]?.int == 3)
        #expect(turns?["lastErrorAt"]?.string?.hasSuffix("Z") == true)

        let recent = try await tool(bench) { $0.status(json: false, account: "a", recent: true) }
        #expect(recent.code == 1 && recent.text.components(separatedBy: "exit code 3").count == 5, "\(recent.text)")
        #expect(!recent.text.contains("hello"), "never the text")
        #expect(
            try await tool(bench) { $0.status(json: false, account: "nobody") }.errors.contains("no account “nobody”"))

        _ = FileManager.default.createFile(atPath: good, contents: nil)
        _ = try await bench.deliver("d4")
        try await eventually("well again") { await bench.account("a")["turns"]?["failuresInRow"]?.int == 0 }
        try await eventually("it is said") { bench.log.contains("succeed again, after 3 that failed") }
        #expect(try await tool(bench) { $0.status(json: false) }.code == 0)
        let last = try await tool(bench) { $0.status(json: true, account: "a", recent: true) }
        let outcomes = try JSONValue(parsing: last.text)["accounts"]?.array?.first?["recent"]?.array?
            .compactMap { $0["outcome"]?.string }
        #expect(outcomes == ["failed", "failed", "failed", "answered"])
        await bench.gateway.stop()
    }

    @Test func anAnswerThatIsRefusedIsAmongTheLastTurns() async throws {
        let bench = try TestBench(accounts: ["a": "1"])
        try await bench.start()
        _ = try await bench.deliver("d1", text: "refuse me")
        try await eventually("refused") {
            let status = await bench.gateway.status(account: "a", recent: true)
            let turn = status["accounts"]?.array?.first?["recent"]?.array?.first
            return turn?["outcome"]?.string == "not sent" && turn?["reason"]?.string?.contains("channel_closed") == true
        }
        await bench.gateway.stop()
    }

    @Test func theConversationIsToldOnceThatTheAgentCannotAnswer() async throws {
        let scratch = try Scratch()
        let bad = try scratch.write("", to: "bad")
        let bench = try TestBench(
            accounts: ["a": "1"],
            agents: [
                "a": [
                    "command": ["/bin/sh", "-c", .string("cat > /dev/null; test -e \(bad) && exit 3; echo fine")],
                    "failureText": "I cannot answer just now.",
                ]
            ], scratch: scratch)
        try await bench.start()
        for id in ["d1", "d2"] {
            _ = try await bench.deliver(id)
            try await eventually("\(id) is over") {
                try await bench.journal().contains { $0 == "settle \(id) 2" || $0 == "settle \(id) 3" }
            }
        }
        unlink(bad)
        _ = try await bench.deliver("d3")
        try await eventually("d3 is over") { try await bench.journal().contains("settle d3 2") }
        _ = FileManager.default.createFile(atPath: bad, contents: nil)
        _ = try await bench.deliver("d4")
        try await eventually("d4 is over") { try await bench.journal().contains("settle d4 2") }
        let sends = try await bench.journal().filter { $0.hasPrefix("send") }
        #expect(
            sends == [
                "send a test:g/c [I cannot answer just now.] d1", "send a test:g/c [fine] d3",
                "send a test:g/c [I cannot answer just now.] d4",
            ])
        #expect(await bench.account("a")["turns"]?["failuresInRow"]?.int == 1)
        await bench.gateway.stop()
    }

    @Test func allThatAreHaltedAreTriedAgain() async throws {
        let bench = try TestBench(accounts: ["a": "1", "b": "1", "s": "s"])
        try await bench.start()
        for account in ["a", "b"] {
            try await eventually("runs") { await bench.account(account)["running"]?.bool == true }
            try await bench.tell("block", account)
            try await eventually("blocked") {
                await bench.account(account)["supervision"]?["phase"]?.string == "blocked"
            }
        }
        try await eventually("s is refused") {
            await bench.account("s")["supervision"]?["phase"]?.string == "refused"
        }
        let unblocked = try await tool(bench) { $0.unblockAll() }
        #expect(unblocked.code == 0 && unblocked.text == "tried again: a, b, s\n", "\(unblocked)")
        for account in ["a", "b"] {
            try await eventually("runs again") { await bench.account(account)["connected"]?.bool == true }
        }
        await bench.gateway.stop()
    }

    @Test func whatTheModuleSaysOfItsQueuesIsShown() {
        func report(_ more: [String: JSONValue]) -> StatusReport {
            let account: [String: JSONValue] = [
                "accountId": "a", "enabled": true, "configured": true, "connected": true, "lifecycle": "ready",
                "supervision": ["phase": "running"], "agent": "x",
            ]
            return StatusReport([
                "plugins": [["id": "test", "version": "1"]], "accounts": [.object(account.merging(more) { $1 })],
            ])
        }
        #expect(report([:]).isWell)
        #expect(report(["outboxProblem": ["reason": "HTTP 500", "seconds": 5]]).isWell, "it may pass")
        let stuck = report(["outboxProblem": ["reason": "HTTP 500", "seconds": 95]])
        #expect(!stuck.isWell && stuck.text.contains("has waited 95 s to be sent: HTTP 500"), "\(stuck.text)")
        let waiting = report(["turns": ["running": 0, "waitingSeconds": 61]])
        #expect(!waiting.isWell && waiting.text.contains("raise maximumCommands"))
        let skipped = report([
            "guilds": [["connected": true, "channels": 2, "skipped": 12, "missing": 3, "openGaps": 1]]
        ])
        #expect(
            skipped.isWell
                && skipped.text.contains("12 messages skipped, 3 messages missing in history, 1 gaps being read"),
            "\(skipped.text)")
    }

    /// The status of another build, or of who knows what that listens there, ends no command.
    @Test(arguments: [.int(.max), .int(.min), .double(1e308), .double(-1e308), "x", [], .null] as [JSONValue])
    func noNumberOfAStatusIsATrap(_ value: JSONValue) {
        for phase in ["running", "waiting", "blocked", "exhausted", "?"] {
            let guild: JSONValue = [
                "nodeId": "g", "connected": true, "channels": value, "skipped": value, "missing": value,
                "openGaps": value,
                "protocolErrors": value,
            ]
            let account: JSONValue = [
                "accountId": "a", "connected": true, "lifecycle": "ready", "agent": "x", "deadLetters": value,
                "supervision": ["phase": .string(phase), "nextStartSeconds": value], "waiting": value, "outbox": value,
                "outboxProblem": ["reason": "r", "seconds": value], "guilds": [guild, guild],
                "turns": ["running": value, "oldestSeconds": value, "waitingSeconds": value, "failuresInRow": value],
            ]
            let report = StatusReport([
                "plugins": [["id": "t", "version": "1", "generation": value]], "accounts": [account], "pid": value,
                "descriptors": ["limit": value, "open": value], "problems": value, "startedAt": value,
            ])
            #expect(report.text.contains("ACCOUNT"))
        }
    }

    @Test func aTurnCutShortByTheStopIsNamed() async throws {
        var options = Gateway.Options()
        options.stopDrain = .zero
        let bench = try TestBench(
            accounts: ["a": "1"], agents: ["a": ["command": ["/bin/sh", "-c", "sleep 1000"]]], options: options)
        try await bench.start()
        _ = try await bench.deliver("d77")
        await bench.gateway.stop()
        #expect(bench.log.contains("cut short by the stop") && bench.log.contains("d77"))
        #expect(!FileManager.default.fileExists(atPath: bench.scratch.path + "/state/turns"))
    }

    @Test func aReloadSaysWhatChanged() async throws {
        let bench = try TestBench(
            accounts: ["a": "1", "b": "1", "c": "1"], agents: ["a": ["builtin": "echo"], "old": ["builtin": "echo"]])
        try await bench.start()
        #expect(try await tool(bench) { $0.reload(module: false) }.text == "nothing changed\n")
        try bench.rewrite(
            accounts: ["a": "1", "b": "2", "n": "1"],
            agents: ["a": ["command": ["cat"]], "new": ["builtin": "echo"]],
            bindings: [["agentId": "new", "match": ["channel": "test", "accountId": "b"]]])
        let words = try await tool(bench) { $0.reload(module: false) }
        #expect(words.code == 0)
        #expect(
            words.text == """
                accounts added: n; restarted with new settings: b; removed: c
                agents added: new; changed: a; removed: old
                bindings added: test/b → new

                """, "\(words.text)")
        #expect(bench.log.contains("settings reloaded: accounts added: n;"))
        let json = try await tool(bench) { $0.reload(module: false, json: true) }
        #expect(try JSONValue(parsing: json.text)["agents"]?["changed"]?.texts == [])
        let module = try await tool(bench) { $0.reload(module: true) }
        #expect(module.text == "test: version 1.0.0 was loaded and runs\n")
        await bench.gateway.stop()
    }

    @Test func aCommandThatIsNotThereIsAFindingOfTheReload() async throws {
        let bench = try TestBench(accounts: ["a": "1"])
        try await bench.start()
        try bench.rewrite(
            accounts: ["b": "1"], agents: ["a": ["command": ["/nowhere/at-all"]], "b": ["command": ["/etc/passwd"]]])
        let refused = try await tool(bench) { $0.reload(module: false) }
        #expect(refused.code == 1)
        #expect(
            refused.errors.contains("agents.a.command: the command /nowhere/at-all does not exist")
                && refused.errors.contains("chmod +x /etc/passwd"), "\(refused.errors)")
        #expect(await bench.account("a")["running"]?.bool == true, "nothing changed")
        #expect(await bench.account("b") == .null)
        await bench.gateway.stop()

        // At a start it costs no other agent anything, and is told.
        let again = try TestBench(
            accounts: ["a": "1"], agents: ["a": ["builtin": "echo"], "x": ["command": ["/nowhere/at-all"]]])
        try await again.start()
        try await eventually("connected") { await again.account("a")["connected"]?.bool == true }
        let status = try await tool(again) { $0.status(json: false) }
        #expect(status.code == 1 && status.text.contains("PROBLEM") && status.text.contains("/nowhere/at-all"))
        let unchanged = try await tool(again) { $0.reload(module: false) }
        #expect(unchanged.code == 0 && unchanged.text.contains("WARNING") && unchanged.text.contains("/nowhere/at-all"))
        await again.gateway.stop()
    }

    @Test func anAnswerWithFilesGoesOutWithThem() async throws {
        let script =
            #"cat > /dev/null; echo hi > $GATEWAY_TURN_DIRECTORY/f; echo '{"text":"look","media":[{"path":"f"}]}'"#
        let bench = try TestBench(
            accounts: ["a": "1"], agents: ["a": ["command": ["/bin/sh", "-c", .string(script)], "output": "json"]])
        try await bench.start()
        _ = try await bench.deliver("d1")
        try await eventually("sent") { try await bench.journal().contains("send a test:g/c [look] d1 +media") }
        let turns = bench.scratch.path + "/state/turns"
        try await eventually("its directory goes when the answer is out") { Files.names(in: turns).isEmpty }
        await bench.gateway.stop()
    }

    @Test func theReasonOfAReloadCutShortIsTheStop() async throws {
        var options = Gateway.Options()
        options.openDeadline = .seconds(60)
        options.stopDrain = .zero
        let bench = try TestBench(accounts: ["a": "1"], options: options)
        try await bench.start()
        try TestModule.build(["-DHANG_IN_OPEN"], to: bench.scratch.path + "/module.so")
        let gateway = bench.gateway
        let reload = Task { try await gateway.reload(module: true) }
        try await eventually("it is being opened") {
            Files.names(in: bench.scratch.path + "/state/modules").count { $0.hasSuffix(".so") } > 1
        }
        await gateway.stop()
        let error = await #expect(throws: GatewayError.self) { try await reload.value }
        #expect(error?.problem == "the reload was cut short, because the gateway is stopping")
        #expect(bench.log.contains("because the gateway is stopping") && !bench.log.contains("did not open within"))
    }
}
