import FabricAPI
import FabricAccounts
import Foundation
import JSONBytes
import Locking
import Settings
import Testing

@testable import FabricSetup

let key = "fak_SECRETKEY0123456789abcdefghijklmnop"
let token = "eyJSECRETTOKEN0123456789.abcdefghijklmnop.qrstuvwxyz"

/// A directory, and a world that is all in the test's hand.
final class Bench: Sendable {
    let path = NSTemporaryDirectory() + "setup-\(UUID().uuidString)"
    let lines = Locked<[String]>([])
    let logins = Locked<[String]>([])

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var file: String { path + "/gateway.json" }
    var identities: String { path + "/fabric-identity.json" }
    var output: String { lines.withLock { $0.joined(separator: "\n") } }
    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }

    func write(_ text: String, to path: String? = nil) throws {
        try text.write(toFile: path ?? file, atomically: false, encoding: .utf8)
    }

    /// - Parameter failure: what the login throws.
    func world(
        input: String? = nil, variable: String? = nil, answers: [String]? = nil, failure: (any Error)? = nil,
        ahead: Double = 0
    ) -> SetupWorld {
        let waiting = Locked(answers ?? [])
        let session = FabricSession(
            accessToken: token, user: FabricUser(id: "u1", email: "echo@x"),
            guilds: [FabricGuildInfo(nodeId: "g1", endpoint: "http://g1")], guildAccessTokens: ["g1": token])
        return SetupWorld(
            environment: { $0 == "FABRIC_API_KEY" ? variable : nil }, readLine: { input }, isTerminal: answers != nil,
            ask: { _, _ in waiting.withLock { $0.isEmpty ? nil : $0.removeFirst() } },
            say: { [self] line in lines.withLock { $0.append(line) } },
            complain: { [self] line in lines.withLock { $0.append(line) } },
            login: { [self] center, _, key in
                logins.withLock { $0.append(center + " " + key.reveal()) }
                if let failure { throw failure }
                return session
            },
            probe: { [self] center, _, key in
                logins.withLock { $0.append(center + " " + key.reveal()) }
                if let failure { throw failure }
                var probe = SetupWorld.Probe(session: session)
                var guild = SetupWorld.Probe.Guild(nodeId: "g1")
                guild.channels = 3
                probe.guilds = [guild]
                return probe
            },
            clockAhead: { _, _ in ahead })
    }

    static func failure(_ kind: FabricError.Kind) -> FabricError {
        FabricError(kind: kind, operation: "logging in", place: "Center", serverWords: "its words", remedy: "Mend it.")
    }
}

@Suite struct BindTests {
    let center = "http://localhost:7001/api"

    @Test func bindsOnAnEmptyMachine() async throws {
        let bench = try Bench()
        let code = await Binder(world: bench.world(input: key), file: bench.file).bind(agentId: "echo", center: center)
        #expect(code == 0 && bench.names == ["fabric-identity.json", "fabric-identity.json.lock", "gateway.json"])
        let configuration = try FabricConfiguration.read(gatewayFile: bench.file)
        let accounts = FabricAccounts(configuration: configuration)
        #expect(
            accounts["echo"]?.mayStart == true && accounts["echo"]?.userId == "u1"
                && accounts["echo"]?.email == "echo@x")
        #expect(bench.logins.withLock { $0 } == ["\(center) \(key)"])
        for path in [bench.file, bench.identities] {
            #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        }
        let again = await Binder(world: bench.world(variable: key), file: bench.file).bind(agentId: "echo", center: nil)
        #expect(again == 0 && IdentityFile.read(bench.identities).entries.count == 1)
        #expect(bench.output.contains("Replaced echo") && bench.output.contains("gateway reload"))
        #expect(Binder(world: bench.world(), file: bench.file).unbind(agentId: "echo") == 0)
        #expect(Binder(world: bench.world(), file: bench.file).unbind(agentId: "echo") == 1)
        #expect(!bench.output.contains("SECRET"))
    }

