import FabricSimulator
import Foundation

/// What the demo plays on: the simulator in this process, the gateway in another.
final class Stage {
    private let sim: FabricSimulator
    private let directory: String
    private let bin: String
    private let keep: Bool
    private let agent: SimulatedUser
    private let human: SimulatedUser
    private let channel: SimulatedChannel
    private var gateway: Process?
    private var number = 0
    private var asked: [String: Int64] = [:]
    private let patience = Duration.seconds(30)
    private let leftovers: Leftovers
    private let signals: [any DispatchSourceSignal]

    init(bin: String, keep: Bool) async throws {
        self.bin = bin
        self.keep = keep
        directory = NSTemporaryDirectory() + "fabric-demo-\(UUID().uuidString.prefix(8).lowercased())"
        let leftovers = Leftovers(directory: keep ? nil : directory)
        self.leftovers = leftovers
        signals = leftovers.watchSignals()
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        sim = try await FabricSimulator.start(.init(guilds: ["sim-guild-1"]))
        agent = try await sim.createUser(name: "echo")
        human = try await sim.createUser(name: "human")
        channel = try await sim.createChannel(name: "general", members: [agent.id, human.id])
        say("fabric-demo: Center \(sim.centerBase), guild \(sim.endpoints["sim-guild-1"] ?? ""), state \(directory)")
    }

    /// A line at once: to a pipe the standard library would write only at the end.
    private func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

    // MARK: Steps

    func step(_ title: String, _ body: () async throws -> String) async throws {
        number += 1
        say("\(number). \(title) …")
        do {
            let outcome = try await body()
            say("   ok: \(outcome)")
        } catch {
            throw DemoFailure(step: "\(number). \(title)", reason: "\(error)")
        }
    }

    func close() async throws {
        await sim.stop()
        if keep {
            say("fabric-demo: done; kept \(directory)")
        } else {
            try FileManager.default.removeItem(atPath: directory)
            say("fabric-demo: done, every step passed")
        }
    }

    func fail(_ error: any Error) async {
        leftovers.waitIfEnding()
        FileHandle.standardError.write(Data("fabric-demo: failed: \(error)\n".utf8))
        if let gateway, gateway.isRunning {
            kill(gateway.processIdentifier, SIGKILL)
            gateway.waitUntilExit()
            leftovers.ended(gateway)
        }
        if let log = try? String(contentsOfFile: logPath, encoding: .utf8) {
            let tail = log.split(separator: "\n").suffix(30).joined(separator: "\n")
            FileHandle.standardError.write(
                Data("the gateway's last words (kept in \(directory)):\n\(tail)\n".utf8))
        }
        await sim.stop()
    }

    private var logPath: String { directory + "/gateway.log" }
    private var configurationPath: String { directory + "/gateway.json" }

    // MARK: The gateway

