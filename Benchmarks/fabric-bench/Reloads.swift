import ArgumentParser
import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes

/// What a module reload keeps in memory and how long it takes, in a gateway process of its own with agents at work: first
/// of the same build over and over, then of another build each time. A fixed aim stands in for a reference.
struct Reloads: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Memory kept and time taken by module reloads.")

    @Option(help: "Reloads of each kind.")
    var reloads = 100
    @Option(help: "Agents, one connection each.")
    var agents = 20

    func run() throws {
        let scene = try waitFor { [agents] in try await ReloadScene(agents: agents) }
        defer { scene.close() }
        try scene.start()
        // The first pay for what is there once: the pools' threads, caches, the heap.
        for _ in 0..<10 { _ = try scene.reload() }
        let same = try measure(scene) {}
        let fresh = try measure(scene) { try scene.installAnotherBuild() }
        report([
            ("bench", text("reloads")), ("reloads", "\(reloads)"), ("agents", "\(agents)"),
            ("kilobytes_same_build", rounded(same.kilobytes, 1)),
            ("milliseconds_same_build", rounded(same.milliseconds, 1)),
            ("kilobytes_new_build", rounded(fresh.kilobytes, 1)),
            ("milliseconds_new_build", rounded(fresh.milliseconds, 1)),
            ("descriptors_more", "\(fresh.descriptors)"), ("threads_more", "\(fresh.threads)"),
            ("aim_kilobytes", "64"), ("ratio_same_build", rounded(same.kilobytes / 64, 2)),
            ("ratio_new_build", rounded(fresh.kilobytes / 64, 2)),
        ])
    }

    private func measure(
        _ scene: ReloadScene, before each: () throws -> Void
    ) throws -> (kilobytes: Double, milliseconds: Double, descriptors: Int, threads: Int) {
        let before = try scene.footprint()
        var times: [Double] = []
        for _ in 0..<reloads {
            try each()
            times.append(try scene.reload())
        }
        let after = try scene.footprint()
        return (
            (after.kilobytes - before.kilobytes) / Double(reloads), times.sorted()[times.count / 2],
            after.descriptors - before.descriptors, after.threads - before.threads
        )
    }
}

/// A simulator in this process and a gateway in another.
final class ReloadScene: Sendable {
    let sim: FabricSimulator
    /// The keys of the agents, and the channel of each.
    let keys: [String]
    let rooms: [String]
    /// Somebody who is in all channels, if asked for.
    let person: String?
    private let directory: String
    private let gateway: Box<Process?> = Box(nil)
    private let agents: [String]
    private let builds = Box(0)
    private var module: String { directory + "/libFabricModule.so" }

    var center: String { sim.centerBase }
    var gatewayProcess: Int32 { gateway.value.withLock { $0?.processIdentifier ?? 0 } }

    init(agents count: Int, withPerson: Bool = false) async throws {
        sim = try await FabricSimulator.start(.init(guilds: ["g"]))
        directory = NSTemporaryDirectory() + "fabric-bench-\(getpid())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        var accounts: [String: JSONValue] = [:]
        var answering: [String: JSONValue] = [:]
        var ids: [String] = []
        var keys: [String] = []
        var rooms: [String] = []
        let person = withPerson ? try await sim.createUser(name: "person").id : nil
        for number in 0..<count {
            let user = try await sim.createUser(name: "agent-\(number)")
            let members = [user.id] + (person.map { [$0] } ?? [])
            rooms.append(try await sim.createChannel(name: "room-\(number)", members: members).id)
            keys.append(user.apiKey)
            accounts[user.name] = ["fabricApiKey": .string(user.apiKey)]
            answering[user.name] = ["builtin": "echo"]
            ids.append(user.id)
        }
        agents = ids
        self.keys = keys
        self.rooms = rooms
        self.person = person
        let configuration: JSONValue = [
            "stateDirectory": "./state", "plugins": ["fabric": ["manifest": "./plugin.json"]],
            "channels": ["fabric": ["centerApiBase": .string(sim.centerBase), "accounts": .object(accounts)]],
            "agents": .object(answering),
        ]
        let manifest: JSONValue = [
            "id": "fabric", "name": "Fabric channel", "version": "0.0.0", "kind": "channel", "abiVersion": 1,
            "module": "./libFabricModule.so", "channels": ["fabric"],
        ]
        try Data(configuration.serialized).write(to: URL(fileURLWithPath: directory + "/gateway.json"))
        try Data(manifest.serialized).write(to: URL(fileURLWithPath: directory + "/plugin.json"))
        try FileManager.default.copyItem(atPath: ModuleHost.beside, toPath: module)
    }

    func start() throws {
        let process = Process()
        let program = URL(fileURLWithPath: ModuleHost.beside).deletingLastPathComponent().path + "/gateway"
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["run", "--log-level", "error", "--config", directory + "/gateway.json"]
        process.standardError = FileHandle.nullDevice
        try process.run()
        gateway.value.withLock { $0 = process }
        try waitFor { [self] in try await connected(excluding: []) }
    }

    func close() {
        if let process = gateway.value.withLock({ $0 }) {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        try? waitFor { [sim] in await sim.stop() }
        try? FileManager.default.removeItem(atPath: directory)
    }

    private func connected(excluding old: Set<String>) async throws {
        for agent in agents {
            try await sim.waitForSockets(user: agent, excluding: old, timeout: .seconds(60))
        }
    }

    /// Reloads the module and waits until every agent is there again. Returns the milliseconds.
    func reload() throws -> Double {
        let old = try waitFor { [sim] in Set(await sim.sockets().compactMap(\.sid)) }
        let start = ContinuousClock.now
        _ = try ControlClient.ask(
            ["command": "reload", "module": true], stateDirectory: directory + "/state", within: .seconds(60))
        try waitFor { [self] in try await connected(excluding: old) }
        return (ContinuousClock.now - start) / .milliseconds(1)
    }

    /// Installs a copy with another version in its 32-byte field, by renaming.
    func installAnotherBuild() throws {
        let number = builds.value.withLock { number in
            number += 1
            return number
        }
        var bytes = try Data(contentsOf: URL(fileURLWithPath: ModuleHost.beside))
        let old = Data("0.1.0".utf8) + Data(count: 27)
        let version = "1.0.\(number)"
        guard let place = bytes.range(of: old) else { throw ValidationError("the module shows no version 0.1.0") }
        bytes.replaceSubrange(place, with: Data(version.utf8) + Data(count: 32 - version.utf8.count))
        try bytes.write(to: URL(fileURLWithPath: module), options: .atomic)
    }

    /// Anonymous memory (heap, and pages of libraries that were written to), open files and threads of the gateway.
    func footprint() throws -> (kilobytes: Double, descriptors: Int, threads: Int) {
        let pid = gatewayProcess
        let rollup = try String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)
        let line = rollup.split(separator: "\n").first { $0.hasPrefix("Anonymous:") }
        let kilobytes = line?.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0
        let files = FileManager.default
        return (
            kilobytes, try files.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count,
            try files.contentsOfDirectory(atPath: "/proc/\(pid)/task").count
        )
    }
}
