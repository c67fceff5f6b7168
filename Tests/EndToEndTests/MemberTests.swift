import FabricChannel
import FabricSimulator
import Foundation
import JSONBytes
import Testing

/// What an agent is told besides messages, and what others are told of it.
@Suite(.serialized) struct MemberTests {
    private func until(
        _ what: String, _ condition: @escaping @Sendable () async -> Bool
    ) async throws {
        let deadline = ContinuousClock.now.advanced(by: .seconds(60))
        while await !condition() {
            guard ContinuousClock.now < deadline else { throw TestFailure("timed out waiting for \(what)") }
            try await Task.sleep(for: .milliseconds(3))
        }
    }

    // MARK: Presence

    @Test func theGuildHearsWhatTheAgentDoes() async throws {
        try await withWorld { world in
            let scene = try await world.scene(capabilities: ["presence"])
            let (sim, user) = (world.sim, scene.agent.id)
            try await until("idle") { await sim.presence(guild: World.guild, user: user) == "idle" }
            #expect(
                await world.command(["command": "presence.set", "account": "agent", "state": "asleep"]).code == .invalid
            )
            let set = await world.command(["command": "presence.set", "account": "agent", "state": "working"])
            #expect(set.code == .ok)
            // Not within 30 s of the first.
            _ = try await world.status("agent")
            #expect(await sim.counters.requests["PUT /api/agents/:id/presence"] == 1)
            try await world.stop("agent")
            // It is waited for for a second at most.
            try await until("offline") { await sim.presence(guild: World.guild, user: user) == "offline" }
        }
    }

    /// The answer to what was said of it had not come when it went.
    @Test func aGuildWhoseAnswerIsLateHearsThatItGoes() async throws {
        try await withWorld { world in
            await world.sim.faults.add(
                RouteFault(method: "PUT", path: "/api/agents", suffix: "/presence", delay: 0.3))
            let scene = try await world.scene(capabilities: ["presence"])
            let (sim, user) = (world.sim, scene.agent.id)
            try await until("idle") { await sim.presence(guild: World.guild, user: user) == "idle" }
            try await world.stop("agent")
            try await until("offline") { await sim.presence(guild: World.guild, user: user) == "offline" }
        }
    }

    @Test func itIsSilentWhereNobodyReportsOrItIsSwitchedOff() async throws {
        for (settings, capabilities) in [([:], []), (["presence": false], ["presence"])]
            as [([String: JSONValue], [JSONValue])]
        {
            try await withWorld { world in
                _ = try await world.scene(settings, capabilities: capabilities)
                try await world.stop("agent")
                #expect(await world.sim.counters.requests["PUT /api/agents/:id/presence"] == nil)
            }
        }
    }

    /// Nor does the next instance forget to say farewell, though it had nothing else to say.
    @Test func aHandOverIsNoAbsence() async throws {
        try await withWorld { world in
            let scene = try await world.scene(capabilities: ["presence"])
            let (sim, user) = (world.sim, scene.agent.id)
            @Sendable func puts() async -> Int { await sim.counters.requests["PUT /api/agents/:id/presence"] ?? 0 }
            try await until("idle") { await sim.presence(guild: World.guild, user: user) == "idle" }
            // A turn that the gateway may see end before it has said anything to the next instance.
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "question")
            let turn = try await world.gateway.delivery("question") { $0.wake }
            let stopped = try await world.stop("agent", handover: true)
            #expect(await sim.presence(guild: World.guild, user: user) == "idle")
            let before = await puts()
            let next = try world.secondInstance()
            try await world.configure(
                [:], accounts: ["agent": scene.agent.apiKey], capabilities: ["presence"], on: next)
            try await world.start("agent", handover: stopped["handover"], on: next)
            try await until("it is told") { await puts() > before }
            #expect(await sim.presence(guild: World.guild, user: user) == "idle")
            next.settle(turn.id, .finished)
            try await world.stop("agent", on: next)
            try await until("offline") { await sim.presence(guild: World.guild, user: user) == "offline" }
            await World.blocking { next.shutdown() }
        }
    }

    // MARK: Slash commands

    private static let catalogue: JSONValue = [
        "command": "commands.sync",
        "commands": [
            ["name": "/deploy", "description": "Deploys", "arguments": [["name": "where"]]],
            ["name": "stop", "description": "Ends the turn"],
        ],
    ]

    @Test(
        arguments: ["", "x-fabric-commands-sync-key", "x-commands-sync-key", "x-fabric-system-key"],
        [
            (Switches.CommandsEnvelope.either, Switches.CommandKey.any), (.array, .name), (.object, .command),
            (.array, .command),
        ])
    func theGuildGetsTheCatalogue(
        _ header: String, _ form: (Switches.CommandsEnvelope, Switches.CommandKey)
    ) async throws {
        let (envelope, key) = form
        var configuration = FabricSimulator.Configuration(guilds: [World.guild])
        configuration.switches.syncKeyHeader = header
        configuration.switches.commandsEnvelope = envelope
        configuration.switches.commandKey = key
        try await withWorld(configuration) { world in
            let sim = world.sim
            _ = try await world.scene(["commandsSyncKey": .string(sim.systemKey)])
            #expect(await world.command(Self.catalogue).code == .ok)
            try await until("the catalogue") { await sim.commands(guild: World.guild) != nil }
            let stored = try JSONValue(parsing: try #require(await sim.commands(guild: World.guild)))
            let rows = stored["commands"]?.array ?? stored.array ?? []
            let names = key == .command ? "command" : "name"
            #expect(rows.map { $0[names]?.string } == ["deploy", "stop"])
            #expect(rows.first?["arguments"]?.array?.count == 1)
            // The same again is not sent again.
            let before = await sim.counters.requests["PUT /api/commands"]
            #expect(await world.command(Self.catalogue).code == .ok)
            _ = try await world.status("agent")
            #expect(await sim.counters.requests["PUT /api/commands"] == before)
        }
    }

    @Test func aCommandArrivesAsOneAndOtherTextAsText() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            #expect(await world.command(Self.catalogue).code == .ok)
            let bad = await world.command(["command": "commands.sync", "commands": [["name": "a b"]]])
            #expect(bad.code == .invalid)
            world.echo()
            for (text, name, arguments) in [
                ("/deploy  to prod ", "deploy", "to prod"), ("<@\(scene.agent.id)> /deploy", "deploy", ""),
                ("/unknown x", nil, ""), ("see /deploy", nil, ""), ("/stop", "stop", ""),
            ] as [(String, String?, String)] {
                try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: text)
                let delivery = try await world.gateway.delivery(text) { $0.wake && $0.text == text }
                #expect(delivery.json["command"]?["name"]?.string == name, "\(text)")
                if name != nil { #expect(delivery.json["command"]?["arguments"]?.string == arguments) }
            }
            // Without the key it is said once, and everything works.
            #expect(world.log.text.components(separatedBy: "not told of slash commands").count == 2)
        }
    }

    @Test func stopDoesNotWaitForTheTurnItEnds() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            #expect(await world.command(Self.catalogue).code == .ok)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "a long task")
            let turn = try await world.gateway.delivery("the turn") { $0.wake }
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "waits")
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "/stop")
            let stop = try await world.gateway.delivery("the stop") { $0.json["command"]?["name"]?.string == "stop" }
            #expect(!stop.wake && !world.gateway.deliveries.contains { $0.text == "waits" })
            world.plugin.settle(turn.id, .failed)
            let next = try await world.gateway.delivery("the next") { $0.text == "waits" }
            world.plugin.settle(next.id, .finished)
            // It comes once.
            _ = try await world.status("agent")
            #expect(world.gateway.deliveries.filter { $0.text == "/stop" }.count == 1)
        }
    }

    // MARK: Changes

    @Test(arguments: Switches.ChangeEvents.allCases)
    func changesComeInOrderBehindTheirMessages(_ form: Switches.ChangeEvents) async throws {
        var configuration = FabricSimulator.Configuration(guilds: [World.guild])
        configuration.switches.changeEvents = form
        try await withWorld(configuration) { world in
            let scene = try await world.scene(capabilities: ["changes"])
            let message = try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "first")
            let turn = try await world.gateway.delivery("the turn") { $0.wake }
            try await world.sim.edit(message, content: "changed")
            try await world.sim.delete(message)
            await world.sim.shareCanvas(as: scene.human.id, in: scene.channel.id, content: "# c")
            await world.sim.shareCanvas(as: scene.human.id, in: scene.channel.id, content: nil)
            // The agent's own changes are not news to it.
            _ = await world.tool(
                "fabric-canvas", ["channelId": .string(scene.channel.id), "action": "share", "content": "x"])
            #expect(!world.gateway.deliveries.contains { $0.json["kind"] != nil && $0.json["kind"] != "membership" })
            world.plugin.settle(turn.id, .finished)
            _ = try await world.gateway.delivery("the last change") { $0.json["kind"]?.string == "canvas.removed" }
            let changes = world.gateway.deliveries.filter { $0.json["kind"] != nil && $0.json["kind"] != "membership" }
            #expect(
                changes.map { $0.json["kind"]?.string } == [
                    "message.updated", "message.deleted", "canvas.updated", "canvas.removed",
                ])
            #expect(changes.first?.json["message"]?["id"]?.string == message.id)
            if form != .ids { #expect(changes.first?.json["message"]?["text"]?.string == "changed") }
            #expect(changes[2].json["canvas"]?["content"]?.string == "# c")
            #expect(changes.allSatisfy { $0.to == "fabric:\(World.guild)/\(scene.channel.id)" && !$0.wake })
            #expect(Set(changes.map(\.id)).count == 4)
        }
    }

    @Test func membershipIsTold() async throws {
        try await withWorld { world in
            let scene = try await world.scene(capabilities: ["changes"])
            let room = try await world.sim.createChannel(
                guild: World.guild, name: "new", members: [scene.agent.id, scene.human.id])
            let joined = try await world.gateway.delivery("joined") {
                $0.json["kind"]?.string == "membership" && $0.to.hasSuffix(room.id)
            }
            #expect(joined.json["joined"]?.bool == true)
            await world.sim.leave(room.id, user: scene.agent.id)
            _ = try await world.gateway.delivery("left") {
                $0.json["joined"]?.bool == false && $0.to.hasSuffix(room.id)
            }
        }
    }

    @Test func anOldHostHearsOfNone() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let message = try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "first")
            let turn = try await world.gateway.delivery("the turn") { $0.wake }
            world.plugin.settle(turn.id, .finished)
            try await world.sim.edit(message, content: "changed")
            await world.sim.type(as: scene.human.id, in: scene.channel.id)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "second")
            _ = try await world.gateway.delivery("second") { $0.text == "second" }
            #expect(world.gateway.deliveries.count == 2 && world.gateway.passings.isEmpty)
        }
    }

    @Test(arguments: [("typing", "presence.updated"), ("typing.start", "presence.changed")])
    func whatPassesIsHeardByThoseWhoListen(_ typing: String, _ presence: String) async throws {
        var configuration = FabricSimulator.Configuration(guilds: [World.guild])
        configuration.switches.emitsPresence = true
        configuration.switches.typingEvent = typing
        configuration.switches.presenceEvent = presence
        try await withWorld(configuration) { world in
            world.gateway.hears.withLock { $0 = true }
            let scene = try await world.scene()
            await world.sim.type(as: scene.human.id, in: scene.channel.id)
            await world.sim.setPresence(guild: World.guild, user: scene.human.id, status: "busy")
            let events = try await world.gateway.wait(for: "both") { $0.passings.count >= 2 ? $0.passings : nil }
            #expect(events[0]["kind"] == "typing" && events[0]["user"]?.string == scene.human.id)
            #expect(events[0]["conversation"]?["channel"]?.string == scene.channel.id)
            #expect(events[1]["kind"] == "presence" && events[1]["status"] == "busy")
        }
    }

    // MARK: What a delivery says

    @Test func aDeliverySaysWhatIsKnown() async throws {
        var configuration = FabricSimulator.Configuration(guilds: [World.guild])
        configuration.switches.replyAsObject = true
        try await withWorld(configuration) { world in
            let agent = try await world.sim.createUser(name: "agent")
            let human = try await world.sim.createUser(name: "human")
            let room = try await world.sim.createChannel(
                guild: World.guild, name: "room", members: [agent.id, human.id], purpose: "to talk")
            try await world.configure(
                ["commandsSyncKey": .string(world.sim.systemKey)], accounts: ["agent": agent.apiKey])
            try await world.start("agent")
            try await world.ready("agent")
            world.echo()
            let first = try await world.sim.post(as: human.id, in: room.id, content: "one")
            try await world.sim.post(as: human.id, in: room.id, content: "two", replyTo: first.id)
            let two = try await world.gateway.delivery("two") { $0.text == "two" }
            #expect(two.json["message"]?["replyTo"]?.string == first.id)
            #expect(two.json["conversation"]?["purpose"]?.string == "to talk")
            #expect(two.json["message"]?["author"]?["isSystem"] == nil)
            let file = await world.sim.putFile(guild: World.guild, name: "f.bin", bytes: [7])
            try await world.sim.post(
                as: human.id, in: room.id, content: "<@\(human.id)> look", attachments: [file.attachment])
            let look = try await world.gateway.delivery("the file") { $0.text.hasSuffix("look") }
            let attachment = look.json["attachments"]?.array?.first
            #expect(attachment?["url"]?.string == file.url)
            #expect(attachment?["fileId"]?.string == (world.sim.endpoints[World.guild] ?? "") + file.url)
            let fetched = await world.tool("fabric-file-download", ["fileId": attachment?["fileId"] ?? .null])
            #expect(fetched.result["bytes"]?.int == 1)
            let system = await world.tool(
                "fabric-send-sys-msg",
                ["channelId": .string(room.id), "content": "hear", "wakeupUserId": .string(agent.id)])
            #expect(system.isGood)
            let heard = try await world.gateway.delivery("hear") { $0.text == "hear" }
            #expect(heard.wake && heard.json["message"]?["author"]?["isSystem"]?.bool == true)
        }
    }

    /// What was edited comes as it reads now, what was deleted does not come at all.
    @Test(arguments: Switches.ChangeEvents.allCases, [Switches.AuthorKey.authorUserId, .author])
    func whatWasChangedIsNotKeptAsItWas(_ form: Switches.ChangeEvents, _ author: Switches.AuthorKey) async throws {
        var configuration = FabricSimulator.Configuration(guilds: [World.guild])
        configuration.switches.changeEvents = form
        configuration.switches.authorKey = author
        try await withWorld(configuration) { world in
            let agent = try await world.sim.createUser(name: "agent")
            let human = try await world.sim.createUser(name: "human")
            let room = try await world.sim.createChannel(
                guild: World.guild, name: "room", members: [agent.id, human.id])
            try await world.configure([:], accounts: ["agent": agent.apiKey])
            #expect(await world.command(["command": "history.set", "account": "agent", "messages": 9]).code == .ok)
            try await world.start("agent")
            try await world.ready("agent")
            world.settleAll()
            func history(_ text: String) async throws -> [JSONValue] {
                try await world.sim.post(as: human.id, in: room.id, content: text)
                return try await world.gateway.delivery(text) { $0.text == text && $0.wake }.json["history"]?.array
                    ?? []
            }
            #expect(try await history("first").isEmpty)
            let mention = "<@\(human.id)> "
            var posted: [SimulatedMessage] = []
            for text in ["kept", "edited", "deleted"] {
                posted.append(try await world.sim.post(as: human.id, in: room.id, content: mention + text))
            }
            #expect(try await history("second").count == 4)
            try await world.sim.edit(posted[1], content: "as it reads now")
            try await world.sim.delete(posted[2])
            let after = try await history("third")
            #expect(after.map { $0["text"]?.string } == ["first", mention + "kept", "as it reads now", "second"])
            let name = after.first?["author"]?["name"]?.string
            #expect(after.first?["author"]?["id"]?.string == human.id && name == (author == .author ? "human" : nil))
        }
    }

    /// Who is on duty, where lists say it; and who is mentioned, however that is said.
    @Test(arguments: [Switches.ListedDuty.onDuty, .onDutyUserIds, .single], Switches.MentionsForm.allCases)
    func whoIsOnDutyAndWhoIsMeantIsTold(_ duty: Switches.ListedDuty, _ form: Switches.MentionsForm) async throws {
        var configuration = FabricSimulator.Configuration(guilds: [World.guild])
        configuration.switches.listedDuty = duty
        configuration.switches.mentionsForm = form
        try await withWorld(configuration) { world in
            let agent = try await world.sim.createUser(name: "agent")
            let human = try await world.sim.createUser(name: "human")
            let room = try await world.sim.createChannel(
                guild: World.guild, name: "duty", type: .triage, members: [agent.id, human.id], onDuty: [agent.id])
            try await world.configure([:], accounts: ["agent": agent.apiKey])
            try await world.start("agent")
            try await world.ready("agent")
            world.echo()
            try await world.sim.post(as: human.id, in: room.id, content: "<@\(agent.id)> help")
            let delivery = try await world.gateway.delivery("help") { $0.wake }
            let onDuty = delivery.json["conversation"]?["onDuty"]?.array ?? []
            let mentions = delivery.json["message"]?["mentions"]?.array ?? []
            #expect(onDuty == [.string(agent.id)] && mentions == [.string(agent.id)])
        }
    }

    @Test func whatWasSaidBeforeComesAlongWhereAskedFor() async throws {
        try await withWorld { world in
            let agent = try await world.sim.createUser(name: "agent")
            let human = try await world.sim.createUser(name: "human")
            let room = try await world.sim.createChannel(
                guild: World.guild, name: "room", members: [agent.id, human.id])
            for number in 1...5 {
                try await world.sim.post(as: human.id, in: room.id, content: "<@\(human.id)> \(number)")
            }
            try await world.configure([:], accounts: ["agent": agent.apiKey])
            #expect(
                await world.command(["command": "history.set", "account": "agent", "messages": 500]).code == .invalid)
            #expect(await world.command(["command": "history.set", "account": "agent", "messages": 3]).code == .ok)
            try await world.start("agent")
            try await world.ready("agent")
            world.echo()
            func history(_ text: String) async throws -> [String] {
                try await world.sim.post(as: human.id, in: room.id, content: text)
                let delivery = try await world.gateway.delivery(text) { $0.text == text && $0.wake }
                return delivery.json["history"]?.array?.compactMap { $0["text"]?.string } ?? []
            }
            let mention = "<@\(human.id)> "
            #expect(try await history("first") == [mention + "3", mention + "4", mention + "5"])
            _ = try await world.sim.waitForMessage(in: room.id) { $0.content == "echo: first" }
            let reads = await world.sim.counters.requests["GET /api/channels/:id/messages"]
            try await world.sim.post(as: human.id, in: room.id, content: mention + "passing")
            _ = try await world.gateway.delivery("passing") { $0.text == mention + "passing" }
            #expect(try await history("second") == ["first", "echo: first", mention + "passing"])
            // Read once, then kept from what passes by.
            #expect(await world.sim.counters.requests["GET /api/channels/:id/messages"] == reads)
            #expect(
                await world.command(
                    ["command": "history.set", "account": "agent", "messages": 3, "maximumBytes": 150]
                ).code == .ok)
            _ = try await world.sim.waitForMessage(in: room.id) { $0.content == "echo: second" }
            #expect(try await history("third").count <= 1)
        }
    }
}
