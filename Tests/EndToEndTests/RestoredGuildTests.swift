import FabricSimulator
import JSONBytes
import Testing

/// A guild restored from a backup: its log goes back, and positions are given out again.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct RestoredGuildTests {
    private func posts(_ world: World, _ scene: World.Scene, _ range: ClosedRange<Int>) async throws {
        for number in range {
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "m\(number)")
        }
    }

    @Test(arguments: [false, true]) func whatComesAfterARestoreIsHeard(_ isRestarted: Bool) async throws {
        try await withWorld { world in
            let scene = try await world.scene(["channelSyncSeconds": .double(0.4)], type: .report)
            try await posts(world, scene, 1...602)
            _ = try await world.gateway.delivery("m602") { $0.text == "m602" }
            if isRestarted {
                // What the last list saw is what the next run knows of the time before.
                try await world.nextLists(2, of: scene.agent)
                try await world.stop("agent")
            }
            await world.sim.restore(scene.channel.id, to: 10)
            if isRestarted {
                // The guild's clock, as the list told it, counts whole seconds.
                await world.sim.updateSwitches { $0.guildClock += 5 }
                try await posts(world, scene, 1001...1003)
                try await world.start("agent")
                try await world.ready("agent")
            } else {
                try await world.nextLists(1, of: scene.agent)
            }
            // One in every period, so that the head never stands still.
            for number in 1004...1012 {
                try await posts(world, scene, number...number)
                try await world.nextLists(1, of: scene.agent)
            }
            let first = isRestarted ? 1001 : 1004
            let expected = (first...1012).map { "m\($0)" }
            let heard = try await world.heard(expected)
            #expect(heard.filter { expected.contains($0) } == expected, "once, and in order")
            #expect(heard.count == 602 + expected.count, "and nothing of before again")
            #expect(world.log.text.contains("log went back"))
        }
    }

    /// A position that is a lie, far ahead of the log.
    @Test func aLieCostsNoGenuineMessage() async throws {
        try await withWorld { world in
            let scene = try await world.scene(["channelSyncSeconds": .double(0.4)])
            try await posts(world, scene, 1...3)
            for number in 1...3 {
                let delivery = try await world.gateway.delivery("m\(number)") { $0.text == "m\(number)" }
                world.plugin.settle(delivery.id, .finished)
            }
            world.settleAll()
            await world.sim.sendRaw(World.event(scene.channel, from: scene.human, seq: "600", content: "lie"))
            try await posts(world, scene, 4...8)
            let expected = (4...8).map { "m\($0)" }
            let heard = try await world.heard(expected)
            #expect(heard.filter { expected.contains($0) } == expected)
            // And when everybody knows that it was one.
            try await world.nextLists(3, of: scene.agent)
            try await posts(world, scene, 9...12)
            let all = try await world.heard((9...12).map { "m\($0)" })
            #expect(all.filter { $0 != "lie" } == (1...12).map { "m\($0)" })
        }
    }
}
