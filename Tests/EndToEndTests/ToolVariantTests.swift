import FabricAPI
import FabricChannel
import FabricSimulator
import Foundation
import JSONBytes
import Testing

/// Each tool that speaks to a guild, once for each way the guild may be spelt, in both spellings of the arguments.
@Suite(.serialized) struct ToolVariantTests {
    static let variants: [(name: String, change: @Sendable (inout Switches) -> Void)] = [
        ("as documented", { _ in }),
        (
            "flat routes, PUT, other keys",
            {
                $0.messageRoutes = .flat
                $0.editMethod = .put
                $0.bypassKey = .memberUserId
                $0.onDutyForm = .single
                $0.canvasKeys = .typeContent
                $0.postStatus = 200
                $0.idKey = .messageId
                $0.authorKey = .author
                $0.historyEnvelope = .array
                $0.historyKeys = .fromSeq
                $0.canvasRoute = .flat
                $0.uploadPart = "files"
                $0.uploadAnswer = .id
                $0.postAnswer = .messageId
                $0.postedReply = .replyTo
                $0.postedFiles = .attachmentIds
            }
        ),
        (
            "flat routes, PATCH, lists",
            {
                $0.messageRoutes = .flat
                $0.bypassKey = .userIds
                $0.onDutyForm = .list
                $0.canvasKeys = .contentTypeContent
                $0.idKey = .both
                $0.historyEnvelope = .items
                $0.historyDescending = true
                $0.listPaging = .cursor
                $0.listPageSize = 2
                $0.historyKeys = .from
                $0.uploadPart = "upload"
                $0.uploadAnswer = .list
                $0.postAnswer = .id
                $0.postedReply = .replyToId
                $0.postedFiles = .fileIds
                $0.mentionsForm = .omitted
            }
        ),
        (
            "nested routes, PUT, unknown fields",
            {
                $0.editMethod = .put
                $0.bypassKey = .targetUserId
                $0.canvasKeys = .formatBody
                $0.unknownFields = true
                $0.attachmentKeys = .other
                $0.authorKey = .senderUserId
                $0.uploadPart = "attachment"
                $0.uploadAnswer = .wrapped
                $0.postAnswer = .wrapped
                $0.postedReply = .replyToMessageId
                $0.postedFiles = .attachments
                $0.mentionsForm = .objects
            }
        ),
    ]

