import FabricAPI
import FabricAccounts
import Foundation
import GatewayControl
import JSONBytes
import Locking
import Settings
import Testing

@testable import FabricSetup

/// Slips of an operator: recognised, named, with what mends them.
@Suite struct MistakeTests {
    let center = "http://localhost:7001/api"

    @Test(arguments: [
        ("localhost:7001/api", "Write http://localhost:7001/api"), ("//h/api", "Write http://h/api"),
        ("http:/h", "http://host:port/path"), ("ftp://h/api", "http://host:port/path"),
        ("http://user:pw@h/api", "without user name"),
    ])
    func anAddressWithoutAScheme(_ address: String, _ remedy: String) async throws {
        let bench = try Bench()
        let code = await Binder(world: bench.world(input: key), file: bench.file).bind(
            .init(agentId: "echo", center: address))
        #expect(code == 2 && bench.output.contains(remedy) && bench.names.isEmpty, "\(bench.output)")
        #expect(bench.logins.withLock { $0.isEmpty })
    }

    /// Center is looked for before anybody is asked for a key.
    @Test func anUnreachableCenterIsSaidBeforeTheKeyIsAskedFor() async throws {
        let bench = try Bench()
        var world = bench.world()
        world.greet = { _, _ in throw Bench.failure(.rejected(status: 404, code: nil)) }
        world.isTerminal = true
        let asked = Locked<[String]>([])
        world.ask = { question, _ in
            asked.withLock { $0.append(question) }
            return nil
        }
        #expect(
            await Binder(world: world, file: bench.file).bind(.init(agentId: "echo", center: "http://h")) == 3)
        #expect(asked.withLock { $0.isEmpty } && bench.output.contains("Mend it."))
    }

    @Test func aPersonIsAskedAgain() async throws {
        let bench = try Bench()
        var world = bench.world(
            answers: ["localhost:7001/api", "http://wrong/api", center, "a/b", "echo", "fak_wrongwrongwrong", key])
        let base = center
        world.greet = { address, _ in
            if address != base { throw Bench.failure(.passing(status: nil, retryAfter: nil)) }
        }
        let good = world.login
        world.login = { base, authorities, given in
            if given.reveal() != key { throw Bench.failure(.refused(status: 401)) }
            return try await good(base, authorities, given)
        }
        #expect(await Binder(world: world, file: bench.file).bind(.init()) == 0, "\(bench.output)")
        #expect(IdentityFile.read(bench.identities).entries.map(\.agentId) == ["echo"])
        #expect(bench.output.contains("no scheme") && bench.output.contains("contains a slash"))
        #expect(try FabricConfiguration.read(gatewayFile: bench.file).centerApiBase == center)
        // But not for ever, and not when nobody answers.
        let silent = try Bench()
        #expect(await Binder(world: silent.world(answers: []), file: silent.file).bind(.init()) == 2)
        let wrong = try Bench()
        let answers = [String](repeating: "nonsense", count: 20)
        #expect(await Binder(world: wrong.world(answers: answers), file: wrong.file).bind(.init()) == 2)
        #expect(wrong.names.isEmpty)
    }

    @Test func oneKeyForTwoAccountsIsRefused() async throws {
        let bench = try Bench()
        let binder = Binder(world: bench.world(input: key), file: bench.file)
        #expect(await binder.bind(.init(agentId: "echo", center: center)) == 0)
        #expect(await binder.bind(.init(agentId: "it's me")) == 2)
        #expect(bench.output.contains("setup unbind --agent-id echo"))
        #expect(IdentityFile.read(bench.identities).entries.count == 1)
        #expect(Binder(world: bench.world(), file: bench.file).unbind(agentId: "echo") == 0)
        #expect(await binder.bind(.init(agentId: "it's me")) == 0)
        #expect(bench.output.contains(#"setup bind --agent-id 'it'\''s me' --echo"#), "\(bench.output)")
    }

    /// The agent is added where people's comments stay, once, and without asking for the key again.
    @Test func anAgentIsAddedForAnAccount() async throws {
        let bench = try Bench()
        let text = """
            // mine
            { "channels": { "fabric": { "centerApiBase": "\(center)" } }, /* yours */
              "agents": {
                "other": { "builtin": "echo" } // last
              } }
            """
        try bench.write(text)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: bench.file)
        let binder = Binder(world: bench.world(input: key), file: bench.file)
        #expect(await binder.bind(.init(agentId: "echo")) == 0)
        #expect(bench.output.contains("nobody answers for the account echo") && bench.output.contains("--echo"))
        let mute = Binder(world: bench.world(), file: bench.file)
        #expect(await mute.bind(.init(agentId: "echo", agent: .command(["/bin/cat", "-"]))) == 0, "\(bench.output)")
        let now = try String(contentsOfFile: bench.file, encoding: .utf8)
        let added = #"    "echo": {"command":["/bin/cat","-"]},"#
        #expect(now == text.replacingOccurrences(of: "\"agents\": {\n", with: "\"agents\": {\n\(added)\n"), "\(now)")
        #expect(
            try FileManager.default.attributesOfItem(atPath: bench.file)[.posixPermissions] as? Int == 0o644)
        #expect(await mute.bind(.init(agentId: "echo", agent: .echo)) == 0)
        #expect(
            try String(contentsOfFile: bench.file, encoding: .utf8) == now && bench.output.contains("left as it is"))
        #expect(AgentChecks(file: bench.file).unanswered(["echo"]).isEmpty && !bench.output.contains("SECRET"))
    }

    /// A gateway refuses every reload while an agent's command cannot be run, so none such is written.
    @Test func aCommandThatIsNotThereIsNotWritten() async throws {
        let bench = try Bench()
        let plain = bench.path + "/plain.sh"
        try bench.write("#!/bin/sh\n", to: plain)
        let binder = Binder(world: bench.world(input: key), file: bench.file)
        for (command, words) in [
            ("/nowhere/prog", "does not exist"), ("surely-no-such-program", "does not exist"), (plain, "chmod +x"),
        ] {
            #expect(await binder.bind(.init(agentId: "echo", center: center, agent: .command([command]))) == 2)
            #expect(bench.output.contains(words) && bench.names == ["plain.sh"], "\(bench.output)")
        }
        #expect(bench.logins.withLock { $0.isEmpty }, "before anybody is asked for a key")
    }

    @Test func authoritiesOfOnesOwn() async throws {
        let bench = try Bench()
        let binder = Binder(world: bench.world(input: key), file: bench.file)
        let file = bench.path + "/ca.pem"
        try bench.write("garbage", to: file)
        #expect(await binder.bind(.init(agentId: "echo", center: center, authorities: file)) == 2)
        #expect(bench.output.contains("there is no certificate in it") && bench.names == ["ca.pem"])
        let bytes: [UInt8] = [0x30, 0x82, 0x01, 0x2C] + [UInt8](repeating: 1, count: 300)
        try bench.write(
            "-----BEGIN CERTIFICATE-----\n\(Data(bytes).base64EncodedString())\n-----END CERTIFICATE-----\n", to: file)
        #expect(await binder.bind(.init(agentId: "echo", center: center, authorities: file)) == 0, "\(bench.output)")
        #expect(try FabricConfiguration.read(gatewayFile: bench.file).certificateAuthorityFile == file)
        #expect(await binder.bind(.init(agentId: "echo", authorities: bench.path + "/other.pem")) == 2)
    }

    // MARK: inspect, doctor

    /// As many accounts as there are: none waits for another, and one that fails shows in the exit code.
    @Test func accountsAreProbedSideBySide() async throws {
        let bench = try Bench()
        let accounts = (1...20).map { "\"a\($0)\":{\"fabricApiKey\":\"k\($0)\"}" }.joined(separator: ",")
        try bench.write("{\"channels\":{\"fabric\":{\"centerApiBase\":\"http://c/api\",\"accounts\":{\(accounts)}}}}")
        let (arrivals, arrive) = AsyncStream.makeStream(of: Void.self)
        let (opening, open) = AsyncStream.makeStream(of: Void.self)
        var world = bench.world()
        let probe = world.probe
        world.probe = { request in
            arrive.yield()
            for await _ in opening {}
            if request.key.reveal() == "k7" { throw Bench.failure(.refused(status: 401)) }
            return try await probe(request)
        }
        let patient = world
        let running = Task { await Inspector(world: patient, file: bench.file).run(json: true, probe: true) }
        var count = 0
        for await _ in arrivals {
            count += 1
            if count == 20 { break }
        }
        open.finish()
        #expect(await running.value == 1)
        let rows = try JSONValue(parsing: bench.output)["accounts"]?.array ?? []
        #expect(rows.count == 20 && rows.count { $0["probe"]?["login"] == "ok" } == 19)
        let findings = await Doctor(world: bench.world(), file: bench.file).examine(offline: false)
        #expect(findings.count { $0.what == "Center accepts the key" } == 20)
    }

    @Test func anIdentityFileThatIsNamedAndMissingIsAnError() async throws {
        let bench = try Bench()
        try bench.write(
            "{\"channels\":{\"fabric\":{\"centerApiBase\":\"http://c/api\",\"identityFile\":\"./mine.json\"}}}")
        #expect(await Inspector(world: bench.world(), file: bench.file).run(json: false, probe: false) == 2)
        #expect(bench.output.contains("mine.json: the identity file does not exist"))
        let findings = await Doctor(world: bench.world(), file: bench.file).examine(offline: true)
        #expect(findings.contains { $0.level == .error && $0.what == "the identity file does not exist" })
    }

    @Test func noGatewayIsANote() async throws {
        let bench = try Bench()
        _ = await Binder(world: bench.world(input: key), file: bench.file).bind(.init(agentId: "echo", center: center))
        try FileManager.default.createDirectory(
            atPath: bench.path + "/state", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let findings = await Doctor(world: bench.world(), file: bench.file).examine(offline: true)
        let found = findings.first { $0.what == "no gateway runs on it" }
        #expect(found?.level == .note && found?.remedy == "`gateway run`")
    }

    @Test func theSummarySaysWhatItIsAbout() {
        let good = DoctorFinding(.good, "x", at: "g")
        let note = DoctorFinding(.note, "x", at: "./state")
        let bad = [
            DoctorFinding(.error, "x", at: "account a"), DoctorFinding(.error, "y", at: "account a"),
            DoctorFinding(.warning, "x", at: "./state"),
        ]
        #expect(Doctor.summary([good], .plain) == "All is well.")
        #expect(Doctor.summary([good, note], .plain) == "All is well. 1 note: ./state.")
        #expect(Doctor.summary(bad + [note], .plain) == "2 errors: account a. 1 warning: ./state.")
        let many = (1...9).map { DoctorFinding(.error, "x", at: "account \($0)") }
        #expect(Doctor.summary(many, .plain).hasSuffix("account 5 and 4 more."))
    }

    @Test func wordsForAShellAreQuoted() {
        #expect(ShellText.quote("./gateway.json") == "./gateway.json" && ShellText.quote("") == "''")
        #expect(ShellText.quote("/a b/$x") == "'/a b/$x'" && ShellText.quote("it's") == #"'it'\''s'"#)
    }
}
