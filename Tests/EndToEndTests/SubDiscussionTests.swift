import FabricChannel
import FabricSimulator
import Foundation
import JSONBytes
import Testing

@Suite(.serialized) struct SubDiscussionTests {
    private struct Stage: Sendable {
        var host: SimulatedUser
        var guest: SimulatedUser
        var absent: SimulatedUser
        var parent: SimulatedChannel
    }

    private func stage(_ world: World, _ settings: [String: JSONValue] = [:]) async throws -> Stage {
        let host = try await world.sim.createUser(name: "host")
        let guest = try await world.sim.createUser(name: "guest")
        let absent = try await world.sim.createUser(name: "absent")
        let parent = try await world.sim.createChannel(
            guild: World.guild, name: "parent", type: .dm, members: [host.id, absent.id])
        let all = settings.merging(["commandsSyncKey": .string(world.sim.systemKey)]) { $1 }
        try await world.configure(all, accounts: ["host": host.apiKey, "guest": guest.apiKey])
        for account in ["host", "guest"] {
            try await world.start(account)
            try await world.ready(account)
        }
        return Stage(host: host, guest: guest, absent: absent, parent: parent)
    }

    private func begin(_ world: World, _ stage: Stage, guests: [String]) async throws -> String {
        try await world.sim.post(as: stage.absent.id, in: stage.parent.id, content: "ask the others")
        let turn = try await world.gateway.delivery("the turn") { $0.account == "host" && $0.wake }
        let made = await world.tool(
            "create-sub-discussion",
            [
                "name": "sub", "guestUserIds": .array(guests.map { .string($0) }), "greetingMsg": "what do you think?",
                "hostGuide": "Lead.", "guestGuide": "Answer briefly.",
            ], as: "host", delivery: turn.id)
        #expect(made.isGood, "\(made)")
        world.plugin.settle(turn.id, .finished)
        return made.result["channelId"]?.string ?? ""
    }

    @Test func theResultComesBackAfterARestart() async throws {
        try await withWorld { world in
            let stage = try await stage(world)
            let sub = try await begin(world, stage, guests: [stage.guest.id])
            let asked = try await world.gateway.delivery("the guest's turn") { $0.account == "guest" && $0.wake }
            #expect(asked.text == "what do you think?" && asked.json["instructions"] == "Answer briefly.")
            let said = await world.tool("fabric-send-message", ["content": "well"], as: "guest", delivery: asked.id)
            #expect(said.isGood)
            world.plugin.settle(asked.id, .finished)
            let answered = try await world.gateway.delivery("the host's turn") {
                $0.account == "host" && $0.wake && $0.to.hasSuffix(sub)
            }
            #expect(answered.json["instructions"] == "Lead.")
            world.plugin.settle(answered.id, .finished)

            let notHost = await world.tool(
                "close-sub-discussion", ["channelId": .string(sub), "callbackMsg": "x"], as: "guest")
            #expect(notHost.failure == "refused")
            #expect(await world.sim.channel(sub)?.closed == false)

            // All of it is in the store.
            for account in ["host", "guest"] { try await world.stop(account, drain: 1) }
            let next = try world.secondInstance()
            let users = ["host": stage.host.apiKey, "guest": stage.guest.apiKey]
            try await world.configure(
                ["commandsSyncKey": .string(world.sim.systemKey)], accounts: users, on: next)
            try await world.start("host", on: next)
            try await world.ready("host")
            let (code, json) = await world.ask(
                next, { $0.command($1, completion: $2) },
                [
                    "command": "tools.call", "account": "host", "tool": "close-sub-discussion", "callId": "close",
                    "arguments": ["channelId": .string(sub), "callbackMsg": "they agree"],
                ])
            #expect(code == .ok && json["result"]?["closed"]?.bool == true, "\(json)")
            #expect(await world.sim.channel(sub)?.closed == true)
            let result = try await world.gateway.delivery("the result") { $0.text == "they agree" }
            #expect(result.wake && result.account == "host" && result.to.hasSuffix(stage.parent.id))
            await World.blocking { next.shutdown() }
        }
    }

    @Test func onlyWhatWasBegunIsEndedAndOnce() async throws {
        try await withWorld { world in
            let stage = try await stage(world)
            let none = await world.tool(
                "close-sub-discussion", ["channelId": .string(stage.parent.id), "callbackMsg": "x"], as: "host")
            #expect(none.failure == "not_found")
            let alone = await world.tool(
                "create-sub-discussion",
                [
                    "name": "s", "guestUserIds": [.string(stage.host.id)], "greetingMsg": "hi",
                    "callbackChannelId": .string(stage.parent.id),
                ], as: "host")
            #expect(alone.failure == "invalid_argument" && alone.argument == "guestUserIds")
            let sub = try await begin(world, stage, guests: [stage.guest.id])
            await world.sim.faults.add(
                RouteFault(method: "POST", path: "/api/channels/", suffix: "/close", count: 1, status: 500))
            let close: JSONValue = ["channelId": .string(sub), "callbackMsg": "done"]
            // A passing failure of the close; what was posted is not posted again.
            let half = await world.tool("close-sub-discussion", close, as: "host")
            let whole = half.isGood ? half : await world.tool("close-sub-discussion", close, as: "host")
            #expect(whole.isGood, "\(whole)")
            #expect(await world.sim.history(stage.parent.id).filter { $0.content == "done" }.count == 1)
            #expect(await world.tool("close-sub-discussion", close, as: "host").failure == "not_found")
        }
    }

    @Test func aGuestThatIsNotThereDoesNotHoldItUp() async throws {
        try await withWorld { world in
            let stage = try await stage(world, ["guestPatienceSeconds": 0.5])
            // The absent one is asked first, and nobody runs it.
            let sub = try await begin(world, stage, guests: [stage.absent.id, stage.guest.id])
            let reached = try await world.gateway.delivery("somebody who is there") {
                $0.wake && $0.to.hasSuffix(sub)
            }
            #expect(reached.account == "guest" || reached.account == "host")
            world.plugin.settle(reached.id, .finished)
        }
    }
}
