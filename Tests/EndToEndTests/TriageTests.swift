import FabricSimulator
import JSONBytes
import Testing

@Suite(.serialized) struct TriageTests {
    /// Who is not on duty is neither woken nor told, live and after a gap.
    @Test func onlyWhoIsOnDutyHearsATriageChannel() async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: .report)
            let duty = try await world.sim.createChannel(
                guild: World.guild, name: "duty", type: .triage, members: [scene.human.id], onDuty: [scene.agent.id])
            let idle = try await world.sim.createChannel(
                guild: World.guild, name: "idle", type: .triage, members: [scene.human.id, scene.agent.id],
                onDuty: [scene.human.id])
            for room in [duty, idle] { try await world.sim.waitForSockets(user: scene.agent.id, joined: room.id) }
            func say(_ text: String) async throws {
                for room in [idle, duty, scene.channel] {
                    try await world.sim.post(as: scene.human.id, in: room.id, content: "\(room.name) \(text)")
                }
            }
            try await say("live")
            var heard = try await world.heard(["duty live", "room live"])
            #expect(Set(heard) == ["duty live", "room live"])
            let delivery = try #require(world.gateway.deliveries.first { $0.text == "duty live" })
            #expect(delivery.wake && delivery.json["conversation"]?["xType"]?.string == "triage")
            world.plugin.settle(delivery.id, .finished)

            try await world.sim.stopGuild(World.guild)
            try await say("missed")
            try await world.sim.startGuild(World.guild)
            heard = try await world.heard(["room missed"])
            #expect(
                !heard.contains("idle missed") && !heard.contains("duty missed"), "history does not say who is on duty")
            // Everything before this one was decided before it.
            try await say("again")
            heard = try await world.heard(["duty again", "room again"])
            #expect(!heard.contains { $0.hasPrefix("idle") })
        }
    }
}
