import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

/// Accounts that several gateways share, as the operator of one sees them.
@Suite struct SharingTests {
    private static func member(
        _ gateway: String, this: Bool = false, owned: Int64, weight: Double = 1, draining: Bool = false,
        beat: Double = 0.5, differing: [String] = []
    ) -> JSONValue {
        [
            "gateway": .string(gateway), "member": .string("\(gateway)-\(owned)"), "this": .bool(this), "host": "h",
            "pid": 7, "version": "1", "weight": .double(weight), "owned": .int(owned), "wanted": 300,
            "draining": .bool(draining), "secondsSinceBeat": .double(beat),
            "differingSettings": .array(differing.map { .string($0) }),
        ]
    }

    private static func sharing(
        _ members: [JSONValue], accounts: [JSONValue] = [], draining: Bool = false, unowned: Int64 = 0,
        database: JSONValue = ["answers": true, "since": .null, "problem": ""], remaining: Double = 6
    ) -> JSONValue {
        [
            "sharing": true, "gateway": "east", "member": "m", "draining": .bool(draining), "database": database,
            "lease": ["remainingSeconds": .double(remaining), "leaseSeconds": 8, "beatSeconds": 2],
            "members": .array(members), "accounts": .array(accounts), "owned": 1, "unowned": .int(unowned),
        ]
    }

    private static func account(_ id: String, _ lifecycle: String, reason: String = "") -> JSONValue {
        [
            "accountId": .string(id), "channel": "fabric", "running": true, "connected": .bool(lifecycle == "ready"),
            "lifecycle": .string(lifecycle), "reason": .string(reason), "agent": "x", "guilds": [],
            "supervision": ["phase": "running", "attempts": 0],
        ]
    }

    private static func status(_ sharing: JSONValue, _ accounts: [JSONValue]) -> StatusReport {
        StatusReport([
            "pid": 1, "plugins": [["id": "fabric", "version": "1", "generation": 1, "sharing": sharing]],
            "accounts": .array(accounts),
        ])
    }

    private static let both: [JSONValue] = [
        ["accountId": "a", "here": true, "gateway": "east", "state": "running"],
        ["accountId": "b", "here": false, "gateway": "west", "state": "standby"],
    ]

    @Test func standbyIsWellAndSaysWhoRunsIt() {
        let report = Self.status(
            Self.sharing(
                [Self.member("east", this: true, owned: 1), Self.member("west", owned: 1)], accounts: Self.both),
            [Self.account("a", "ready"), Self.account("b", "standby", reason: "gateway west runs it")])
        #expect(report.isWell)
        #expect(report.text.contains("2 accounts, all well; 1 on standby"))
        #expect(report.text.contains("   b        standby  gateway west runs it\n"), "\(report.text)")
        let east = report.text.split(separator: "\n").first { $0.contains("east") }
        #expect(east == "   east     1         1      0.5 s ago  this one", "\(report.text)")
    }

    @Test func whatNobodyRunsIsAProblem() {
        let accounts: [JSONValue] = [
            ["accountId": "b", "here": false, "gateway": .null, "nobody": true, "state": "standby"]
        ]
        let report = Self.status(
            Self.sharing(
                [Self.member("east", this: true, owned: 0, draining: true)], accounts: accounts, draining: true),
            [Self.account("b", "standby", reason: "waiting for a lease")])
        #expect(!report.isWell && report.text.contains("!! b"))
        #expect(report.text.contains("no gateway runs it: waiting for a lease"), "\(report.text)")
        #expect(report.text.contains("`gateway drain --undo` ends that"))
    }

    /// Who runs it is asked for now and then; meanwhile nothing is wrong.
    @Test func whatIsNotKnownForAMomentIsNoProblem() {
        let accounts: [JSONValue] = [
            ["accountId": "b", "here": false, "gateway": .null, "nobody": false, "state": "standby"]
        ]
        let report = Self.status(
            Self.sharing([Self.member("east", this: true, owned: 0)], accounts: accounts),
            [Self.account("b", "standby", reason: "waiting for its lease")])
        #expect(report.isWell && report.text.contains("standby  waiting for its lease"), "\(report.text)")
    }

    @Test func aDatabaseThatDoesNotAnswerIsAProblem() {
        let away: JSONValue = ["answers": false, "since": "2026-01-01T00:00:00Z", "problem": "connection refused"]
        let report = Self.status(
            Self.sharing([Self.member("east", this: true, owned: 1)], accounts: Self.both, database: away),
            [Self.account("a", "ready")])
        #expect(!report.isWell)
        #expect(report.notes.first?.contains("since 2026-01-01T00:00:00Z (connection refused)") == true)
        #expect(report.notes.first?.contains("run on for 6.0 s") == true, "\(report.notes)")
        let over = Self.status(Self.sharing([], database: away, remaining: -3), [])
        #expect(over.notes.first?.contains("no account runs until it does") == true)
    }

