import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes
import Locking

@testable import GatewayHost

/// A simulator in this process, gateways in others, and a folder for what they keep.
final class Stage: Sendable {
    static let guild = "sim-guild-1"
    let sim: FabricSimulator
    let directory: String
    private let children = Locked<[Child]>([])

    private init(_ configuration: FabricSimulator.Configuration) async throws {
        sim = try await FabricSimulator.start(configuration)
        directory = NSTemporaryDirectory() + "fabric-gw-\(UUID().uuidString.prefix(8).lowercased())"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    /// Runs `body` on a new stage; afterwards every process it started is gone, whatever happened.
    static func play(
        _ configuration: FabricSimulator.Configuration = .init(guilds: [Stage.guild]),
        _ body: (Stage) async throws -> Void
    ) async throws {
        let stage = try await Stage(configuration)
        do {
            try await body(stage)
            await stage.close()
        } catch {
            // What the gateway said last is what explains a failure.
            for child in stage.children.withLock({ $0 }) where child.errors.value.contains("gateway") {
                let tail = child.errors.value.split(separator: "\n").suffix(15).joined(separator: "\n")
                FileHandle.standardError.write(Data("process \(child.pid) said last:\n\(tail)\n".utf8))
            }
            await stage.close()
            throw error
        }
    }

    private func close() async {
        for child in children.withLock({ $0 }) { await child.destroy() }
        await sim.stop()
        try? FileManager.default.removeItem(atPath: directory)
    }

    // MARK: Files

    var configurationPath: String { directory + "/gateway.json" }
    var stateDirectory: String { directory + "/state" }
    /// The module as this stage's manifest names it, if the test installs one of its own.
    var installed: String { directory + "/libFabricModule.so" }

    @discardableResult
    func write(_ text: String, to name: String, mode: Int = 0o600) throws -> String {
        let path = directory + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    /// Writes manifest and configuration.
    func configure(
        accounts: [String: JSONValue], settings: [String: JSONValue] = [:], agents: JSONValue = [:],
        bindings: [JSONValue] = [], module: String = Products.module, state: String = "./state",
        to name: String = "gateway.json"
    ) throws {
        try write(
            """
            {"id":"fabric","name":"Fabric channel","version":"\(Products.version)","kind":"channel","abiVersion":1,
             "module":"\(module)","channels":["fabric"]}
            """, to: "plugin.json")
        var section = settings
        section["centerApiBase"] = section["centerApiBase"] ?? .string(sim.centerBase)
        section["accounts"] = .object(accounts)
        let file: JSONValue = [
            "stateDirectory": .string(state), "plugins": ["fabric": ["manifest": "./plugin.json"]],
            "channels": ["fabric": .object(section)], "agents": agents, "bindings": .array(bindings),
        ]
        try write(file.line, to: name)
    }

    /// Puts a module where the manifest of `configure(module: installed)` finds it, as an installer does: by renaming.
    func install(_ path: String) throws {
        let fresh = installed + ".new"
        try? FileManager.default.removeItem(atPath: fresh)
        try FileManager.default.copyItem(atPath: path, toPath: fresh)
        guard rename(fresh, installed) == 0 else { throw TestFailure("installing \(path)") }
    }

    // MARK: Processes

    /// Starts a process that ends with the stage.
    func spawn(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws -> Child {
        let child = try Child(program, arguments, environment: environment)
        children.withLock { $0.append(child) }
        return child
    }

    /// Starts a gateway and waits until it runs.
    /// - Parameter configuration: its file; the stage's own unless given.
    func startGateway(
        environment: [String: String] = [:], configuration: String? = nil, within limit: Duration = .seconds(60)
    ) async throws -> Child {
        let gateway = try spawn(
            Products.gateway, ["run", "--config", configuration ?? configurationPath], environment: environment)
        try await gateway.says("gateway runs", within: limit)
        return gateway
    }

    /// Runs a command of the `gateway` executable to its end.
    func command(_ arguments: String...) async throws -> (code: Int32, output: String, errors: String) {
        try await command(arguments, configuration: configurationPath)
    }

    func command(
        _ arguments: [String], configuration: String
    ) async throws -> (code: Int32, output: String, errors: String) {
        let child = try spawn(Products.gateway, arguments + ["--config", configuration])
        let code = try await child.end(within: .seconds(120))
        return (code, child.output.value, child.errors.value)
    }

    /// Asks over the control socket, as the executable's commands do.
    func ask(_ request: JSONValue) async throws -> JSONValue {
        let state = stateDirectory
        return try await blocking { try ControlClient.ask(request, stateDirectory: state, within: .seconds(120)) }
    }

    func reload(module: Bool = false) async throws -> JSONValue {
        try await ask(["command": "reload", "module": .bool(module)])
    }

    func status() async throws -> JSONValue { try await ask(["command": "status"]) }

    /// Version and load of the module in service.
    func plugin() async throws -> (version: String, generation: Int64) {
        let plugin = try await status()["plugins"]?.array?.first
        return (plugin?["version"]?.string ?? "", plugin?["generation"]?.int ?? 0)
    }

    /// Stops the gateway by the command. Returns how long that took and the gateway's exit code.
    func stop(_ gateway: Child) async throws -> (took: Duration, code: Int32) {
        let begun = ContinuousClock.now
        let answer = try await command("stop")
        guard answer.code == 0 else { throw TestFailure("gateway stop: \(answer.errors)") }
        let code = try await gateway.end()
        return (ContinuousClock.now - begun, code)
    }

    /// Every file below the state directory that a stop should not leave, by relative path. What is kept for the next run
    /// is none: the store, the names in the identity file, and the files of messages that are not sent.
    func leftovers() -> [String] {
        files().filter {
            $0 != "gateway.lock" && $0 != "identities.json" && $0 != "sharing.json" && !$0.hasPrefix("channel.db")
                && !$0.hasPrefix("outbox/")
        }
    }

    /// The files of messages that are not sent yet.
    func unsent() -> [String] { files().filter { $0.hasPrefix("outbox/") } }

    private func files() -> [String] {
        let all = FileManager.default.enumerator(atPath: stateDirectory)?.allObjects.compactMap { $0 as? String } ?? []
        // Empty folders are not what a stop leaves behind.
        return all.filter { name in
            var isDirectory: ObjCBool = false
            let exists = FileManager.default.fileExists(
                atPath: stateDirectory + "/" + name, isDirectory: &isDirectory)
            return exists && !isDirectory.boolValue
        }
    }
}
