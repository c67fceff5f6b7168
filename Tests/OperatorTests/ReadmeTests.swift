import FabricSimulator
import Foundation
import HTTPTransfer
import JSONBytes
import Testing

@Suite(.timeLimit(.minutes(5))) struct ReadmeTests {
    private static func text(_ path: String) throws -> String {
        try String(contentsOfFile: "\(package)/\(path)", encoding: .utf8)
    }

    /// The examples of the README are the ones that are compiled here.
    @Test func examplesAreTheCompiledOnes() throws {
        let readme = try Self.text("README.md")
        let parts = try ["Tests/OperatorTests/ReadmeExamples.swift", "Examples/SocketIO/Readme.swift"].flatMap {
            try Self.text($0).components(separatedBy: "// example ").dropFirst()
        }
        #expect(parts.count == 2)
        for part in parts {
            let body = part.components(separatedBy: "// end")[0].components(separatedBy: "\n").dropFirst()
                .joined(separator: "\n")
            #expect(readme.contains(body), "\(part.prefix(20))")
        }
    }

    /// And they do what they say; that of SocketIO runs in its own tests.
    @Test func examplesRun() async throws {
        let sim = try await FabricSimulator.start(.init(guilds: ["g"]))
        let user = try await sim.createUser(name: "ann")
        let endpoint = sim.endpoints["g"] ?? ""
        let file = await sim.putFile(name: "a.bin", bytes: [1, 2, 3])
        let transfer = try HTTPTransfer()
        defer { transfer.shutdown() }
        let login = try await transfer.perform(
            HTTPRequest(
                .post, "\(sim.centerBase)/auth/agent/login", headers: [HTTPHeader("Content-Type", "application/json")],
                body: Array(#"{"apiKey":"\#(user.apiKey)"}"#.utf8)))
        let session = try JSONValue(parsing: login.body)
        let token = try #require(session["guildAccessTokens"]?.array?.first?["token"]?.string)

        let path = NSTemporaryDirectory() + "readme-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let fetched = try await fetch(
            page: "\(endpoint)/api/channels?guildId=g", file: endpoint + file.url, to: path, token: token)
        #expect(fetched == (200, 3))
        await sim.stop()
    }

    /// Every key of the configuration stands in the README and in the plugin's schema.
    @Test func everyKeyIsExplained() throws {
        let readme = try Self.text("README.md")
        let schema = try JSONValue(parsing: Array(Self.text("plugin.json").utf8))["configSchema"]?["properties"]
        let keys = [
            "enabled", "centerApiBase", "commandsSyncKey", "identityFile", "coalesce", "channelSyncSeconds",
            "sessionSeconds", "connectsAtOnce", "loginsPerSecond", "turnTimeoutSeconds", "redeliveries", "agentTalk",
            "presence", "guestPatienceSeconds",
            "certificateAuthorityFile",
            "catchUp",
            "attachments", "accounts", "store",
        ]
        guard case .object(let properties)? = schema else { throw Failure("plugin.json has no schema") }
        #expect(Set(properties.keys) == Set(keys))
        for key in keys { #expect(readme.contains("`\(key)"), "\(key)") }
        func explain(_ outer: String, _ value: JSONValue) {
            guard case .object(let inner)? = value["properties"] else { return }
            for (key, value) in inner {
                #expect(readme.contains("`\(key)`"), "\(outer).\(key)")
                explain("\(outer).\(key)", value)
            }
        }
        for (outer, value) in properties { explain(outer, value) }
        for key in ["stateDirectory", "plugins", "channels", "agents", "bindings", "maximumCommands"] {
            #expect(readme.contains("`\(key)`"), "\(key)")
        }
    }

    /// The configuration shown is one that a gateway takes.
    @Test func theConfigurationIsRight() async throws {
        let section = try Self.text("README.md").components(separatedBy: "## Configuration").last ?? ""
        let block = section.components(separatedBy: "```json\n").dropFirst().first?.components(separatedBy: "```").first
        let desk = try Desk()
        try desk.write(try #require(block), to: "gateway.json")
        let inspect = try await desk.run("fabric-setup", ["inspect", "--json"], environment: ["ECHO_API_KEY": "fak_x"])
        #expect(inspect.code == 0 && inspect.json["configured"] == true, "\(inspect.all)")
        let doctor = try await desk.run("fabric-setup", ["doctor", "--json", "--offline"])
        #expect(doctor.json["findings"]?.array?.first?["what"] == "a gateway takes this file", "\(doctor.all)")
    }

    /// Every command of the setup script stands in the README.
    @Test func everyCommandIsNamed() async throws {
        let readme = try Self.text("README.md")
        let help = try await RunningCommand("\(package)/setup", ["help"]).ended()
        #expect(help.code == 0)
        for line in help.output.split(separator: "\n") where line.hasPrefix("  ") && !line.hasPrefix("   ") {
            let command = line.split(separator: " ").first.map(String.init) ?? ""
            #expect(readme.contains("./setup \(command)"), "\(command)")
        }
        #expect(try await RunningCommand("\(package)/setup", ["nothing-like-this"]).ended().code == 2)
    }
}
