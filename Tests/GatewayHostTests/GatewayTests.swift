import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

@Suite struct GatewayTests {
    @Test func aMessageComesInAndIsAnswered() async throws {
        let bench = try TestBench(accounts: ["a": "1"])
        try await bench.start()
        #expect(try await bench.deliver("d1") == 0)
        try await eventually("the answer is sent") { try await bench.journal().contains("settle d1 2") }
        let journal = try await bench.journal()
        let send = try #require(journal.firstIndex(of: "send a test:g/c [echo: hello] d1"))
        #expect(journal.firstIndex(of: "settle d1 2") == send + 1, "settled right after the send")
        #expect(try await bench.deliver("d2", wake: false) == 1, "for the record only: adopted")
        try await eventually("d1 is finished") { try await bench.deliver("d1") == 2 }
        #expect(try await bench.journal().count { $0.hasPrefix("send") } == 1)
        try await eventually("it is connected") {
            let account = await bench.account("a")
            return account["connected"]?.bool == true && account["supervision"]?["phase"]?.string == "running"
        }
        await bench.gateway.stop()
        #expect(Files.names(in: bench.scratch.path + "/state/modules").isEmpty)
        #expect(!bench.log.contains("hello"), "never log delivery text")
    }

    @Test func settledWithoutWaitingForASendThatIsPostedAtTheSettle() async throws {
        let bench = try TestBench(accounts: ["a": "1"], settings: ["hold": true])
        try await bench.start()
        _ = try await bench.deliver("d1")
        try await eventually("settled") { try await bench.journal().contains("settle d1 2") }
        try await eventually("over") { await bench.gateway.plugins["test"]?.router.activeTurns == 0 }
        #expect(try await bench.deliver("d1") == 2)
        await bench.gateway.stop()
    }

    @Test func aSendThatIsFinallyRefusedIsAFailedTurn() async throws {
        let bench = try TestBench(accounts: ["a": "1"])
        try await bench.start()
        _ = try await bench.deliver("d1", text: "refuse me")
        try await eventually("failed") { try await bench.journal().contains("settle d1 3") }
        #expect(bench.log.contains("channel_closed"))
        await bench.gateway.stop()
    }

    @Test func anAnswerThatDidNotGetThroughIsSentAgainWithoutAskingTheAgent() async throws {
        let scratch = try Scratch()
        let count = scratch.path + "/runs"
        let agents: JSONValue = ["a": ["command": ["/bin/sh", "-c", .string("echo x >> \(count); echo answer")]]]
        let bench = try TestBench(accounts: ["a": "1"], agents: agents, settings: ["unavailable": true])
        try await bench.start()
        _ = try await bench.deliver("d1")
        try await eventually("not sent") { bench.log.contains("not confirmed yet") }
        try await eventually("over") { await bench.gateway.plugins["test"]?.router.activeTurns == 0 }
        try bench.rewrite(accounts: ["a": "1"], agents: agents)
        try await bench.gateway.reload()
        #expect(try await bench.deliver("d1") == 0)
        try await eventually("sent again") {
            try await bench.journal().count { $0 == "send a test:g/c [answer] d1" } == 2
        }
        try await eventually("over") { await bench.gateway.plugins["test"]?.router.activeTurns == 0 }
        #expect(try await bench.deliver("d1") == 2)
        #expect(try Files.read(count).count == 2, "one run")
        await bench.gateway.stop()
    }

    @Test func bindingsAndMissingAgents() async throws {
        let bench = try TestBench(
            accounts: ["a": "1", "b": "1"], agents: ["helper": ["builtin": "echo"]],
            bindings: [["agentId": "helper", "match": ["channel": "test", "accountId": "a"]]])
        try await bench.start()
        _ = try await bench.deliver("d1", account: "a")
        for index in 0..<3 { _ = try await bench.deliver("e\(index)", account: "b") }
        try await eventually("b fails") { try await bench.journal().contains("settle e2 3") }
        try await eventually("a is answered") { try await bench.journal().contains("settle d1 2") }
        #expect(bench.log.all.count { $0.contains("no agent for this account") } == 1)
        #expect(await bench.account("b")["agent"] == .null)
        await bench.gateway.stop()
    }