    @Test func sharesFollowWeightsAndDraining() throws {
        let report = try #require(
            SharingReport(
                Self.sharing(
                    [
                        Self.member("a", owned: 50, weight: 2), Self.member("b", owned: 30, differing: ["catchUp"]),
                        // One gateway while its module is reloaded.
                        Self.member("c", owned: 10), Self.member("c", owned: 0, draining: true),
                        Self.member("d", owned: 0, draining: true, beat: 3),
                    ], unowned: 10)))
        #expect(report.rows.map(\.share) == [50, 25, 25, 0])
        #expect(report.rows.map(\.owned) == [50, 30, 10, 0])
        #expect(report.rows.map(\.isDraining) == [false, false, false, true])
        #expect(report.text.contains("other settings: catchUp"))
    }

    /// A module says what it likes; nothing of it may trap.
    @Test func strangeAnswersTrapNothing() {
        let strange = JSONValue.array([
            .null, 7, ["owned": .int(.max), "weight": .double(-.infinity), "secondsSinceBeat": .double(.nan)],
            ["owned": .int(.max), "weight": .double(.infinity), "secondsSinceBeat": .double(1e300)], ["gateway": 3],
        ])
        let answer: JSONValue = [
            "sharing": true, "members": strange, "unowned": .int(.min), "accounts": strange,
            "lease": ["remainingSeconds": .double(1e300)], "database": ["answers": false],
        ]
        #expect(SharingReport(answer)?.text.isEmpty == false)
        #expect(
            SharingReport(["sharing": false]) == nil && SharingReport(.null) == nil
                && SharingReport(["sharing": 1]) == nil)
    }

    // MARK: The command

    private func bench() throws -> (TestBench, folder: String) {
        let scratch = try Scratch()
        let folder = scratch.path + "/sharing"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return (try TestBench(accounts: ["a": "1"], settings: ["sharing": .string(folder)], scratch: scratch), folder)
    }

    private func drain(
        _ bench: TestBench, _ body: @escaping @Sendable (CommandLineTool) -> Int32
    ) async throws -> (code: Int32, text: String, errors: String) {
        let output = Output()
        let file = bench.scratch.path + "/gateway.json"
        let code = try await blocking { body(output.tool(file)) }
        return (code, output.printed, output.complained)
    }

    @Test func drainsWaitsAndSaysWhatIsLeft() async throws {
        let (bench, folder) = try bench()
        func put(_ command: String, _ answer: JSONValue) throws {
            try Data(answer.line.utf8).write(to: URL(filePath: "\(folder)/sharing.\(command).json"))
        }
        try put("status", Self.sharing([Self.member("east", this: true, owned: 1)], accounts: Self.both))
        try await bench.start()
        let alone = try await drain(bench) { $0.drain(within: 5) }
        #expect(alone.code == 1 && alone.errors.contains("no other gateway is there"), "\(alone)")

        try put("drain", ["drained": false, "left": ["a"]])
        let left = try await drain(bench) { $0.drain(within: 7.5) }
        #expect(
            left.code == 1
                && left.text.contains(
                    "1 account is not on another gateway yet:\n   a: no other gateway has taken it yet"),
            "\(left)")
        #expect(try await bench.journal().contains { $0.hasPrefix("sharing.drain") && $0.contains("7.5") })

        try put("drain", ["drained": true, "left": []])
        let done = try await drain(bench) { $0.drain(within: 7) }
        #expect(done.code == 0 && done.text.contains("every account runs on another gateway"), "\(done)")
        let json = try await drain(bench) { $0.drain(within: 7, json: true) }
        #expect(try JSONValue(parsing: json.text) == ["drained": true, "left": []])

        try put("undrain", [:])
        #expect(try await drain(bench) { $0.undrain() }.code == 0)
        #expect(try await bench.journal().contains { $0.hasPrefix("sharing.undrain") })
        let status = await bench.gateway.status()
        #expect(status["plugins"]?.array?.first?["sharing"]?["gateway"]?.string == "east")
        for seconds in [0, -1, 86_401, Double.nan, .infinity] {
            #expect(try await drain(bench) { $0.drain(within: seconds) }.code == 2)
        }
        await bench.gateway.stop()
        #expect(try await drain(bench) { $0.drain(within: 5) }.code == 3)
    }

    @Test func whereNothingIsSharedThereIsNothingToDrain() async throws {
        let bench = try TestBench(accounts: ["a": "1"], settings: ["tools": true])
        try await bench.start()
        for undo in [false, true] {
            let answer = try await drain(bench) { undo ? $0.undrain() : $0.drain(within: 5) }
            #expect(answer.code == 1 && answer.errors.contains("shares its accounts with no other"), "\(answer)")
        }
        #expect(await bench.gateway.status()["plugins"]?.array?.first?["sharing"] == nil)
        await bench.gateway.stop()
    }

    @Test func aDatabaseThatRefusesIsNotCalledAway() {
        let members = [Self.member("east", this: true, owned: 1)]
        func text(_ refuses: Bool) -> String {
            let database: JSONValue = [
                "answers": false, "refuses": .bool(refuses), "since": .null,
                "problem": "password authentication failed",
            ]
            return Self.status(Self.sharing(members, database: database), []).text
        }
        #expect(text(true).contains("PROBLEM  the database refuses this gateway (password authentication failed)"))
        #expect(text(false).contains("PROBLEM  the database does not answer (password authentication failed)"))
    }

    @Test func anotherProcessOfThisNameIsAProblem() {
        var sharing = Self.sharing([Self.member("east", this: true, owned: 1)]).object ?? [:]
        sharing["namesakes"] = ["process 9 on h"]
        let report = Self.status(.object(sharing), [])
        #expect(!report.isWell)
        #expect(report.text.contains("PROBLEM  process 9 on h calls itself gateway east too"), "\(report.text)")
    }

    @Test func aReloadThatChangesNoAccountSaysWhatWasTakenUp() {
        let report = ReloadReport(["settings": ["channels.fabric.store.postgresql.weight"]])
        #expect(report.text == "settings taken up: channels.fabric.store.postgresql.weight\n")
    }
}
