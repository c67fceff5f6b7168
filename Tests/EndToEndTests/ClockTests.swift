import FabricSimulator
import JSONBytes
import Testing

/// A guild's clock that is not ours: its times are compared with its own only.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ClockTests {
    static let clocks: [Double] = [0, -8, 30, -86_400, 86_400]

    private func world(_ clock: Double, _ body: (World) async throws -> Void) async throws {
        try await withWorld { world in
            await world.sim.updateSwitches { $0.guildClock = clock }
            try await body(world)
        }
    }

    /// Added to an old channel while the guild could not be reached: what was said since is heard, what was said before
    /// is not.
    @Test(arguments: clocks, [false, true])
    func anAgentAddedToAnOldChannelHearsWhatCameSince(_ clock: Double, _ isRestarted: Bool) async throws {
        try await world(clock) { world in
            let owner = try await world.sim.createUser(name: "owner")
            let old = try await world.sim.createChannel(guild: World.guild, name: "old", members: [owner.id])
            for number in 0..<3 {
                try await world.sim.post(as: owner.id, in: old.id, content: "long before \(number)")
            }
            // Longer ago than the margin of two seconds, and than the whole seconds in which a list tells its time.
            await world.sim.updateSwitches { $0.guildClock += 4 }
            let scene = try await world.scene(["channelSyncSeconds": .double(0.3)])
            world.settleAll()
            try await world.nextLists(1, of: scene.agent)
            if isRestarted {
                try await world.stop("agent")
            } else {
                try await world.sim.stopGuild(World.guild)
            }
            await world.sim.join(old.id, user: scene.agent.id)
            try await world.sim.post(as: owner.id, in: old.id, content: "first since")
            try await world.sim.post(as: owner.id, in: old.id, content: "second since")
            if isRestarted {
                try await world.start("agent")
            } else {
                try await world.sim.startGuild(World.guild)
            }
            let heard = try await world.heard(["first since", "second since"])
            #expect(heard == ["first since", "second since"])
            #expect(world.gateway.deliveries.allSatisfy { $0.wake })
        }
    }

    /// What was missed is as old as the guild says, by the guild's clock.
    @Test(arguments: clocks) func theAgeOfWhatWasMissedIsTheGuilds(_ clock: Double) async throws {
        try await world(clock) { world in
            let scene = try await world.scene(["catchUp": ["maximumHours": .double(0.1)]])
            try await world.sim.stopGuild(World.guild)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "missed")
            try await world.sim.startGuild(World.guild)
            _ = try await world.gateway.delivery("missed") { $0.text == "missed" }
            let status = try await world.status("agent").first ?? .null
            #expect(World.guild(status)?["skipped"]?.int == 0)
        }
    }

    /// A guild whose answers have no time: its clock is taken to be ours, within a few seconds.
    @Test func withoutATimeOurClockHasToDo() async throws {
        try await withWorld { world in
            await world.sim.updateSwitches { $0.sendsDate = false }
            let scene = try await world.scene()
            try await world.sim.stopGuild(World.guild)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "missed")
            try await world.sim.startGuild(World.guild)
            _ = try await world.gateway.delivery("missed") { $0.text == "missed" }
        }
    }
}
