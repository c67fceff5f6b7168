import ChannelStore
import FabricAccounts
import Foundation
import JSONBytes
import Settings
import Testing
import Timing

@testable import FabricSetup

@Suite struct DoctorTests {
    func levels(_ findings: [DoctorFinding], _ word: String) -> [DoctorFinding.Level] {
        findings.filter { ($0.place + $0.what).contains(word) }.map(\.level)
    }

    /// A plugin folder beside the configuration, as far as the doctor looks at it.
    func plugin(_ bench: Bench) throws {
        try bench.write(
            """
            {"id":"fabric","version":"1.0.0","kind":"channel","abiVersion":1,"module":"./m.so","channels":["fabric"]}
            """, to: bench.path + "/plugin.json")
        try bench.write("", to: bench.path + "/m.so")
    }

    @Test func findsWhatIsWrong() async throws {
        let bench = try Bench()
        try bench.write("#!/bin/sh\n", to: bench.path + "/plain")
        try bench.write(
            """
            {"stateDirectory":"./gateway.json","agents":{"a":{"builtin":"echo"},"gone":{"command":["./nowhere"]},
              "path":{"command":["surely-no-such-program"]},"plain":{"command":["./plain"]},"ls":{"command":["ls"]}},
             "plugins":{"fabric":{"manifest":"./plugin.json"}},
             "bindings":[{"agentId":"ghost","match":{"channel":"fabric","accountId":"b"}},
              {"agentId":"a","match":{"channel":"fabric","accountId":"nobody"}}],
             "channels":{"fabric":{"centerApiBase":"http://c/api","accounts":{"a":{"fabricApiKey":"\(key)"},
             "b":{"fabricApiKey":{"env":"SURELY_NOT_SET_X"}},"c":{"fabricApiKey":"k","x":1}}}}}
            """)
        try bench.write("{\"entries\":[{\"agentId\":\"twin\",\"fabricApiKey\":\"\(key)\"}]}", to: bench.identities)
        let findings = await Doctor(world: bench.world(ahead: -500), file: bench.file).examine(offline: false)
        #expect(levels(findings, "holds secrets") == [.warning, .warning])
        #expect(levels(findings, "no directory") == [.error] && levels(findings, "ghost") == [.error])
        #expect(levels(findings, "SURELY_NOT_SET_X") == [.error])
        #expect(levels(findings, "account c") == [.error, .warning])
        #expect(levels(findings, "500 s ahead of Center's") == [.error])
        #expect(levels(findings, "agent gone") == [.error] && levels(findings, "agent path") == [.error])
        #expect(levels(findings, "not executable") == [.error] && levels(findings, "agent ls") == [.good])
        #expect(levels(findings, "nobody, which is not bound") == [.warning])
        #expect(levels(findings, "the same Fabric user as account twin") == [.error])
        #expect(levels(findings, "plugin.json") == [.error])
        for finding in findings { #expect(finding.level == .good || !finding.remedy.isEmpty, "\(finding)") }
        #expect(await Doctor(world: bench.world(), file: bench.file).run(json: true, offline: true) == 2)
        #expect(try JSONValue(parsing: bench.output)["worst"] == "error")
        #expect(!bench.output.contains("SECRETKEY"))
    }

    @Test func allIsWell() async throws {
        let bench = try Bench()
        try plugin(bench)
        _ = await Binder(world: bench.world(input: key), file: bench.file).bind(
            .init(agentId: "echo", center: "http://c/api"))
        let code = await Doctor(world: bench.world(), file: bench.file).run(json: false, offline: false)
        #expect(code == 0 && bench.output.contains("All is well"), "\(bench.output)")
        #expect(bench.steps.withLock { $0.contains { $0.contains("http://c/api") } && $0.last == "" })
        #expect(await Doctor(world: bench.world(), file: bench.file + "x").run(json: false, offline: false) == 2)
    }

    @Test func warningsAreOne() async throws {
        let bench = try Bench()
        try plugin(bench)
        try bench.write(
            """
            {"plugins":{"fabric":{"manifest":"./plugin.json"}},"channels":{"fabric":{"centerApiBase":"http://c/api"}}}
            """)
        #expect(await Doctor(world: bench.world(), file: bench.file).run(json: false, offline: false) == 1)
        #expect(bench.output.contains("no account is bound"))
    }

    @Test func aBoundForLoginsThatRenewalsExceed() {
        func pace(_ accounts: Int, _ most: Int, every seconds: Double = 480) -> [DoctorFinding] {
            AccountChecks.pace(of: accounts, every: seconds, atMost: most)
        }
        #expect(pace(1000, 0).isEmpty && pace(960, 2).isEmpty && pace(1_000_000, 100_000).isEmpty)
        #expect(pace(600, 9, every: 60).map(\.level) == [.warning] && pace(600, 10, every: 60).isEmpty)
        #expect(pace(2, 1, every: 1e-300).map(\.level) == [.warning])
        let findings = pace(961, 2)
        #expect(levels(findings, "need 3 logins a second, more than 2") == [.warning], "\(findings)")
        #expect(findings.first?.remedy.contains("at least 6") == true)
    }

    @Test func aConfigurationThatIsNoJSONIsSaidOnce() async throws {
        let bench = try Bench()
        try bench.write("{\"channels\":")
        let findings = await Doctor(world: bench.world(), file: bench.file).examine(offline: false)
        #expect(findings.count { $0.level == .error } == 1)
    }

    @Test func aRunningGateway() async throws {
        let bench = try Bench()
        try plugin(bench)
        try bench.write(
            """
            {"plugins":{"fabric":{"manifest":"./plugin.json"}},"agents":{"a":{"builtin":"echo"},"b":{"builtin":"echo"}},
             "channels":{"fabric":{"centerApiBase":"http://c/api","accounts":{
              "a":{"fabricApiKey":{"env":"SURELY_NOT_SET_X"}},"b":{"fabricApiKey":{"env":"SURELY_NOT_SET_Y"}}}}}}
            """)
        let state = bench.path + "/state"
        try FileManager.default.createDirectory(
            atPath: state, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let file = bench.file
        let world = bench.world { request in
            switch request["command"]?.string {
            case "status":
                return .result([
                    "pid": 4711, "configuration": .string(file),
                    "accounts": [
                        [
                            "channel": "fabric", "accountId": "a", "credential": "available", "lifecycle": "ready",
                            "agent": "worker", "running": true, "connected": true,
                            "turns": [
                                "failuresInRow": 3, "lastError": "it ended with exit code 3",
                                "lastErrorAt": "2026-01-02T03:04:05Z",
                            ],
                        ],
                        [
                            "channel": "fabric", "accountId": "b", "lifecycle": "blocked", "reason": "Center said no",
                            "running": true, "connected": false,
                        ],
                    ],
                    "descriptors": ["limit": 100, "open": 40],
                    "moduleCopies": ["replaced": 2, "bytes": 30_500_000],
                ])
            default: return .result(["deadLetters": [["id": "1", "text": "private"]]])
            }
        }
        let findings = await Doctor(world: world, file: file).examine(offline: true)
        #expect(levels(findings, "process 4711") == [.good] && levels(findings, "SURELY_NOT_SET_X") == [.good])
        #expect(levels(findings, "Center said no") == [.error] && levels(findings, "SURELY_NOT_SET_Y") == [.error])
        #expect(levels(findings, "1 message could not be sent") == [.warning])
        let failing = findings.first { $0.what.contains("exit code 3") }
        #expect(failing?.level == .warning && failing?.place == "account a, agent worker")
        #expect(failing?.what.contains("3 turns in a row, the last at 2026") == true)
        #expect(failing?.remedy.contains("`gateway status --account a --recent`") == true)
        #expect(levels(findings, "40 of 100 descriptors are in use: there is room for about 43") == [.good])
        #expect(levels(findings, "2 replaced module builds are still mapped: 31 MB") == [.note])

        let other = bench.world { _ in .result(["pid": 1, "configuration": "/elsewhere.json", "accounts": []]) }
        #expect(
            levels(await Doctor(world: other, file: file).examine(offline: true), "another configuration") == [.error])
        let mute = bench.world { _ in .failed("no answer") }
        #expect(levels(await Doctor(world: mute, file: file).examine(offline: true), "does not answer") == [.error])
    }

    /// A hundred accounts where there is room for eighty.
    @Test func descriptorsAreCompared() {
        let short = DescriptorRoom.finding("state", free: 90, accounts: 100, "accounts", at: "p")
        #expect(short.level == .error && short.what.contains("room for about 80 connections, and 100 accounts"))
        #expect(short.remedy.contains("ulimit -Hn"))
        #expect(DescriptorRoom.finding("state", free: 113, accounts: 100, "accounts", at: "p").level == .good)
        #expect(DescriptorRoom.expected(accounts: 1, commands: 8, at: "p").level == .good)
        #expect(DescriptorRoom.expected(accounts: .max, commands: 1024, at: "p").level == .error)
    }

    @Test func whatIsKeptIsLookedAt() async throws {
        let bench = try Bench()
        try plugin(bench)
        try bench.write("{\"plugins\":{\"fabric\":{\"manifest\":\"./plugin.json\"}}}")
        let state = bench.path + "/state"
        try FileManager.default.createDirectory(
            atPath: state, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let store = SQLiteChannelStore(path: state + "/channel.db") { _, _ in }
        await withCheckedContinuation { done in
            store.commit([.running(true)], account: "a") { _ in done.resume() }
        }
        store.close(within: .seconds(60))
        let findings = await Doctor(world: bench.world(), file: bench.file).examine(offline: true)
        #expect(
            levels(findings, "whole, version \(StoreInspection.of(state + "/channel.db", isInUse: false).knownVersion)")
                == [.good], "\(findings)")
        try bench.write("no database at all, but long enough to be looked at by anybody", to: state + "/channel.db")
        let damaged = await Doctor(world: bench.world(), file: bench.file).examine(offline: true)
        let found = damaged.first { $0.place.hasSuffix("channel.db") }
        #expect(found?.level == .error && found?.remedy.contains("Check the disk") == true, "\(damaged)")
    }

    @Test func aHeldStateDirectory() async throws {
        let bench = try Bench()
        try bench.write("{}")
        let state = bench.path + "/state"
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
        #expect(LockHolder(of: state) == nil)
        let descriptor = open(state + "/gateway.lock", O_RDWR | O_CREAT, 0o600)
        #expect(descriptor >= 0 && flock(descriptor, LOCK_EX) == 0)
        defer { close(descriptor) }
        #expect(LockHolder(of: state)?.name == "unknown")
        #expect(write(descriptor, "1234\n", 5) == 5)
        #expect(LockHolder(of: state)?.name == "1234")
        let findings = await Doctor(world: bench.world(), file: bench.file).examine(offline: true)
        #expect(levels(findings, "process 1234 holds the state directory") == [.error])
        #expect(levels(findings, "others may look into") == [.warning])
    }

    @Test func libraries() {
        let findings = LibraryChecks.findings
        #expect(findings.map(\.level) == [.good, .good, .good, .good], "\(findings)")
        #expect(LibraryChecks.numbers("libcurl/7.88.1 OpenSSL/3.0.17") == [7, 88, 1])
        #expect(LibraryChecks.numbers("4.1.6-unknown") == [4, 1, 6] && LibraryChecks.numbers("none") == [])
    }

    @Test func dates() {
        #expect(TimeText.httpSeconds("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
        #expect(TimeText.httpSeconds("Thu, 01 Jan 1970 00:00:00 GMT") == 0)
        #expect(TimeText.httpSeconds("Thu, 29 Feb 2024 23:59:59 GMT") == 1_709_251_199)
        for bad in ["", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", "now"] {
            #expect(TimeText.httpSeconds(bad) == nil)
        }
    }

    @Test func colours() {
        #expect(Palette.wanted(["TERM": "xterm"]) && !Palette.wanted(["TERM": "dumb"]) && !Palette.wanted([:]))
        #expect(!Palette.wanted(["TERM": "xterm", "NO_COLOR": "1"]))
        #expect(Palette(isOn: true).bad("x") == "\u{1B}[1;31mx\u{1B}[0m" && Palette.plain.bad("x") == "x")
    }
}