    @Test func aCrashedAccountIsRestartedABlockedOneIsNotLateReportsChangeNothing() async throws {
        let bench = try TestBench(accounts: ["a": "1", "b": "1", "c": "d"])
        try await bench.start()
        try await eventually("started") { await bench.account("a")["running"]?.bool == true }
        try await bench.tell("crash", "a")
        try await eventually("restarted") { try await bench.journal().count { $0 == "start a" } == 2 }
        try await bench.tell("block", "b")
        try await eventually("blocked") { await bench.account("b")["supervision"]?["phase"]?.string == "blocked" }
        try await bench.tell("late", "c")
        try await bench.tell("late", "b")
        try await bench.tell("crash", "a")
        try await eventually("restarted again") { try await bench.journal().count { $0 == "start a" } == 3 }
        #expect(await bench.account("b")["supervision"]?["phase"]?.string == "blocked")
        #expect(await bench.account("c")["supervision"]?["phase"]?.string == "disabled")
        #expect(try await bench.journal().count { $0 == "start b" } == 1)
        #expect(try await !bench.journal().contains("start c"))
        await bench.gateway.stop()
    }

    @Test func badAccountsDoNotStopTheGoodOnes() async throws {
        let bench = try TestBench(accounts: ["a": "1", "u": "u", "s": "s", "f": "f"])
        try await bench.start()
        try await eventually("a runs") { await bench.account("a")["supervision"]?["phase"]?.string == "running" }
        try await eventually("f is given up") {
            await bench.account("f")["supervision"]?["phase"]?.string == "exhausted"
        }
        try await eventually("s is refused") { await bench.account("s")["supervision"]?["phase"]?.string == "refused" }
        try await eventually("u is told") {
            await bench.account("u")["supervision"]?["reason"]?.string == "its key is missing"
        }
        let report = await StatusReport(bench.gateway.status())
        #expect(!report.isWell)
        #expect(report.lines.map(\.account) == ["f", "s", "u", "a"])
        #expect(report.text.contains("its key is missing; correct the configuration"))
        await bench.gateway.stop()
    }