    func startGateway() async throws {
        let configuration = """
            {
              // Written by the demo.
              "stateDirectory": "./state",
              "plugins": { "fabric": { "manifest": "./plugin.json", "enabled": true } },
              "channels": {
                "fabric": {
                  "centerApiBase": "\(sim.centerBase)",
                  "accounts": { "echo": { "fabricApiKey": { "env": "ECHO_API_KEY" } } }
                }
              },
              "agents": { "echo": { "builtin": "echo" } }
            }
            """
        let manifest = """
            {
              "id": "fabric", "name": "Fabric channel", "version": "0.0.0-demo", "kind": "channel", "abiVersion": 1,
              "module": "\(bin)/libFabricModule.so", "channels": ["fabric"]
            }
            """
        try Data(configuration.utf8).write(to: URL(fileURLWithPath: configurationPath))
        try Data(manifest.utf8).write(to: URL(fileURLWithPath: directory + "/plugin.json"))
        _ = FileManager.default.createFile(atPath: logPath, contents: nil)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: bin + "/gateway")
        process.arguments = ["run", "--config", configurationPath]
        process.environment = ProcessInfo.processInfo.environment.merging(["ECHO_API_KEY": agent.apiKey]) { $1 }
        let log = try FileHandle(forWritingTo: URL(fileURLWithPath: logPath))
        process.standardOutput = log
        process.standardError = log
        process.standardInput = FileHandle.nullDevice
        try leftovers.start(process)
        gateway = process
        try await sim.waitForSockets(user: agent.id, joined: channel.id, timeout: patience)
    }

    func stopGateway() async throws {
        try await command(["stop"])
        gateway?.waitUntilExit()
        if let gateway { leftovers.ended(gateway) }
        guard gateway?.terminationStatus == 0 else {
            throw DemoFailure(step: "stop", reason: "the gateway's exit status is \(gateway?.terminationStatus ?? -1)")
        }
    }

    /// Runs a command of the gateway's and returns what it printed.
    @discardableResult
    private func command(_ arguments: [String]) async throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: bin + "/gateway")
        process.arguments = arguments + ["--config", configurationPath]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try leftovers.start(process)
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        leftovers.ended(process)
        guard process.terminationStatus == 0 else {
            throw DemoFailure(step: arguments.joined(separator: " "), reason: output)
        }
        return output
    }

    // MARK: The conversation

    @discardableResult
    private func post(_ text: String, attachments: [SimulatedAttachment] = []) async throws -> SimulatedMessage {
        let message = try await sim.post(as: human.id, in: channel.id, content: text, attachments: attachments)
        asked[text] = message.seq
        return message
    }

    private func answer(to text: String) async throws -> SimulatedMessage {
        let agent = agent.id
        return try await sim.waitForMessage(in: channel.id, timeout: patience) {
            $0.author == agent && $0.content == "echo: \(text)"
        }
    }

    func ask(_ text: String) async throws -> SimulatedMessage {
        try await post(text)
        return try await answer(to: text)
    }

    func exchangeFile() async throws -> String {
        let sent = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        let file = await sim.putFile(name: "numbers.bin", mediaType: "application/octet-stream", bytes: sent)
        try await post("here is a file", attachments: [file.attachment])
        let reply = try await answer(to: "here is a file")
        guard let returned = reply.attachments.first else {
            throw DemoFailure(step: "file", reason: "the answer has no file")
        }
        let uploads = await sim.files(guild: "sim-guild-1")
        guard let upload = uploads.first(where: { $0.url == returned.url }),
            let content = await sim.content(of: upload), content == sent
        else { throw DemoFailure(step: "file", reason: "the file that came back is not the one that was sent") }
        return "\(sent.count) bytes to the agent and back, byte for byte"
    }

    func useTool() async throws -> String {
        let output = try await command([
            "tool", "create-report-channel", "--account", "echo", "--json",
            #"{"name":"findings","firstMessage":"nothing so far"}"#,
        ])
        let result = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any]
        guard let id = result?["channelId"] as? String, let made = await sim.channel(id),
            let first = await sim.history(id).first, first.author == agent.id
        else { throw DemoFailure(step: "tool", reason: "the guild does not have what the tool says: \(output)") }
        return "#\(made.name), with \"\(first.content)\" in it"
    }

    func expireEverything() async throws -> Int {
        let old = Set(await sim.sockets(guild: "sim-guild-1").compactMap(\.sid))
        await sim.expireTokens()
        await sim.dropSockets(guild: "sim-guild-1")
        try await sim.waitForSockets(user: agent.id, joined: channel.id, excluding: old, timeout: patience)
        return await sim.counters.connects["sim-guild-1"] ?? 0
    }

    func restartGuild(posting text: String) async throws -> SimulatedMessage {
        try await sim.stopGuild("sim-guild-1")
        try await post(text)
        try await sim.startGuild("sim-guild-1")
        return try await answer(to: text)
    }

    func reloadModule(while messages: Int) async throws -> String {
        for number in 1...messages {
            try await post("message \(number)")
            if number == messages / 2 { try await command(["reload", "--module"]) }
        }
        for number in 1...messages { _ = try await answer(to: "message \(number)") }
        return "\(messages) messages, a reload in their middle, \(messages) answers"
    }

    func checkAnswers() async throws -> String {
        let history = await sim.history(channel.id)
        let answers = history.filter { $0.author == agent.id }.map(\.content)
        for text in asked.keys {
            let count = answers.filter { $0 == "echo: \(text)" }.count
            guard count == 1 else {
                throw DemoFailure(step: "answers", reason: "\"\(text)\" was answered \(count) times")
            }
        }
        guard answers.count == asked.count else {
            throw DemoFailure(step: "answers", reason: "\(asked.count) questions, \(answers.count) answers")
        }
        return "\(asked.count) questions, \(answers.count) answers"
    }
}

struct DemoFailure: Error, CustomStringConvertible {
    var step: String
    var reason: String
    var description: String { "\(step): \(reason)" }
}
