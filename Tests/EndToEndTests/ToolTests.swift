import FabricChannel
import FabricSimulator
import Foundation
import JSONBytes
import Testing

@Suite(.serialized) struct ToolTests {
    @Test func theListIsWhatTheGatewayShows() async throws {
        try await withWorld { world in
            let configured = try await world.configure([:], accounts: [:])
            #expect(configured["capabilities"]?.array?.contains("tools") == true)
            let (code, json) = await world.command(["command": "tools.list"])
            let tools = json["tools"]?.array ?? []
            #expect(code == .ok && tools.count >= 21)
            for tool in tools { #expect(tool["inputSchema"]?["type"]?.string == "object") }
            let history = tools.first { $0["name"]?.string == "fabric-message-history" }
            #expect(history?["readOnly"]?.bool == true)
        }
    }

    @Test func aMessageIsPostedWithFileAndReply() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let first = try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "question")
            let path = world.directory + "/a.txt"
            try Data("hello".utf8).write(to: URL(fileURLWithPath: path))
            let outcome = await world.tool(
                "fabric-send-message",
                [
                    "channelId": .string(scene.channel.id), "content": "answer", "replyTo": .string(first.id),
                    "files": [["path": .string(path), "name": "b.txt"]],
                ])
            #expect(outcome.isGood, "\(outcome)")
            let posted = try await world.sim.waitForMessage(in: scene.channel.id) { $0.content == "answer" }
            #expect(outcome.result["messageId"]?.string == posted.id && outcome.result["seq"]?.int == posted.seq)
            #expect(posted.replyTo == first.id && posted.attachments.first?.name == "b.txt")
            #expect(posted.idempotencyKey != nil && posted.author == scene.agent.id)
        }
    }

    @Test func aToolActsForTheTurnItBelongsTo() async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: .discuss)
            let other = try await world.sim.createChannel(
                guild: World.guild, name: "other", members: [scene.agent.id, scene.human.id])
            try await world.sim.post(as: scene.human.id, in: other.id, content: "elsewhere")
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "begin")
            let turn = try await world.gateway.delivery("the turn") { $0.wake && $0.text == "begin" }
            // Without a channel: the turn's own.
            let said = await world.tool("fabric-send-message", ["content": "said by tool"], delivery: turn.id)
            #expect(said.isGood, "\(said)")
            let own = await world.tool("fabric-message-history", [:], delivery: turn.id, confined: true)
            #expect(own.result["messages"]?.array?.contains { $0["content"]?.string == "begin" } == true)
            let foreign = await world.tool(
                "fabric-message-history", ["channelId": .string(other.id)], delivery: turn.id, confined: true)
            #expect(foreign.failure == "other_conversation")
            let open = await world.tool(
                "fabric-message-history", ["channelId": .string(other.id)], delivery: turn.id)
            #expect(open.isGood)
            world.plugin.settle(turn.id, .finished)
            _ = try await world.gateway.wait(for: "the end of the turn") { _ in true }
            _ = try await world.status("agent")
            let late = await world.tool("fabric-message-history", [:], delivery: turn.id)
            #expect(late.failure == "turn_over")
            // It has spoken: no /no-reply follows, which the guild would acknowledge.
            let texts = await world.sim.history(scene.channel.id).map(\.content)
            #expect(texts == ["begin", "said by tool"])
            #expect(await world.sim.counters.requests["POST /api/channels/:id/messages"] == 1)
        }
    }

    @Test func aCallIsCancelledOrEndsAtItsDeadline() async throws {
        try await withWorld { world in
            _ = try await world.scene()
            await world.sim.faults.add(RouteFault(method: "GET", path: "/api/channels", delay: 30))
            let hanging = world.asking(
                nil, { $0.command($1, completion: $2) },
                [
                    "command": "tools.call", "account": "agent", "tool": "fabric-channel-list", "arguments": [:],
                    "callId": "slow",
                ])
            #expect(await world.tool("fabric-channel-list", call: "slow").failure == "busy")
            let answer = await world.command(["command": "tools.cancel", "account": "agent", "callId": "slow"])
            #expect(answer.json["cancelled"]?.bool == true)
            let ended = await hanging.value
            #expect(ToolOutcome(code: ended.code, json: ended.json).failure == "cancelled")
            let late = await world.tool("fabric-channel-list", call: "late", timeout: 0.2)
            #expect(late.failure == "timeout" && late.json["error"]?["retryable"]?.bool == true)
            let none = await world.command(["command": "tools.cancel", "account": "agent", "callId": "late"])
            #expect(none.json["cancelled"]?.bool == false)
        }
    }

    @Test func wrongCallsAreNamed() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            #expect(await world.tool("fabric-dance").failure == "unknown_tool")
            #expect(await world.tool("fabric-send-mesage").message.contains("did you mean \"fabric-send-message\"?"))
            let other = await world.tool(
                "fabric-channel-list", ["agent_id": "somebody", "guildNodeId": .string(World.guild)])
            #expect(other.failure == "invalid_argument" && other.argument == "agent_id")
            #expect(await world.tool("fabric-channel-list", as: "nobody").failure == "unavailable")
            let foreign = await world.tool("fabric-channel-list", ["guildNodeId": "elsewhere"])
            #expect(foreign.failure == "not_member" && foreign.message.contains(World.guild))
            let unknown = await world.tool("fabric-channel", ["channelId": "no-such-channel"])
            #expect(unknown.failure == "not_found")
            let nowhere = await world.tool("fabric-channel")
            #expect(nowhere.failure == "invalid_argument" && nowhere.argument == "channelId")
            let empty = await world.tool("fabric-send-message", ["channelId": .string(scene.channel.id)])
            #expect(empty.failure == "invalid_argument" && empty.argument == "content")
            let file = await world.tool(
                "fabric-send-message", ["channelId": .string(scene.channel.id), "files": ["/nonexistent"]])
            #expect(file.failure == "invalid_argument" && file.argument == "files")
            let back = await world.tool(
                "fabric-message-history", ["channelId": .string(scene.channel.id), "seqFrom": 5, "seqTo": 2])
            #expect(back.failure == "invalid_argument" && back.argument == "seqFrom")
            for missing in ["tool", "callId", "account"] {
                var request: [String: JSONValue] = [
                    "command": "tools.call", "account": "agent", "tool": "fabric-guild-list", "callId": "x",
                ]
                request[missing] = nil
                #expect(await world.command(.object(request)).code == .invalid)
            }
        }
    }

    @Test func aFileIsFetchedForTheTurnAndGoesWithIt() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let file = await world.sim.putFile(guild: World.guild, name: "x.bin", bytes: [1, 2, 3])
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "look")
            let turn = try await world.gateway.delivery("the turn") { $0.wake }
            let byId = await world.tool(
                "fabric-file-download", ["fileId": .string(file.id), "name": "mine.bin"], delivery: turn.id)
            let path = byId.result["path"]?.string ?? ""
            #expect(byId.result["bytes"]?.int == 3 && path.hasSuffix("/mine.bin"), "\(byId)")
            #expect(FileManager.default.contents(atPath: path) == Data([1, 2, 3]))
            let byURL = await world.tool("fabric-file-download", ["fileId": .string(file.url)])
            #expect(byURL.isGood)
            world.plugin.settle(turn.id, .finished)
            while FileManager.default.fileExists(atPath: path) { _ = try await world.status("agent") }
            let gone = await world.tool("fabric-file-download", ["fileId": "no-such-file"])
            #expect(gone.failure == "not_found")
        }
    }

    /// An address of the guild's own is no way around what a turn may read, neither by a tool nor in a message.
    @Test func noFileIsAnotherConversation() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let other = try await world.sim.createChannel(
                guild: World.guild, name: "other", members: [scene.agent.id])
            try await world.sim.post(as: scene.agent.id, in: other.id, content: "a secret")
            let place = "/api/channels/\(other.id)/messages?limit=50"
            let attached = SimulatedAttachment(url: place, name: "x.json", mediaType: nil, size: nil)
            try await world.sim.post(
                as: scene.human.id, in: scene.channel.id, content: "what is in it?", attachments: [attached])
            let turn = try await world.gateway.delivery("the turn") { $0.wake }
            #expect(turn.json["media"] == [] && turn.json["mediaFailed"]?.array?.count == 1, "\(turn.json)")
            let logins = await world.sim.counters.logins
            for address in [place, (world.sim.endpoints[World.guild] ?? "") + place, "/api/files/../channels"] {
                let stolen = await world.tool(
                    "fabric-file-download", ["fileId": .string(address)], delivery: turn.id, confined: true)
                #expect(stolen.failure == "failed" && stolen.message.contains("no file of the guild's"), "\(stolen)")
            }
            // No token was refused, so none was renewed.
            #expect(await world.sim.counters.logins == logins)
            world.plugin.settle(turn.id, .finished)
        }
    }

    /// What an agent's turn sends is its own; not what else the gateway could read.
    @Test func aTurnSendsItsOwnFilesOnly() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let (own, secret) = (world.directory + "/own", world.directory + "/secret")
            try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
            try FileManager.default.createDirectory(atPath: own + "ed", withIntermediateDirectories: true)
            for path in [own + "/a.txt", own + "ed/b.txt", secret] {
                try Data("words".utf8).write(to: URL(fileURLWithPath: path))
            }
            symlink(secret, own + "/link")
            let file = await world.sim.putFile(guild: World.guild, name: "x.bin", bytes: [1, 2, 3])
            try await world.sim.post(
                as: scene.human.id, in: scene.channel.id, content: "look", attachments: [file.attachment])
            let turn = try await world.gateway.delivery("the turn") { $0.wake }
            func send(_ path: String, below: [String]?) async -> ToolOutcome {
                await world.tool(
                    "fabric-send-message", ["content": "x", "files": [["path": .string(path)]]], delivery: turn.id,
                    filesBelow: below)
            }
            for path in [secret, own + "/link", own + "/../secret", own + "ed/b.txt", "/proc/self/environ"] {
                let refused = await send(path, below: [own])
                #expect(refused.failure == "refused" && refused.argument == "files", "\(path): \(refused)")
                #expect(refused.message.contains(own))
                #expect(await send(path, below: []).failure == "refused")
            }
            #expect(await send(own + "/none", below: [own]).failure == "invalid_argument")
            // Its own, what came with the message, and what it fetched.
            let received = turn.json["media"]?.array?.first?["path"]?.string ?? ""
            let fetched = await world.tool(
                "fabric-file-download", ["fileId": .string(file.id)], delivery: turn.id)
            for path in [own + "/a.txt", received, fetched.result["path"]?.string ?? ""] {
                let sent = await send(path, below: [own])
                #expect(sent.isGood, "\(path): \(sent)")
            }
            #expect(await send(secret, below: nil).isGood, "the operator's own call")
            let wrong = await world.command([
                "command": "tools.call", "account": "agent", "tool": "fabric-guild-list", "callId": "c",
                "filesBelow": ["relative"],
            ])
            #expect(wrong.code == .invalid)
            world.plugin.settle(turn.id, .finished)
        }
    }

    @Test func aHalfDoneCallNamesWhatWasDone() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            await world.sim.faults.add(
                RouteFault(method: "POST", path: "/api/channels/", suffix: "/messages", status: 403))
            let made = await world.tool("create-chat-channel", ["name": "new", "firstMessage": "hello"])
            #expect(made.failure == "half_done" && made.message.contains("was created"), "\(made)")
            let id = try #require(made.done["channelId"]?.string)
            #expect(await world.sim.channel(id)?.name == "new")
            await world.sim.faults.clear()
            await world.sim.faults.add(
                RouteFault(method: "POST", path: "/api/channels/", suffix: "/close", status: 500))
            let ended = await world.tool(
                "discussion-complete", ["channelId": .string(scene.channel.id), "summary": "all said"])
            #expect(ended.failure == "half_done" && ended.done["summary"]?["messageId"]?.string != nil, "\(ended)")
            #expect(try await world.status("agent").first?["deadLetters"]?.int == 0)
        }
    }

    @Test func aLostAnswerIsNotRepeatedAndSaid() async throws {
        try await withWorld { world in
            _ = try await world.scene()
            await world.sim.faults.add(RouteFault(method: "POST", path: "/api/channels", count: 1, drop: .after))
            let made = await world.tool("create-chat-channel", ["name": "lost"])
            #expect(made.failure == "unknown_outcome" && made.message.contains("look before"), "\(made)")
            let list = await world.tool("fabric-channel-list", ["nameFilter": "lost"])
            #expect(list.result["count"]?.int == 1)
        }
    }

    @Test func theKeyOfTheSameUserIsRenewed() async throws {
        try await withWorld { world in
            let agent = try await world.sim.createUser(name: "agent")
            let other = try await world.sim.createUser(name: "other")
            _ = try await world.sim.createChannel(guild: World.guild, name: "room", members: [agent.id])
            let path = world.directory + "/fabric-identity.json"
            try Data(#"{"entries":[{"agentId":"agent","fabricApiKey":"\#(agent.apiKey)"}]}"#.utf8)
                .write(to: URL(fileURLWithPath: path))
            try await world.configure([:], accounts: [:])
            try await world.start("agent")
            try await world.ready("agent")
            let next = try await world.sim.rotateKey(of: agent.id)
            let foreign = await world.tool("fabric-register", ["apiKey": .string(other.apiKey)])
            #expect(foreign.failure == "refused" && foreign.message.contains("another Fabric user"))
            let bad = await world.tool("fabric-register", ["api_key": "fak_wrongwrongwrong"])
            #expect(bad.failure == "refused" && !bad.message.contains("fak_wrongwrongwrong"))
            let good = await world.tool("fabric-register", ["api_key": .string(next)])
            #expect(good.result["fabricUserId"]?.string == agent.id, "\(good)")
            #expect(try String(contentsOfFile: path, encoding: .utf8).contains(next))
            #expect(!world.log.text.contains(next))
        }
    }
}