    @Test func aPersonIsAsked() async throws {
        let bench = try Bench()
        let world = bench.world(answers: [center, "echo", key])
        #expect(await Binder(world: world, file: bench.file).bind(agentId: nil, center: nil) == 0)
        #expect(IdentityFile.read(bench.identities).entries.first?.agentId == "echo")
    }

    @Test func nothingIsWrittenUnlessTheKeyIsProved() async throws {
        let cases: [(FabricError.Kind, Int32)] = [
            (.refused(status: 401), 1), (.refused(status: 403), 1), (.rejected(status: 400, code: nil), 1),
            (.passing(status: nil, retryAfter: nil), 3), (.passing(status: 503, retryAfter: .seconds(1)), 3),
            (.malformed, 3), (.rejected(status: 404, code: nil), 3), (.unknownOutcome, 3), (.local, 2),
        ]
        for (kind, expected) in cases {
            let bench = try Bench()
            let world = bench.world(input: key, failure: Bench.failure(kind))
            #expect(await Binder(world: world, file: bench.file).bind(agentId: "echo", center: center) == expected)
            #expect(bench.names.isEmpty && bench.output.contains("Nothing was written"))
            #expect(bench.output.contains("its words") && !bench.output.contains("SECRET"))
        }
    }

    @Test func wrongCommands() async throws {
        let bench = try Bench()
        func bind(_ input: String?, _ agent: String?, _ center: String?) async -> Int32 {
            await Binder(world: bench.world(input: input), file: bench.file).bind(agentId: agent, center: center)
        }
        #expect(await bind(key, "echo", nil) == 2)
        #expect(await bind(key, nil, center) == 2)
        #expect(await bind(key, "a/b", center) == 2)
        #expect(await bind(nil, "echo", center) == 2)
        #expect(await bind(" ", "echo", center) == 2)
        #expect(await bind("two words", "echo", center) == 2)
        try bench.write("{\"channels\":{\"fabric\":{\"centerApiBase\":\"http://other/api\"}}}")
        #expect(await bind(key, "echo", center) == 2)
        try bench.write("{\"channels\":{\"fabric\":{\"x\":1}}}")
        #expect(await bind(key, "echo", center) == 2)
        #expect(bench.names == ["gateway.json"] && bench.logins.withLock { $0.isEmpty })
    }

    @Test func theConfigurationIsNeverRewritten() async throws {
        let bench = try Bench()
        let text = "{ /* mine */ \"channels\":{\"fabric\":{\"accounts\":{\"echo\":{\"fabricApiKey\":\"\(key)2\"}}}}}"
        try bench.write(text)
        let code = await Binder(world: bench.world(input: key), file: bench.file).bind(agentId: "echo", center: center)
        let now = try String(contentsOfFile: bench.file, encoding: .utf8)
        #expect(code == 0 && now == text)
        #expect(bench.output.contains("centerApiBase") && bench.output.contains("two keys for one account"))
        #expect(!bench.output.contains("SECRET"))
    }
}

@Suite struct InspectTests {
    @Test func beforeAnythingIsConfigured() async throws {
        let bench = try Bench()
        #expect(await Inspector(world: bench.world(), file: bench.file).run(json: true, probe: true) == 0)
        let tree = try JSONValue(parsing: bench.output)
        #expect(tree["configured"] == false && tree["accounts"] == [] && tree["channel"] == "fabric")
        #expect(bench.logins.withLock { $0.isEmpty })
    }

    @Test func jsonIsTheInspection() async throws {
        let bench = try Bench()
        try bench.write(
            """
            {"channels":{"fabric":{"centerApiBase":"http://c/api","accounts":{"a":{"fabricApiKey":"\(key)"},
             "b":{"fabricApiKey":{"env":"SURELY_NOT_SET_X"}},"c":{"enabled":false}}}}}
            """)
        #expect(await Inspector(world: bench.world(), file: bench.file).run(json: true, probe: false) == 0)
        let found = try JSONDecoder().decode(ChannelInspection.self, from: Data(bench.output.utf8))
        let configuration = try FabricConfiguration.read(gatewayFile: bench.file)
        #expect(found == FabricAccounts(configuration: configuration).inspection)
        #expect(found.configured && bench.logins.withLock { $0.isEmpty } && !bench.output.contains("SECRET"))
    }

