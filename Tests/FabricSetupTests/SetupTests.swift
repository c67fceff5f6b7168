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
    let steps = Locked<[String]>([])
    let asked = Locked<[JSONValue]>([])

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
        ahead: Double = 0, socketTrouble: SetupProbe.Trouble? = nil,
        gateway: (@Sendable (JSONValue) -> SetupWorld.GatewayAnswer)? = nil
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
            progress: { [self] step in steps.withLock { $0.append(step ?? "") } }, palette: .plain,
            login: { [self] center, _, key in
                logins.withLock { $0.append(center + " " + key.reveal()) }
                if let failure { throw failure }
                return session
            },
            probe: { [self] request in
                logins.withLock { $0.append(request.center + " " + request.key.reveal()) }
                if let failure { throw failure }
                var probe = SetupProbe(userId: "u1", user: "echo@x")
                var guild = SetupProbe.Guild(nodeId: "g1", endpoint: "http://g1")
                guild.channels = [.init(id: "c1", name: "general", type: "general")]
                if request.opensSockets {
                    guild.socket = .init()
                    guild.socket?.joined = "general"
                    guild.socket?.trouble = socketTrouble
                }
                probe.guilds = [guild]
                return probe
            },
            clockAhead: { _, _ in ahead },
            askGateway: { [self] _, request in
                asked.withLock { $0.append(request) }
                return gateway?(request) ?? .noGateway
            })
    }

    static func failure(_ kind: FabricError.Kind) -> FabricError {
        FabricError(kind: kind, operation: "logging in", place: "Center", serverWords: "its words", remedy: "Mend it.")
    }
}

@Suite struct BindTests {
    let center = "http://localhost:7001/api"

    @Test func bindsOnAnEmptyMachine() async throws {
        let bench = try Bench()
        let code = await Binder(world: bench.world(input: key), file: bench.file).bind(
            .init(agentId: "echo", center: center))
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
        let again = await Binder(world: bench.world(variable: key), file: bench.file).bind(
            .init(agentId: "echo", center: nil))
        #expect(again == 0 && IdentityFile.read(bench.identities).entries.count == 1)
        #expect(bench.output.contains("Replaced echo") && bench.output.contains("gateway run"))
        #expect(Binder(world: bench.world(), file: bench.file).unbind(agentId: "echo") == 0)
        #expect(Binder(world: bench.world(), file: bench.file).unbind(agentId: "echo") == 1)
        #expect(!bench.output.contains("SECRET"))
    }

    @Test func aPersonIsAsked() async throws {
        let bench = try Bench()
        let world = bench.world(answers: [center, "echo", key])
        #expect(await Binder(world: world, file: bench.file).bind(.init(agentId: nil, center: nil)) == 0)
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
            #expect(
                await Binder(world: world, file: bench.file).bind(.init(agentId: "echo", center: center)) == expected)
            #expect(bench.names.isEmpty && bench.output.contains("Nothing was written"))
            #expect(bench.output.contains("its words") && !bench.output.contains("SECRET"))
        }
    }

    @Test func wrongCommands() async throws {
        let bench = try Bench()
        func bind(_ input: String?, _ agent: String?, _ center: String?) async -> Int32 {
            await Binder(world: bench.world(input: input), file: bench.file).bind(.init(agentId: agent, center: center))
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

    @Test func aRunningGatewayIsTold() async throws {
        let bench = try Bench()
        let running = bench.world(input: key) { _ in .result([:]) }
        #expect(await Binder(world: running, file: bench.file).bind(.init(agentId: "echo", center: center)) == 0)
        #expect(bench.asked.withLock { $0 } == [["command": "reload"]])
        #expect(bench.output.contains("The running gateway has taken it up"))
        #expect(Binder(world: running, file: bench.file).unbind(agentId: "echo", reloads: false) == 0)
        #expect(bench.asked.withLock { $0.count } == 1 && bench.output.contains("gateway reload --config"))
        let refusing = bench.world(input: key) { _ in .failed("it said no") }
        #expect(await Binder(world: refusing, file: bench.file).bind(.init(agentId: "echo", center: nil)) == 0)
        #expect(bench.output.contains("could not take it up: it said no"))
    }

    @Test func theConfigurationIsNeverRewritten() async throws {
        let bench = try Bench()
        let text = "{ /* mine */ \"channels\":{\"fabric\":{\"accounts\":{\"echo\":{\"fabricApiKey\":\"\(key)2\"}}}}}"
        try bench.write(text)
        let code = await Binder(world: bench.world(input: key), file: bench.file).bind(
            .init(agentId: "echo", center: center))
        let now = try String(contentsOfFile: bench.file, encoding: .utf8)
        #expect(code == 0 && now == text)
        #expect(bench.output.contains("centerApiBase") && bench.output.contains("two keys for one account"))
        #expect(!bench.output.contains("SECRET"))
    }
}

@Suite struct InspectTests {
    @Test func beforeAnythingIsConfigured() async throws {
        let bench = try Bench()
        #expect(await Inspector(world: bench.world(), file: bench.file).run(json: true, probe: true) == 2)
        let tree = try JSONValue(parsing: bench.output)
        #expect(tree["configured"] == false && tree["accounts"] == [] && tree["channel"] == "fabric")
        #expect(tree["errors"]?.array?.first?["problem"] == "there is no configuration")
        #expect(Binder(world: bench.world(), file: bench.file).unbind(agentId: "echo") == 2)
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
        let found = try JSONDecoder().decode(SetupInspection.self, from: Data(bench.output.utf8))
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
        #expect(probe?["login"] == "ok" && probe?["user"] == "echo@x")
        let guild = probe?["guilds"]?.array?.first
        #expect(guild?["channels"] == [["id": "c1", "name": "general", "xType": "general"]])
        #expect(guild?["socket"] == ["works": true, "joined": "general", "acknowledged": false])
        let deaf = bench.world(socketTrouble: .init("closed", remedy: "Open it"))
        #expect(await Inspector(world: deaf, file: bench.file).run(json: false, probe: true) == 1)
        #expect(bench.output.contains("guild g1, socket: failed: closed") && bench.output.contains("Open it"))
        let failing = bench.world(failure: Bench.failure(.refused(status: 401)))
        #expect(await Inspector(world: failing, file: bench.file).run(json: false, probe: true) == 1)
        #expect(bench.output.contains("login: failed: ") && !bench.output.contains("SECRET"))
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
