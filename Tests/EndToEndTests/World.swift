import FabricChannel
import FabricSimulator
import Foundation
import JSONBytes

/// A simulator, an instance of the plugin and a gateway in one process: what most tests play on.
final class World: Sendable {
    static let guild = "sim-guild-1"

    let sim: FabricSimulator
    let gateway = TestGateway()
    let log = LogMemory()
    let plugin: PluginInstance
    let directory: String

    init(_ configuration: FabricSimulator.Configuration = .init(guilds: [World.guild])) async throws {
        sim = try await FabricSimulator.start(configuration)
        directory = NSTemporaryDirectory() + "fabric-test-\(UUID().uuidString.lowercased())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        plugin = try PluginInstance(gateway: gateway, logger: log.logger, version: "test")
    }

    /// A second instance of the plugin beside the first, with the same gateway.
    func secondInstance() throws -> PluginInstance {
        try PluginInstance(gateway: gateway, logger: log.logger, version: "second")
    }

    func close() async {
        await Self.blocking { self.plugin.shutdown() }
        await sim.stop()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Runs something that waits on a thread of its own, as a gateway does.
    static func blocking(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { done in
            Thread.detachNewThread {
                body()
                done.resume()
            }
        }
    }

    // MARK: Requests

    typealias Handler =
        @Sendable (isolated PluginInstance, [UInt8], @escaping @Sendable (RequestResult) -> Void) -> Void

    func ask(_ instance: PluginInstance? = nil, _ handler: @escaping Handler, _ json: JSONValue) async -> (
        code: RequestResult.Code, json: JSONValue
    ) {
        let result = await withCheckedContinuation { done in
            (instance ?? self.plugin).request(handler, json.serialized) { done.resume(returning: $0) }
        }
        return (result.code, (try? JSONValue(parsing: result.json)) ?? .null)
    }

    /// Asks now, so that what is asked next comes behind it, as a gateway's calls do; the answer is waited for later.
    func asking(
        _ instance: PluginInstance? = nil, _ handler: @escaping Handler, _ json: JSONValue
    ) -> Task<(code: RequestResult.Code, json: JSONValue), Never> {
        let (results, end) = AsyncStream.makeStream(of: RequestResult.self)
        (instance ?? plugin).request(handler, json.serialized) { end.yield($0) }
        return Task {
            for await result in results { return (result.code, (try? JSONValue(parsing: result.json)) ?? .null) }
            return (.shutDown, .null)
        }
    }

    @discardableResult
    func configure(
        _ settings: [String: JSONValue], accounts: [String: String], capabilities: [JSONValue] = [],
        on instance: PluginInstance? = nil
    ) async throws -> JSONValue {
        var section = settings
        section["centerApiBase"] = section["centerApiBase"] ?? .string(sim.centerBase)
        section["accounts"] = .object(accounts.mapValues { ["fabricApiKey": .string($0)] })
        let request: JSONValue = [
            "channel": "fabric", "file": "gateway.json", "keyPath": "channels.fabric",
            "directory": .string(directory), "stateDirectory": .string(directory), "settings": .object(section),
            "capabilities": .array(capabilities),
        ]
        let (code, json) = await ask(instance, { $0.configure($1, completion: $2) }, request)
        guard code == .ok else { throw TestFailure("configure: \(String(decoding: json.serialized, as: UTF8.self))") }
        return json
    }

    func start(_ account: String, handover: JSONValue? = nil, on instance: PluginInstance? = nil) async throws {
        var request: [String: JSONValue] = ["accountId": .string(account)]
        request["handover"] = handover
        let (code, json) = await ask(instance, { $0.startAccount($1, completion: $2) }, .object(request))
        guard code == .ok else { throw TestFailure("start: \(String(decoding: json.serialized, as: UTF8.self))") }
    }

    @discardableResult
    func stop(
        _ account: String, drain: Double = 0, handover: Bool = false, on instance: PluginInstance? = nil
    ) async throws -> JSONValue {
        let (code, json) = await ask(
            instance, { $0.stopAccount($1, completion: $2) },
            ["accountId": .string(account), "drainSeconds": .double(drain), "handover": .bool(handover)])
        guard code == .ok else { throw TestFailure("stop: \(String(decoding: json.serialized, as: UTF8.self))") }
        return json
    }

    func send(_ json: JSONValue, on instance: PluginInstance? = nil) async -> (RequestResult.Code, JSONValue) {
        await ask(instance, { $0.send($1, completion: $2) }, json)
    }

    func status(_ account: String? = nil) async throws -> [JSONValue] {
        let (code, json) = await ask(
            nil, { $0.status($1, completion: $2) }, account.map { ["accountId": .string($0)] } ?? [:])
        guard code == .ok else { throw TestFailure("status") }
        return json["accounts"]?.array ?? []
    }

    // MARK: Scenes

    struct Scene: Sendable {
        var agent: SimulatedUser
        var human: SimulatedUser
        var channel: SimulatedChannel
    }

    /// An agent and a human in a channel; the account is configured, started and ready.
    func scene(
        _ settings: [String: JSONValue] = [:], type: ChannelType = .general, capabilities: [JSONValue] = []
    ) async throws -> Scene {
        let agent = try await sim.createUser(name: "agent")
        let human = try await sim.createUser(name: "human")
        let room = try await sim.createChannel(
            guild: Self.guild, name: "room", type: type, members: [agent.id, human.id])
        try await configure(settings, accounts: ["agent": agent.apiKey], capabilities: capabilities)
        try await start("agent")
        try await ready("agent")
        return Scene(agent: agent, human: human, channel: room)
    }

    func ready(_ account: String) async throws {
        _ = try await gateway.wait(for: "\(account) to be ready") { gateway in
            gateway.statuses.last { $0["accountId"]?.string == account }.flatMap {
                $0["connected"]?.bool == true ? true : nil
            }
        }
    }

    /// Answers every wake delivery with `echo: <text>`, as the built-in agent does, and settles it.
    func echo(on instance: PluginInstance? = nil) {
        let target = instance ?? self.plugin
        gateway.onWake.withLock { hook in
            hook.call = { delivery in
                let reply: JSONValue = [
                    "account": .string(delivery.account), "to": .string(delivery.to),
                    "text": .string("echo: \(delivery.text)"), "delivery": .string(delivery.id),
                ]
                target.request({ $0.send($1, completion: $2) }, reply.serialized, completion: { _ in })
                target.settle(delivery.id, .finished)
            }
        }
    }
}

/// Runs `body` with a world and closes it, whatever happens.
func withWorld(
    _ configuration: FabricSimulator.Configuration = .init(guilds: [World.guild]),
    _ body: (World) async throws -> Void
) async throws {
    let world = try await World(configuration)
    do {
        try await body(world)
        await world.close()
    } catch {
        await world.close()
        throw error
    }
}
