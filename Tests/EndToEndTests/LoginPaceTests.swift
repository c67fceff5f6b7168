import FabricSimulator
import JSONBytes
import Testing

@testable import FabricChannel

/// No more logins are started in a second than are set; who waits says so, and another number is taken up by what runs.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct LoginPaceTests {
    @Test func loginsWaitForTheirTurnAndAReloadLetsThemGoOn() async throws {
        try await withWorld { world in
            var keys: [String: String] = [:]
            var rooms: [(user: String, channel: String)] = []
            for number in 10..<70 {
                let agent = try await world.sim.createUser(name: "a\(number)")
                keys["a\(number)"] = agent.apiKey
                rooms.append((agent.id, try await world.sim.createChannel(name: agent.name, members: [agent.id]).id))
            }
            // All of them would take a minute.
            try await world.configure(["loginsPerSecond": 1], accounts: keys)
            for name in keys.keys.sorted() { try await world.start(name) }
            try await world.sim.waitForSockets(user: rooms[0].user, joined: rooms[0].channel)
            let end = ContinuousClock.now.advanced(by: .seconds(60))
            var waiting: [JSONValue] = []
            while waiting.isEmpty, .now < end {
                waiting = try await world.status().filter { $0["reason"]?.string == "waits for its turn to log in" }
            }
            let row = try #require(waiting.last, "nobody said that it waits")
            #expect(row["queued"]?.bool == true && row["running"]?.bool == true && row["connected"]?.bool == false)

            try await world.configure(["loginsPerSecond": 20], accounts: keys)
            for room in rooms { try await world.sim.waitForSockets(user: room.user, joined: room.channel) }
            for row in try await world.status() { #expect(row["queued"]?.bool == false) }
            let counters = await world.sim.counters
            #expect(rooms.allSatisfy { counters.logins[$0.user] == 1 }, "nobody logged in again")
            // Eight may have been started before that second, and come in it.
            #expect(counters.peakLoginsPerSecond <= 20 + 8)
        }
    }
}
