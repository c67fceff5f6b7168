import FabricSimulator
import JSONBytes
import Testing

/// What was missed: how much of it is read, and what happens when it cannot be.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct GapTests {
    private func miss(_ world: World, _ scene: World.Scene, _ range: ClosedRange<Int>) async throws {
        try await world.sim.stopGuild(World.guild)
        for number in range {
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "\(number)")
        }
        try await world.sim.startGuild(World.guild)
    }

    /// None at all, which the schema allows; and the newest few.
    @Test(arguments: [0, 3]) func onlyTheNewestAreRead(_ maximum: Int) async throws {
        try await withWorld { world in
            let scene = try await world.scene(
                ["catchUp": ["maximumMessages": .int(Int64(maximum))]], type: .report)
            try await miss(world, scene, 1...10)
            try await world.sim.waitForSockets(user: scene.agent.id, joined: scene.channel.id)
            try await world.status("ready") { $0["connected"]?.bool == true }
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "11")
            let heard = try await world.heard(["11"])
            #expect(heard == (11 - maximum...11).map(String.init))
            let status = try await world.status("agent").first ?? .null
            #expect(World.guild(status)?["skipped"]?.int == Int64(10 - maximum))
            #expect(world.log.text.contains("messages skipped"))
        }
    }

    /// A gap that a live message shows, with nothing to be read.
    @Test func aLiveGapWithNothingToReadEndsNothing() async throws {
        try await withWorld { world in
            let scene = try await world.scene(["catchUp": ["maximumMessages": 0]], type: .report)
            await world.sim.deafen(guild: World.guild)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "1")
            await world.sim.sendRaw(
                World.event(scene.channel, from: scene.human, seq: "5", content: "live", wakeup: false))
            let heard = try await world.heard(["live"])
            #expect(heard == ["live"])
        }
    }

    /// Once: nothing, or no such channel. The list says that there is something.
    @Test(arguments: [(200, #"{"messages":[]}"#), (404, ""), (500, ""), (200, "<html>"), (204, "")])
    func historyThatFailsOnceIsAskedAgain(_ status: Int, _ body: String) async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: .report)
            await world.sim.faults.add(
                RouteFault(
                    method: "GET", path: "/api/channels/\(scene.channel.id)/messages", count: 1, status: status,
                    body: body))
            try await miss(world, scene, 1...5)
            let heard = try await world.heard((1...5).map(String.init))
            #expect(heard == (1...5).map(String.init))
        }
    }

    /// The list has a head that history never shows: nobody can tell deleted messages from lost ones, so it is said.
    @Test func whatHistoryNeverShowsIsToldInTheStatus() async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: .report)
            await world.sim.faults.add(
                RouteFault(
                    method: "GET", path: "/api/channels/\(scene.channel.id)/messages", status: 200,
                    body: #"{"messages":[]}"#))
            try await miss(world, scene, 1...5)
            try await world.status("five that are missing") { World.guild($0)?["missing"]?.int == 5 }
            #expect(world.log.text.contains("history does not show what the guild says it has"))
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "6")
            #expect(try await world.heard(["6"]).last == "6")
        }
    }

    /// History fails, or does not answer, for good: what is said live goes on, marked as what it is, and the gap stays open
    /// until it can be read.
    @Test(arguments: [false, true]) func liveMessagesGoOnAheadOfAGapThatCannotBeRead(_ hangs: Bool) async throws {
        try await withWorld { world in
            let scene = try await world.scene(["channelSyncSeconds": .double(0.5)])
            world.settleAll()
            await world.sim.faults.add(
                RouteFault(
                    method: "GET", path: "/api/channels/\(scene.channel.id)/messages", status: hangs ? nil : 500,
                    drop: hangs ? .never : nil))
            try await miss(world, scene, 1...3)
            try await world.sim.waitForSockets(user: scene.agent.id, joined: scene.channel.id)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "live")
            let live = try await world.gateway.delivery("live", timeout: .seconds(60)) { $0.text == "live" }
            #expect(live.wake && !live.caughtUp)
            try await world.status("the open gap") { World.guild($0)?["openGaps"]?.int == 1 }
            #expect(world.log.text.contains("history cannot be read"))
            await world.sim.faults.clear()
            let heard = try await world.heard(["1", "2", "3"])
            #expect(heard == ["live", "1", "2", "3"])
            try await world.status("no open gap") { World.guild($0)?["openGaps"]?.int == 0 }
        }
    }

    /// As many as a lane does not hold, pushed at once to an agent that is slow.
    @Test func fiveThousandPushedAtOnceAreAllHeardInOrder() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "0")
            let first = try await world.gateway.delivery("the first") { $0.wake }
            for number in 1..<5000 {
                try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "\(number)")
            }
            // Slow: nothing is answered before everything was pushed.
            try await world.status("a full lane") { $0["waiting"]?.int ?? 0 >= 2000 }
            world.settleAll()
            world.plugin.settle(first.id, .finished)
            _ = try await world.gateway.deliveries(5000, "all of them") { _ in true }
            #expect(world.gateway.deliveries.map(\.text) == (0..<5000).map(String.init))
            let status = try await world.status("agent").first ?? .null
            #expect(World.guild(status)?["skipped"]?.int == 0)
        }
    }

    /// A page that is more than an answer may hold is asked for in pieces.
    @Test func aPageThatIsTooLargeIsReadInPieces() async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: .report)
            await world.sim.faults.add(
                RouteFault(
                    method: "GET", path: "/api/channels/\(scene.channel.id)/messages", count: 2, status: 413))
            try await miss(world, scene, 1...5)
            let heard = try await world.heard((1...5).map(String.init))
            #expect(heard == (1...5).map(String.init))
            let limits = await world.sim.requests.compactMap { request in
                request.target.split(separator: "&").first { $0.contains("limit=") }?.split(separator: "=").last
            }
            #expect(limits == ["200", "25", "3", "200"])
        }
    }
}
