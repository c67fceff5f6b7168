import FabricSimulator
import JSONBytes
import Testing

@testable import FabricChannel

/// At most so many accounts connect to a guild at once; the others wait, say so, and hold up nobody elsewhere.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ConnectGateTests {
    private static let other = "sim-guild-2"

    @Test func thoseThatWaitForTheirTurnSayItAndAGuildThatIsSilentHoldsUpNoOther() async throws {
        let world = try await World(.init(guilds: [World.guild, Self.other]))
        do {
            var keys: [String: String] = [:]
            var rooms: [(user: String, channel: String)] = []
            for name in ["a", "b", "c"] {
                let agent = try await world.sim.createUser(name: name)
                keys[name] = agent.apiKey
                for guild in [World.guild, Self.other] {
                    let room = try await world.sim.createChannel(guild: guild, name: name, members: [agent.id])
                    rooms.append((agent.id, room.id))
                }
            }
            await world.sim.faults.update { $0.blackhole = [World.guild] }
            try await world.configure(["connectsAtOnce": 1], accounts: keys)
            for name in keys.keys.sorted() { try await world.start(name) }
            for index in stride(from: 1, to: rooms.count, by: 2) {
                try await world.sim.waitForSockets(user: rooms[index].user, joined: rooms[index].channel)
            }

            let end = ContinuousClock.now.advanced(by: .seconds(60))
            var queued: [JSONValue] = []
            while queued.isEmpty, .now < end {
                queued = try await world.status().filter { $0["queued"]?.bool == true }
            }
            let row = try #require(queued.first, "nobody said that it waits")
            #expect(row["connected"]?.bool == false && row["running"]?.bool == true)
            #expect(row["reason"]?.string?.contains("waits for its turn to connect") == true, "\(row)")
            let guild = row["guilds"]?.array?.first { $0["nodeId"]?.string == World.guild }
            #expect(guild?["state"]?.string == "queued")

            await world.sim.faults.update { $0.blackhole = [] }
            for room in rooms { try await world.sim.waitForSockets(user: room.user, joined: room.channel) }
            for name in keys.keys { try await world.ready(name) }
            for row in try await world.status() { #expect(row["queued"]?.bool == false && row["reason"] == "") }
        } catch {
            await world.close()
            throw error
        }
        await world.close()
    }

    /// Who is stopped while it waits leaves its place to the next.
    @Test func whoIsStoppedWhileItWaitsIsForgotten() async throws {
        try await withWorld { world in
            var keys: [String: String] = [:]
            var rooms: [String: (user: String, channel: String)] = [:]
            for name in ["a", "b", "c"] {
                let agent = try await world.sim.createUser(name: name)
                keys[name] = agent.apiKey
                rooms[name] = (agent.id, try await world.sim.createChannel(name: name, members: [agent.id]).id)
            }
            await world.sim.faults.update { $0.blackhole = [World.guild] }
            try await world.configure(["connectsAtOnce": 1], accounts: keys)
            for name in keys.keys.sorted() { try await world.start(name) }
            let end = ContinuousClock.now.advanced(by: .seconds(60))
            var waiting: [String] = []
            while waiting.isEmpty, .now < end {
                waiting = try await world.status().filter { $0["queued"]?.bool == true }
                    .compactMap { $0["accountId"]?.string }
            }
            let stopped = try #require(waiting.first)
            try await world.stop(stopped)
            await world.sim.faults.update { $0.blackhole = [] }
            for (name, room) in rooms where name != stopped {
                try await world.sim.waitForSockets(user: room.user, joined: room.channel)
            }
            try await world.start(stopped)
            let room = try #require(rooms[stopped])
            try await world.sim.waitForSockets(user: room.user, joined: room.channel)
        }
    }
}
