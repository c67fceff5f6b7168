import FabricSimulator
import Foundation
import JSONBytes
import Testing

/// What the socket brings is evidence against a list; what it announces has bounds.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct DoubtfulListTests {
    @Test(arguments: ["", "null", "[]", "{}", "204"])
    func listsThatAreEmptyTwiceLoseNothing(_ body: String) async throws {
        try await withWorld { world in
            let scene = try await world.scene(["channelSyncSeconds": .double(0.3)], type: .report)
            await world.sim.faults.add(
                RouteFault(
                    method: "GET", path: "/api/channels", suffix: "/channels", count: 2,
                    status: body == "204" ? 204 : 200, body: body == "204" ? "" : body))
            for number in 1...10 {
                try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "\(number)")
                if number % 3 == 0 { try await world.nextLists(1, of: scene.agent) }
            }
            let heard = try await world.heard((1...10).map(String.init))
            #expect(heard == (1...10).map(String.init))
        }
    }

    @Test func aChannelThatListsNeverShowIsAnswered() async throws {
        try await withWorld { world in
            let scene = try await world.scene(["channelSyncSeconds": .double(0.3)])
            world.echo()
            // Before it exists it cannot be named: nothing new is listed while the faults say so.
            await world.sim.faults.add(
                RouteFault(
                    method: "GET", path: "/api/channels", suffix: "/channels",
                    body: "[\(World.row(scene.channel, lastSeq: "0"))]"))
            let hidden = try await world.sim.createChannel(
                guild: World.guild, name: "hidden", members: [scene.agent.id, scene.human.id])
            await world.sim.faults.clear()
            await world.sim.faults.update { $0.unlisted = [hidden.id] }
            try await world.sim.waitForSockets(user: scene.agent.id, joined: hidden.id)
            for number in 1...20 {
                try await world.sim.post(as: scene.human.id, in: hidden.id, content: "\(number)")
            }
            for number in 1...20 {
                _ = try await world.sim.waitForMessage(in: hidden.id) { $0.content == "echo: \(number)" }
            }
            try await world.nextLists(3, of: scene.agent)
            try await world.sim.post(as: scene.human.id, in: hidden.id, content: "still?")
            _ = try await world.sim.waitForMessage(in: hidden.id) { $0.content == "echo: still?" }
            let answers = await world.sim.history(hidden.id).filter { $0.author == scene.agent.id }
            #expect(answers.count == 21)
        }
    }

    /// No event tells of the channel; the next list does.
    @Test func aChannelWithoutAnEventIsFoundByTheNextList() async throws {
        try await withWorld { world in
            await world.sim.updateSwitches { $0.emitsMembership = false }
            let scene = try await world.scene(["channelSyncSeconds": .double(0.3)], type: .report)
            let silent = try await world.sim.createChannel(
                guild: World.guild, name: "silent", type: .report, members: [scene.agent.id, scene.human.id])
            try await world.sim.post(as: scene.human.id, in: silent.id, content: "early")
            let heard = try await world.heard(["early"])
            #expect(heard == ["early"])
            try await world.sim.waitForSockets(user: scene.agent.id, joined: silent.id)
            await world.sim.leave(silent.id, user: scene.agent.id)
            try await world.status("the channel to be gone") { World.guild($0)?["channels"]?.int == 1 }
        }
    }

    @Test func aChannelLeftIsHeardNoMoreUntilItIsJoinedAgain() async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: .report)
            let other = try await world.sim.createChannel(
                guild: World.guild, name: "other", type: .report, members: [scene.agent.id, scene.human.id])
            try await world.sim.waitForSockets(user: scene.agent.id, joined: other.id)
            try await world.sim.post(as: scene.human.id, in: other.id, content: "1")
            _ = try await world.gateway.delivery("1") { $0.text == "1" }
            // No list for a minute: only the event tells.
            await world.sim.leave(other.id, user: scene.agent.id)
            try await world.status("the channel to be gone") { World.guild($0)?["channels"]?.int == 1 }
            try await world.sim.post(as: scene.human.id, in: other.id, content: "behind its back")
            // The guild's times are of milliseconds.
            let posted = ContinuousClock.now
            while posted.duration(to: .now) < .milliseconds(3) { await Task.yield() }
            await world.sim.join(other.id, user: scene.agent.id)
            try await world.sim.waitForSockets(user: scene.agent.id, joined: other.id)
            try await world.sim.post(as: scene.human.id, in: other.id, content: "2")
            let heard = try await world.heard(["2"])
            #expect(heard == ["1", "2"])
        }
    }

    private func joined(_ channel: String, _ user: SimulatedUser) -> String {
        #"42/realtime,["channel.joined",{"channelId":"\#(channel)","userId":"\#(user.id)","xType":"general"}]"#
    }

    private func residentBytes() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0)
            * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Channels that nobody lists, one again and again or ever new ones: neither lists nor memory follow their number.
    @Test(arguments: [true, false]) func aFloodOfJoinedChannelsIsBounded(_ isOneChannel: Bool) async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: .report)
            let lists = await world.lists(of: scene.agent)
            let memory = try residentBytes()
            let began = ContinuousClock.now
            for number in 0..<8000 {
                await world.sim.sendRaw(joined(isOneChannel ? "made-up" : "made-up-\(number)", scene.agent))
            }
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "after the flood")
            // How soon is no matter of this test.
            _ = try await world.gateway.delivery("after the flood", timeout: .seconds(240)) {
                $0.text == "after the flood"
            }
            let seconds = began.duration(to: .now).components.seconds + 1
            // An event asks for a list at most once a second, besides the one under way.
            let asked = await world.lists(of: scene.agent) - lists
            #expect(asked <= 6 * Int(seconds), "\(asked) lists in \(seconds) s")
            let grown = try residentBytes() - memory
            // The address sanitizer keeps for a while what is freed.
            #expect(grown < 100 << 20 || dlsym(nil, "__asan_init") != nil, "\(grown >> 20) MB more")
            let status = try await world.status("agent").first ?? .null
            let channels = World.guild(status)?["channels"]?.int ?? 0
            #expect(channels <= 1 + (isOneChannel ? 1 : 1000))
            // Each list drops those that it does not show; with so few lists there were more than a thousand between two.
            if !isOneChannel, asked < 7 { #expect((World.guild(status)?["protocolErrors"]?.int ?? 0) > 0) }
        }
    }
}