    @Test(arguments: variants.indices, [false, true])
    func everyTool(_ variant: Int, _ snake: Bool) async throws {
        var configuration = FabricSimulator.Configuration(guilds: [World.guild])
        Self.variants[variant].change(&configuration.switches)
        let strange = configuration.switches.unknownFields
        try await withWorld(configuration) { world in
            let scene = try await world.scene(["commandsSyncKey": .string(world.sim.systemKey)], type: .work)
            let (room, human) = (JSONValue.string(scene.channel.id), JSONValue.string(scene.human.id))
            let guild = JSONValue.string(World.guild)
            func call(_ name: String, _ arguments: JSONValue) async throws -> JSONValue {
                let outcome = await world.tool(name, snake ? World.snake(arguments) : arguments)
                try #require(outcome.isGood, "\(name): \(outcome.message)")
                return outcome.result
            }
            #expect(try await call("fabric-guild-list", ["nameFilter": "SIM"])["count"]?.int == 1)
            #expect(try await call("fabric-guild-list", ["nameFilter": "zzz"])["count"]?.int == 0)

            for (tool, type) in [
                ("create-chat-channel", ChannelType.general), ("create-work-channel", .work),
                ("create-report-channel", .report), ("create-discussion-channel", .discuss),
            ] {
                let made = try await call(
                    tool,
                    [
                        "guildNodeId": guild, "name": .string("a \(type)"), "memberUserIds": [human], "onDuty": [human],
                        "isPublic": true, "purpose": "for a test", "firstMessage": "first",
                    ])
                let id = made["channelId"]?.string ?? ""
                let channel = try #require(await world.sim.channel(id))
                #expect(channel.type == type && channel.isPublic && channel.purpose == "for a test")
                #expect(Set(channel.members) == [scene.agent.id, scene.human.id])
                #expect(await world.sim.history(id).map(\.content) == ["first"])
                if strange { #expect(made["channel"]?["xUnheardOf"]?.int == 7) }
                _ = try await call("fabric-channel-leave", ["channelId": .string(id)])
                #expect(await world.sim.channel(id)?.members == [scene.human.id])
                _ = try await call("fabric-channel-join", ["channelId": .string("fabric:\(World.guild)/\(id)")])
                #expect(await world.sim.channel(id)?.members.contains(scene.agent.id) == true)
            }
            let list = try await call("fabric-channel-list", ["guildNodeId": guild, "xType": "work"])
            #expect(list["count"]?.int == 2)

            let posted = try await call("fabric-send-message", ["channelId": room, "content": "mine"])
            let message = try #require(posted["messageId"])
            _ = try await call(
                "fabric-message-edit", ["channelId": room, "messageId": message, "content": "changed"])
            #expect(await world.sim.history(scene.channel.id).last?.content == "changed")
            let path = world.directory + "/a.txt"
            try Data("hello".utf8).write(to: URL(fileURLWithPath: path))
            let answer = try await call(
                "fabric-send-message",
                [
                    "channelId": room, "content": "see there", "replyTo": message,
                    "files": [["path": .string(path), "name": "b.txt"]],
                ])
            let stored = await world.sim.history(scene.channel.id).last
            #expect(stored?.id == answer["messageId"]?.string && stored?.seq == answer["seq"]?.int)
            #expect(
                stored?.replyTo == message.string && stored?.attachments.count == 1, "\(String(describing: stored))")
            let url = stored?.attachments.first?.url ?? ""
            let file = try await call("fabric-file-download", ["fileId": .string(url), "name": "c.txt"])
            #expect(file["bytes"]?.int == 5)
            let older = try await call("fabric-message-history", ["channelId": room, "seqFrom": 2, "seqTo": 2])
            #expect(older["messages"]?.array?.map { $0["content"]?.string } == ["see there"])
            _ = try await call("fabric-message-delete", ["channelId": room, "messageId": answer["messageId"] ?? .null])

            let history = try await call("fabric-message-history", ["channelId": room, "seqTo": 1, "limit": 5])
            let row = history["messages"]?.array?.last
            #expect(row?["content"]?.string == "changed" && row?["messageId"] == message)
            #expect(row?["authorUserId"]?.string == scene.agent.id)
            if strange {
                #expect(row?["xUnheardOf"]?.int == 7)
                #expect(history["xUnheardOf"]?.int == 7 && history["page"]?["xUnheardOf"]?.int == 7)
            }
            _ = try await call("fabric-message-delete", ["channelId": room, "messageId": message])
            #expect(await world.sim.history(scene.channel.id).allSatisfy { $0.deletedAt != nil })

            _ = try await call("fabric-channel-bypass", ["channelId": room, "userId": human])
            let shown = try await call("fabric-channel", ["channelId": room])
            let member = shown["members"]?.array?.first { $0["userId"] == human }
            #expect(member?["bypass"]?.bool == true)
            if strange { #expect(member?["xUnheardOf"]?.int == 7) }
            _ = try await call("fabric-channel-set-purpose", ["channelId": room, "purpose": "work"])
            #expect(await world.sim.channel(scene.channel.id)?.purpose == "work")
            _ = try await call("fabric-channel-set-purpose", ["channelId": room, "purpose": ""])
            #expect(await world.sim.channel(scene.channel.id)?.purpose == nil)

            #expect(try await call("fabric-canvas", ["channelId": room, "action": "read"])["canvas"] == .null)
            _ = try await call(
                "fabric-canvas", ["channelId": room, "action": "share", "title": "t", "content": "# one"])
            #expect(await world.sim.canvas(scene.channel.id) == "# one")
            _ = try await call("fabric-canvas", ["channelId": room, "action": "update", "content": "# two"])
            #expect(await world.sim.canvas(scene.channel.id) == "# two")
            let canvas = try await call("fabric-canvas", ["channelId": room, "action": "read"])["canvas"]
            #expect(canvas?["version"]?.int == 2)
            if strange { #expect(canvas?["xUnheardOf"]?.int == 7) }
            _ = try await call("fabric-canvas", ["channelId": room, "action": "close"])
            #expect(await world.sim.canvas(scene.channel.id) == nil)

            await world.sim.setPresence(guild: World.guild, user: scene.human.id, status: "busy")
            let presence = try await call("fabric-presence", ["userIds": [human]])
            #expect(presence["presence"]?.array?.first?["status"]?.string == "busy")

            let system = try await call(
                "fabric-send-sys-msg", ["channelId": room, "content": "hear", "wakeupUserId": human])
            let said = await world.sim.history(scene.channel.id).last
            #expect(said?.author.hasPrefix("00000000") == true && said?.wakes == [scene.human.id])
            #expect(system["messageId"]?.string == said?.id)

            let ended = try await call("discussion-complete", ["channelId": room, "summary": "done"])
            #expect(ended["closed"]?.bool == true)
            #expect(await world.sim.channel(scene.channel.id)?.closed == true)
            #expect(await world.sim.history(scene.channel.id).last?.content == "done")
        }
    }

    /// What each tool that names a channel says where it may not act.
    @Test(arguments: [403, 404])
    func aMissingMembershipIsNamed(_ status: Int) async throws {
        var configuration = FabricSimulator.Configuration(guilds: [World.guild])
        configuration.switches.notMemberStatus = status
        try await withWorld(configuration) { world in
            let scene = try await world.scene()
            let secret = try await world.sim.createChannel(
                guild: World.guild, name: "secret", members: [scene.human.id])
            for (tool, arguments) in Self.channelTools {
                let outcome = await world.tool(tool, arguments.with(["channelId": .string(secret.id)]))
                #expect(["not_member", "not_found", "refused"].contains(outcome.failure), "\(tool): \(outcome)")
                #expect(!outcome.message.isEmpty)
            }
            #expect(await world.sim.history(secret.id).isEmpty)
            #expect(await world.sim.channel(secret.id)?.purpose == nil)
            #expect(try await world.status("agent").first?["deadLetters"]?.int == 0)
        }
    }

    static let channelTools: [(String, JSONValue)] = [
        ("fabric-channel", [:]), ("fabric-message-history", ["seqFrom": 1]), ("fabric-send-message", ["content": "x"]),
        ("fabric-channel-set-purpose", ["purpose": "x"]), ("fabric-channel-join", [:]),
        ("fabric-channel-bypass", [:]), ("fabric-canvas", ["action": "share", "content": "x"]),
        ("fabric-canvas", ["action": "read"]), ("discussion-complete", ["summary": "x"]),
        ("fabric-message-edit", ["messageId": "m", "content": "x"]), ("fabric-message-delete", ["messageId": "m"]),
    ]

    @Test func aClosedChannelIsNamed() async throws {
        try await withWorld { world in
            let scene = try await world.scene(["commandsSyncKey": .string(world.sim.systemKey)])
            let mine = await world.tool(
                "fabric-send-message", ["channelId": .string(scene.channel.id), "content": "x"])
            await world.sim.close(channel: scene.channel.id)
            for (tool, arguments) in [
                ("fabric-send-message", ["content": "x"]), ("discussion-complete", ["summary": "x"]),
                ("fabric-send-sys-msg", ["content": "x"]),
                ("fabric-message-edit", ["messageId": mine.result["messageId"] ?? .null, "content": "y"]),
            ] as [(String, JSONValue)] {
                let outcome = await world.tool(tool, arguments.with(["channelId": .string(scene.channel.id)]))
                #expect(outcome.failure == "channel_closed", "\(tool): \(outcome)")
            }
            let read = await world.tool("fabric-message-history", ["channelId": .string(scene.channel.id)])
            #expect(read.isGood)
            #expect(await world.sim.history(scene.channel.id).count == 1)
            #expect(try await world.status("agent").first?["deadLetters"]?.int == 0)
        }
    }

    @Test func anExpiredTokenIsRenewedAndARefusedOneIsSaid() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            await world.sim.expireTokens()
            #expect(await world.tool("fabric-channel", ["channelId": .string(scene.channel.id)]).isGood)
            await world.sim.faults.add(RouteFault(method: "GET", path: "/api/channels", status: 401))
            let outcome = await world.tool("fabric-channel-list")
            #expect(outcome.failure == "refused" && outcome.message.contains("401"), "\(outcome)")
        }
    }