    @Test func probing() async throws {
        let bench = try Bench()
        try bench.write(
            "{\"channels\":{\"fabric\":{\"centerApiBase\":\"http://c/api\",\"accounts\":{\"a\":{\"fabricApiKey\":\"\(key)\"}}}}}"
        )
        #expect(await Inspector(world: bench.world(), file: bench.file).run(json: true, probe: true) == 0)
        let probe = try JSONValue(parsing: bench.output)["accounts"]?.array?.first?["probe"]
        #expect(probe == ["login": "ok", "user": "echo@x", "guilds": [["nodeId": "g1", "channels": 3]]])
        let failing = bench.world(failure: Bench.failure(.refused(status: 401)))
        #expect(await Inspector(world: failing, file: bench.file).run(json: false, probe: true) == 0)
        #expect(bench.output.contains("login failed") && !bench.output.contains("SECRET"))
    }

    @Test func aWrongFile() async throws {
        let bench = try Bench()
        try bench.write("{\"channels\":{\"fabric\":{\"centerApiBas\":1}}}")
        #expect(await Inspector(world: bench.world(), file: bench.file).run(json: true, probe: false) == 2)
        let tree = try JSONValue(parsing: bench.output)
        #expect(
            tree["configured"] == false
                && tree["errors"]?.array?.first?["remedy"]?.string?.contains("centerApiBase") == true)
    }
}

@Suite struct DoctorTests {
    func levels(_ findings: [DoctorFinding], _ word: String) -> [DoctorFinding.Level] {
        findings.filter { ($0.place + $0.what).contains(word) }.map(\.level)
    }

    @Test func findsWhatIsWrong() async throws {
        let bench = try Bench()
        try bench.write(
            """
            {"stateDirectory":"./gateway.json","agents":{"a":{"builtin":"echo"}},
             "bindings":[{"agentId":"ghost","match":{"accountId":"b"}}],
             "channels":{"fabric":{"centerApiBase":"http://c/api","accounts":{"a":{"fabricApiKey":"\(key)"},
             "b":{"fabricApiKey":{"env":"SURELY_NOT_SET_X"}},"c":{"fabricApiKey":"k","x":1}}}}}
            """)
        let findings = await Doctor(world: bench.world(ahead: -500), file: bench.file).examine(offline: false)
        #expect(levels(findings, "holds secrets") == [.warning])
        #expect(levels(findings, "no directory") == [.error] && levels(findings, "ghost") == [.error])
        #expect(levels(findings, "account a") == [.good, .good, .good])
        #expect(
            levels(findings, "SURELY_NOT_SET_X") == [.error] && levels(findings, "account c") == [.error, .warning])
        #expect(levels(findings, "500 s ahead of Center's") == [.error])
        #expect(await Doctor(world: bench.world(), file: bench.file).run(json: true, offline: true) == 2)
        #expect(!bench.output.contains("SECRETKEY"))
    }

    @Test func allIsWell() async throws {
        let bench = try Bench()
        _ = await Binder(world: bench.world(input: key), file: bench.file).bind(agentId: "echo", center: "http://c/api")
        #expect(await Doctor(world: bench.world(), file: bench.file).run(json: false, offline: false) == 0)
        #expect(await Doctor(world: bench.world(), file: bench.file + "x").run(json: false, offline: false) == 2)
    }

    @Test func dates() {
        #expect(HTTPDate.seconds("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
        #expect(HTTPDate.seconds("Thu, 01 Jan 1970 00:00:00 GMT") == 0)
        #expect(HTTPDate.seconds("Thu, 29 Feb 2024 23:59:59 GMT") == 1_709_251_199)
        for bad in ["", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", "now"] {
            #expect(HTTPDate.seconds(bad) == nil)
        }
    }
}