    @Test func settingsReloadTouchesOnlyWhatChanged() async throws {
        let bench = try TestBench(accounts: ["a": "1", "b": "1", "c": "1"])
        try await bench.start()
        try await eventually("all run") { try await bench.journal().count { $0.hasPrefix("start") } == 3 }
        try bench.rewrite(accounts: ["a": "1", "b": "2", "n": "1"])
        let result = try await bench.gateway.reload()
        #expect(
            result["added"]?.texts == ["n"] && result["changed"]?.texts == ["b"] && result["removed"]?.texts == ["c"])
        try await eventually("followed") {
            let journal = try await bench.journal()
            return journal.contains("stop c") && journal.contains("start n") && journal.count { $0 == "start b" } == 2
        }
        #expect(try await bench.journal().count { $0.hasSuffix(" a") } == 1, "a was started once and left alone")
        await bench.gateway.stop()
    }

    @Test func aBadReloadChangesNothingAndSaysWhy() async throws {
        let bench = try TestBench(accounts: ["a": "1"])
        try await bench.start()
        try bench.rewrite(accounts: ["b": "1"], settings: ["refuse": true])
        let error = await #expect(throws: GatewayError.self) { try await bench.gateway.reload() }
        #expect(error?.problem == "the settings are refused" && error?.findings == ["first finding", "second finding"])
        _ = try bench.scratch.write("{ not json", to: "gateway.json")
        await #expect(throws: GatewayError.self) { try await bench.gateway.reload() }
        _ = try await bench.deliver("d1")
        try await eventually("a still answers") { try await bench.journal().contains("settle d1 2") }
        await bench.gateway.stop()
    }

    @Test func moduleReloadMovesAccountsAndRunningTurnsSettleOnTheNewOne() async throws {
        let scratch = try Scratch()
        let fifo = scratch.path + "/go"
        #expect(mkfifo(fifo, 0o600) == 0)
        let bench = try TestBench(
            accounts: ["a": "1", "b": "1"],
            agents: ["a": ["command": ["/bin/sh", "-c", .string("cat \(fifo)")]], "b": ["builtin": "echo"]])
        try await bench.start()
        try await eventually("a runs") { await bench.account("a")["running"]?.bool == true }
        _ = try await bench.deliver("d1")
        var writer: Int32 = -1
        try await eventually("the turn runs") {
            writer = open(fifo, O_WRONLY | O_NONBLOCK)
            return writer >= 0
        }
        let next = bench.scratch.path + "/next.so"
        try TestModule.build(["-DTEST_VERSION=\"2.0.0\""], to: next)
        #expect(rename(next, bench.scratch.path + "/module.so") == 0)
        let result = try await bench.gateway.reload(module: true)
        #expect(result["modules"]?["test"]?.string == "2.0.0")
        // The new instance delivers again what was not settled: it is not started twice.
        #expect(try await bench.deliver("d1") == 0)
        _ = write(writer, "late answer", 11)
        close(writer)
        try await eventually("settled on the new one") { try await bench.journal().contains("settle d1 2") }
        let journal = try await bench.journal()
        #expect(journal.contains("start+handover a") && journal.contains("start+handover b"))
        #expect(journal.count { $0 == "send a test:g/c [late answer] d1" } == 1)
        #expect(await bench.account("a")["inherited"]?.int == 1)
        try await bench.tell("crash", "a")
        try await eventually("supervised as before") { try await bench.journal().contains("start a") }
        await bench.gateway.stop()
        #expect(!bench.log.contains("secret"), "a hand-over is never logged")
    }

    @Test func aModuleThatCannotBeLoadedLeavesTheOldOneUnharmed() async throws {
        var options = Gateway.Options()
        options.openDeadline = .seconds(10)
        let bench = try TestBench(accounts: ["a": "1"], options: options)
        try await bench.start()
        let module = bench.scratch.path + "/module.so"
        for flags in [["-DNO_SYMBOL"], ["-DTEST_ABI=9"], ["-DHANG_IN_OPEN"], ["-DREFUSE_OPEN"], ["-DTEST_ID=\"x\""]] {
            try TestModule.build(flags, to: module)
            await #expect(throws: GatewayError.self) { try await bench.gateway.reload(module: true) }
        }
        _ = try bench.scratch.write("garbage", to: "module.so")
        await #expect(throws: GatewayError.self) { try await bench.gateway.reload(module: true) }
        _ = try await bench.deliver("d1")
        try await eventually("the old one answers") { try await bench.journal().contains("settle d1 2") }
        #expect(Files.names(in: bench.scratch.path + "/state/modules").count <= 1)
        await bench.gateway.stop()
    }

    @Test func anAccountThatIsNotHandedOverStartsOnceTheOldInstanceIsGone() async throws {
        let bench = try TestBench(accounts: ["a": "1", "h": "h"])
        try await bench.start()
        try await eventually("h runs") { await bench.account("h")["running"]?.bool == true }
        try await bench.gateway.reload(module: true)
        try await eventually("h runs again") { await bench.account("h")["supervision"]?["phase"]?.string == "running" }
        #expect(await bench.account("a")["inherited"]?.int == 1)
        #expect(await bench.account("h")["inherited"]?.int == 0)
        await bench.gateway.stop()
    }

    @Test func theHealthCheckRestartsAnAccountThatIsStuckAndOnlyThat() async throws {
        var options = Gateway.Options()
        options.supervisor.healthInterval = .milliseconds(20)
        options.supervisor.startGrace = .zero
        // Long enough for the one that connects at once.
        options.supervisor.connectLimit = .seconds(1)
        let bench = try TestBench(accounts: ["a": "1", "n": "n"], options: options)
        try await bench.start()
        try await eventually("restarted") { try await bench.journal().count { $0 == "start n" } == 2 }
        let journal = try await bench.journal()
        #expect(journal.contains("stop n") && !journal.contains("stop a"))
        #expect(bench.log.contains("restarting account: not connected"))
        await bench.gateway.stop()
    }

    @Test func aHundredModuleReloadsKeepNoThreadAndNoDescriptor() async throws {
        let bench = try TestBench(accounts: ["a": "1"])
        try await bench.start()
        try await bench.gateway.reload(module: true)
        // Other tests run beside this one; what a leak would cost is a hundred each.
        func count(_ folder: String) -> Int { Files.names(in: "/proc/self/" + folder).count }
        let before = (count("fd"), count("task"))
        for _ in 0..<100 { try await bench.gateway.reload(module: true) }
        try await eventually("as before") { count("fd") < before.0 + 50 && count("task") < before.1 + 50 }
        #expect(await bench.account("a")["inherited"]?.int == 1)
        await bench.gateway.stop()
    }

    @Test func stopKillsWhatHangsAndLeavesItUnsettled() async throws {
        var options = Gateway.Options()
        options.stopDrain = .zero
        let bench = try TestBench(
            accounts: ["a": "1"], agents: ["a": ["command": ["/bin/sh", "-c", "sleep 1000"]]], options: options)
        try await bench.start()
        _ = try await bench.deliver("d1")
        let start = ContinuousClock.now
        async let other: Void = bench.gateway.stop()
        await bench.gateway.stop()
        await other
        #expect(ContinuousClock.now - start < .seconds(30))
        #expect(!FileManager.default.fileExists(atPath: bench.scratch.path + "/state/gateway.sock"))
        await #expect(throws: GatewayError.self) { try await bench.gateway.reload() }
    }

    @Test func aModuleThatDoesNotStopAnAccountDoesNotHoldUpTheStop() async throws {
        var options = Gateway.Options()
        options.stopDrain = .zero
        let bench = try TestBench(accounts: ["a": "1", "z": "z"], options: options)
        try await bench.start()
        try await eventually("z runs") { await bench.account("z")["running"]?.bool == true }
        let start = ContinuousClock.now
        await bench.gateway.stop()
        #expect(ContinuousClock.now - start < .seconds(30))
        #expect(bench.log.contains("did not stop"))
    }

    @Test func oneStateDirectoryBelongsToOneGateway() async throws {
        let bench = try TestBench(accounts: ["a": "1"])
        try await bench.start()
        let second = try TestBench(accounts: ["a": "1"], scratch: bench.scratch)
        let error = await #expect(throws: GatewayError.self) { try await second.start() }
        #expect(error?.problem.contains("process \(getpid())") == true)
        await second.gateway.stop()
        #expect(await bench.account("a")["running"]?.bool == true)
        await bench.gateway.stop()
        let third = try TestBench(accounts: ["a": "1"], scratch: bench.scratch)
        try await third.start()
        await third.gateway.stop()
    }

    @Test func aThousandAccountsStartAndStop() async throws {
        let accounts = Dictionary(uniqueKeysWithValues: (0..<1000).map { ("account-\($0)", "1") })
        let bench = try TestBench(accounts: accounts)
        try await bench.start()
        try await eventually("all run") {
            await bench.gateway.status()["accounts"]?.array?.count { $0["running"]?.bool == true } == 1000
        }
        try await bench.gateway.reload(module: true)
        #expect(
            await bench.gateway.status()["accounts"]?.array?.count { $0["inherited"]?.int == 1 } == 1000)
        await bench.gateway.stop()
    }

    @Test func repeatedReloadsUnderTrafficAnswerEveryMessageOnce() async throws {
        let bench = try TestBench(
            accounts: ["a": "1", "b": "1"], agents: ["a": ["builtin": "echo"], "b": ["builtin": "echo"]])
        try await bench.start()
        try await eventually("b runs") { await bench.account("b")["running"]?.bool == true }
        var sends: [String] = []
        for round in 0..<20 {
            async let reloaded = bench.gateway.reload(module: round % 2 == 0)
            for index in 0..<5 {
                _ = try? await bench.deliver("r\(round)-\(index)", account: index % 2 == 0 ? "a" : "b")
            }
            _ = try await reloaded
            try await eventually("turns are over") { await bench.gateway.plugins["test"]?.router.activeTurns == 0 }
            // What the old instances sent is in their own journals; the ledger says that all is finished. A delivery that
            // fell between two instances, or whose answer did, comes again, as a module would do it.
            for index in 0..<5 {
                try await eventually("r\(round)-\(index) is finished") {
                    (try? await bench.deliver("r\(round)-\(index)", account: index % 2 == 0 ? "a" : "b")) == 2
                }
            }
            sends = try await bench.journal().filter { $0.hasPrefix("send") }
            #expect(Set(sends).count == sends.count, "answered twice")
        }
        #expect(Files.names(in: bench.scratch.path + "/state/modules").count <= 1)
        await bench.gateway.stop()
    }
}
