import FabricSimulator
import Foundation
import JSONBytes
import Testing

@testable import FabricChannel

/// Answers with a good status that are none, lists in pieces, and refusals that are nobody's verdict.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct FalseAnswerTests {
    @Test(arguments: [
        (200, "<html>We are improving our service</html>", false), (200, "", false), (202, "{}", false),
        (200, "<html></html>", true), (204, "", true),
    ])
    func aPostIsPostedOnce(_ status: Int, _ body: String, _ isProcessed: Bool) async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            await world.sim.faults.update {
                $0.routes = [
                    RouteFault(
                        method: "POST", path: "/api/channels/\(scene.channel.id)/messages", count: 1, status: status,
                        body: body, isProcessed: isProcessed)
                ]
            }
            let (code, json) = await world.send([
                "account": "agent", "to": .string("fabric:\(World.guild)/\(scene.channel.id)"), "text": "once",
            ])
            #expect(code == .ok && json["messageId"]?.string?.isEmpty == false, "\(json)")
            #expect(await world.sim.history(scene.channel.id).map(\.content) == ["once"])
        }
    }

    @Test(arguments: Switches.ListPaging.allCases) func everyChannelOfAListInPiecesIsHeard(
        _ paging: Switches.ListPaging
    ) async throws {
        try await withWorld { world in
            let agent = try await world.sim.createUser(name: "agent")
            let human = try await world.sim.createUser(name: "human")
            var rooms: [SimulatedChannel] = []
            for number in 0..<7 {
                rooms.append(
                    try await world.sim.createChannel(
                        guild: World.guild, name: "room \(number)", members: [agent.id, human.id]))
            }
            await world.sim.updateSwitches { ($0.listPaging, $0.listPageSize) = (paging, 2) }
            try await world.configure([:], accounts: ["agent": agent.apiKey])
            try await world.start("agent")
            try await world.ready("agent")
            for room in rooms {
                try await world.sim.post(as: human.id, in: room.id, content: room.name)
                _ = try await world.gateway.delivery(room.name) { $0.text == room.name }
            }
        }
    }

    /// A firewall's page at a login: the account waits, and is ready by itself when it is gone.
    @Test(arguments: [401, 403, 400]) func aRefusalWithoutAWordAboutTheKeyBlocksNobody(_ status: Int) async throws {
        try await withWorld { world in
            let agent = try await world.sim.createUser(name: "agent")
            await world.sim.faults.update {
                $0.routes = [
                    RouteFault(
                        server: "center", path: "/api/auth/agent/login", count: 2, status: status,
                        body: "<html>Access denied</html>")
                ]
            }
            try await world.configure([:], accounts: ["agent": agent.apiKey])
            try await world.start("agent")
            try await world.ready("agent")
            #expect(!world.gateway.statuses.contains { $0["lifecycle"]?.string == "blocked" })
            #expect(await world.sim.counters.statuses[String(status)] == 2)
        }
    }
}
