import FabricChannel
import FabricSimulator
import Foundation
import JSONBytes
import Testing

/// What is kept of an account goes when it is unbound, and only then.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct UnboundTests {
    @Test func aMissingIdentityFileUnbindsNobody() async throws {
        try await withWorld { world in
            let agent = try await world.sim.createUser(name: "agent")
            let human = try await world.sim.createUser(name: "human")
            let room = try await world.sim.createChannel(name: "room", members: [agent.id, human.id])
            let path = world.directory + "/fabric-identity.json"
            let bound = #"{"entries":[{"agentId":"agent","fabricApiKey":"\#(agent.apiKey)"}]}"#
            func post(_ text: String) async throws {
                try await world.sim.post(as: human.id, in: room.id, content: text)
            }
            /// A process that knows of this identity file, and what it does.
            func run(_ identities: String?, _ body: (PluginRun) async throws -> Void) async throws {
                try? FileManager.default.removeItem(atPath: path)
                try identities?.write(toFile: path, atomically: true, encoding: .utf8)
                // What is remembered of the identity file is another process's, which this one is not.
                let memory = URL(fileURLWithPath: world.directory + "/identities.json")
                if let bytes = try? Data(contentsOf: memory),
                    case .object(var known)? = try? JSONValue(parsing: Array(bytes))
                {
                    known["process"] = "another"
                    try Data(JSONValue.object(known).serialized).write(to: memory)
                }
                let instance = try world.secondInstance()
                world.gateway.onWake.withLock { hook in hook.call = { instance.settle($0.id, .finished) } }
                try await world.configure([:], accounts: [:], on: instance)
                try await body(PluginRun(world: world, instance: instance))
                await World.blocking { instance.shutdown() }
            }

            try await run(bound) { plugin in
                try await plugin.start()
                try await post("one")
                _ = try await world.gateway.delivery("the first") { $0.text == "one" }
                try await world.stop("agent", on: plugin.instance)
            }
            try await post("while away")
            // The file is away for a moment: its accounts are not unbound by that.
            try await run(nil) { _ in }
            #expect(!world.log.text.contains("was unbound"))
            try await run(bound) { plugin in
                try await plugin.start()
                _ = try await world.gateway.delivery("what was missed") { $0.text == "while away" && $0.caughtUp }
                try await world.stop("agent", on: plugin.instance)
            }
            // It is there, and the account is not in it any more.
            try await post("nobody hears this")
            try await run(#"{"entries":[]}"#) { _ in
                let log = world.log
                let end = ContinuousClock.now.advanced(by: .seconds(60))
                while !log.text.contains("the account was unbound"), ContinuousClock.now < end {
                    try await Task.sleep(for: .milliseconds(10))
                }
                #expect(log.text.contains("the account was unbound: what was kept of it is removed"))
            }
            try await run(bound) { plugin in
                try await plugin.start()
                try await post("anew")
                _ = try await world.gateway.delivery("what comes after") { $0.text == "anew" }
                #expect(!world.gateway.deliveries.contains { $0.text == "nobody hears this" })
                try await world.stop("agent", on: plugin.instance)
            }
        }
    }

    private struct PluginRun {
        let world: World
        let instance: PluginInstance

        /// Starts the account and waits until it hears.
        func start() async throws {
            let before = world.gateway.statuses.count
            try await world.start("agent", on: instance)
            _ = try await world.gateway.wait(for: "the account to be ready") { gateway in
                gateway.statuses.dropFirst(before).contains { $0["connected"]?.bool == true } ? true : nil
            }
        }
    }
}