    @Test func aGuildThatIsDownIsSaid() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            try await world.sim.stopGuild(World.guild)
            let room = JSONValue.string(scene.channel.id)
            for (tool, arguments) in Self.channelTools {
                let outcome = await world.tool(tool, arguments.with(["channelId": room]), timeout: 20)
                #expect(outcome.failure == "unavailable", "\(tool): \(outcome)")
            }
            let created = await world.tool("create-chat-channel", ["name": "x"])
            #expect(created.failure == "unavailable")
            // What was accepted is posted once when the guild is back; the call said so.
            let kept = await world.tool("fabric-send-message", ["channelId": room, "content": "kept"])
            #expect(kept.done["kept"]?.bool == true)
            try await world.sim.startGuild(World.guild)
            _ = try await world.sim.waitForMessage(in: scene.channel.id) { $0.content == "kept" }
        }
    }

    @Test func withoutTheKeyTheSystemIsSilent() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let outcome = await world.tool(
                "fabric-send-sys-msg", ["channelId": .string(scene.channel.id), "content": "x"])
            #expect(outcome.failure == "not_configured" && outcome.message.contains("commandsSyncKey"))
        }
        try await withWorld { world in
            let scene = try await world.scene(["commandsSyncKey": "wrong"])
            let outcome = await world.tool(
                "fabric-send-sys-msg", ["channelId": .string(scene.channel.id), "content": "x"])
            #expect(outcome.failure == "refused" && outcome.message.contains("commandsSyncKey"))
        }
    }
}
