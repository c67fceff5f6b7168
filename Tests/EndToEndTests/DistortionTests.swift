import FabricChannel
import FabricSimulator
import Foundation
import JSONBytes
import Testing

/// Center and guild say anything in the place of anything: each value of an answer, of an event and of a header may be another
/// one. Nothing ends by it, every call comes back, and what was kept does not hurt the next run, which answers.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct DistortionTests {
    /// FABRIC_DISTORTIONS=200 ./setup test --filter DistortionTests for a longer look.
    static let seeds = ProcessInfo.processInfo.environment["FABRIC_DISTORTIONS"].flatMap { UInt64($0) } ?? 4

    @Test(arguments: 1...seeds) func whateverIsSaidIsNoTrap(_ seed: UInt64) async throws {
        try await withWorld { world in
            await world.sim.updateSwitches { $0.emitsPresence = true }
            let settings: [String: JSONValue] = [
                "channelSyncSeconds": .double(0.1), "sessionSeconds": 1, "turnTimeoutSeconds": 2,
                "commandsSyncKey": .string(world.sim.systemKey), "guestPatienceSeconds": .double(0.2),
            ]
            let scene = try await world.scene(settings, capabilities: ["presence", "changes"])
            world.gateway.hears.withLock { $0 = true }
            world.echo()
            await world.sim.faults.update { ($0.distorts, $0.distortionSeed) = (0.3, seed) }
            for round in 0..<8 { try await play(world, scene, round) }
            await world.sim.faults.clear()

            // Another run, with what this one has kept.
            await World.blocking { world.plugin.shutdown() }
            let next = try world.secondInstance()
            world.echo(on: next)
            try await world.configure(settings, accounts: ["agent": scene.agent.apiKey], on: next)
            try await world.start("agent", on: next)
            try await world.sim.waitForSockets(user: scene.agent.id, joined: scene.channel.id, timeout: .seconds(60))
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "are you well?")
            try await world.sim.waitForMessage(in: scene.channel.id, timeout: .seconds(60)) {
                $0.author == scene.agent.id && $0.content == "echo: are you well?"
            }
            await World.blocking { next.shutdown() }
        }
    }

    /// What people and an agent do in a guild, a little of everything.
    private func play(_ world: World, _ scene: World.Scene, _ round: Int) async throws {
        let (sim, human, room) = (world.sim, scene.human.id, scene.channel.id)
        let file = await sim.putFile(name: "f.txt", mediaType: "text/plain", bytes: Array("hello".utf8))
        let message = try await sim.post(as: human, in: room, content: "\(round)", attachments: [file.attachment])
        try await sim.post(as: human, in: room, content: "<@\(scene.agent.id)> /stop", replyTo: message.id)
        try await sim.edit(message, content: "changed")
        try await sim.delete(message)
        await sim.shareCanvas(as: human, in: room, content: round % 2 == 0 ? "# c" : nil)
        await sim.type(as: human, in: room)
        await sim.setPresence(guild: World.guild, user: human, status: "busy")
        let other = try await sim.createChannel(
            guild: World.guild, name: "other \(round)", type: round % 2 == 0 ? .dm : .discuss,
            members: [scene.agent.id, human])
        try await sim.post(as: human, in: other.id, content: "here too")
        switch round % 4 {
        case 0: await sim.dropSockets(guild: World.guild)
        case 1: await sim.expireTokens(centerToo: true)
        case 2: await sim.deafen(guild: World.guild)
        default: await sim.disconnectSockets(guild: World.guild)
        }
        await withTaskGroup(of: Void.self) { group in
            for (name, arguments) in Self.tools(room, message.id, human, file.id) {
                group.addTask { _ = await world.tool(name, arguments, call: "\(round) \(name)", timeout: 1) }
            }
            group.addTask {
                _ = await world.command([
                    "command": "history.set", "account": "agent", "messages": .int(Int64(round % 3)),
                ])
                _ = await world.command(["command": "commands.sync", "commands": [["name": "deploy"]]])
                _ = await world.command(["command": "deadLetters.list"])
                _ = await world.command(["command": "channels.list", "account": "agent"])
            }
        }
        let status = try await world.status("agent")
        #expect(status.count == 1)
    }

    private static func tools(
        _ room: String, _ message: String, _ human: String, _ file: String
    ) -> [(String, JSONValue)] {
        let place: [String: JSONValue] = ["channelId": .string(room)]
        func at(_ more: [String: JSONValue] = [:]) -> JSONValue { .object(place.merging(more) { $1 }) }
        return [
            ("fabric-guild-list", [:]), ("fabric-channel-list", [:]), ("fabric-channel", at()),
            ("fabric-message-history", at(["limit": 5])), ("fabric-send-message", at(["content": "by tool"])),
            ("fabric-send-sys-msg", at(["content": "by system", "wakeupUserId": .string(human)])),
            ("create-chat-channel", ["name": "made", "firstMessage": "first"]),
            ("fabric-message-edit", at(["messageId": .string(message), "content": "x"])),
            ("fabric-canvas", at(["action": "share", "content": "x"])),
            ("fabric-presence", ["userIds": [.string(human)]]),
            ("fabric-file-download", ["fileId": .string(file)]),
            ("create-sub-discussion", at(["name": "sub", "guestUserIds": [.string(human)], "greetingMsg": "hi"])),
        ]
    }
}
