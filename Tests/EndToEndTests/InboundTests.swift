import FabricSimulator
import JSONBytes
import Testing

@Suite(.serialized) struct InboundTests {
    @Test func aMessageIsDeliveredAndAnswered() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            world.echo()
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "héllo \"quoted\" \n 日本")
            let answer = try await world.sim.waitForMessage(in: scene.channel.id) { $0.author == scene.agent.id }
            #expect(answer.content == "echo: héllo \"quoted\" \n 日本")
            let delivery = try await world.gateway.delivery("the message") { $0.wake }
            #expect(delivery.json["conversation"]?["id"]?.string == "fabric:\(World.guild)/\(scene.channel.id)")
            #expect(delivery.json["conversation"]?["name"]?.string == "room")
            #expect(delivery.json["conversation"]?["type"]?.string == "group")
            #expect(delivery.json["conversation"]?["xType"]?.string == "general")
            #expect(delivery.json["message"]?["author"]?["id"]?.string == scene.human.id)
            #expect(delivery.json["message"]?["seq"]?.int == 1)
            #expect(delivery.json["media"]?.array == [])
        }
    }

    @Test func dmWakesAlwaysReportNever() async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: .report)
            let dm = try await world.sim.createChannel(
                guild: World.guild, name: "dm", type: .dm, members: [scene.agent.id, scene.human.id])
            try await world.sim.waitForSockets(user: scene.agent.id, joined: dm.id)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "report")
            try await world.sim.post(as: scene.human.id, in: dm.id, content: "direct")
            let direct = try await world.gateway.delivery("the dm") { $0.text == "direct" }
            let report = try await world.gateway.delivery("the report") { $0.text == "report" }
            #expect(direct.wake && direct.json["conversation"]?["type"]?.string == "direct")
            #expect(!report.wake)
        }
    }

    @Test func ownMessagesAreNotDelivered() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            try await world.sim.post(as: scene.agent.id, in: scene.channel.id, content: "mine")
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "theirs")
            _ = try await world.gateway.delivery("theirs") { $0.text == "theirs" }
            #expect(world.gateway.deliveries.map(\.text) == ["theirs"])
        }
    }

    @Test func oldHistoryIsNotNewsButWhatComesInBetweenIs() async throws {
        try await withWorld { world in
            let agent = try await world.sim.createUser(name: "agent")
            let human = try await world.sim.createUser(name: "human")
            let room = try await world.sim.createChannel(
                guild: World.guild, name: "old", members: [agent.id, human.id])
            for number in 0..<5 {
                try await world.sim.post(as: human.id, in: room.id, content: "old \(number)")
            }
            try await world.configure([:], accounts: ["agent": agent.apiKey])
            try await world.start("agent")
            try await world.ready("agent")
            let new = try await world.sim.createChannel(
                guild: World.guild, name: "new", members: [agent.id, human.id])
            // Posted before the agent can have joined.
            try await world.sim.post(as: human.id, in: new.id, content: "first of new")
            try await world.sim.post(as: human.id, in: room.id, content: "now")
            _ = try await world.gateway.delivery("the new channel's first") { $0.text == "first of new" }
            _ = try await world.gateway.delivery("the live one") { $0.text == "now" }
            #expect(!world.gateway.deliveries.contains { $0.text.hasPrefix("old") })
        }
    }

    @Test func aTurnHoldsItsLaneAndNoOther() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let other = try await world.sim.createChannel(
                guild: World.guild, name: "other", members: [scene.agent.id, scene.human.id])
            try await world.sim.waitForSockets(user: scene.agent.id, joined: other.id)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "one")
            let one = try await world.gateway.delivery("one") { $0.text == "one" }
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "two")
            try await world.sim.post(as: scene.human.id, in: other.id, content: "elsewhere")
            _ = try await world.gateway.delivery("elsewhere") { $0.text == "elsewhere" }
            #expect(!world.gateway.deliveries.contains { $0.text == "two" })
            world.plugin.settle(one.id, .finished)
            _ = try await world.gateway.delivery("two") { $0.text == "two" }
        }
    }

    @Test(arguments: [Switches.IDKey.id, .messageId, .both])
    func everyIDSpellingIsRead(_ key: Switches.IDKey) async throws {
        try await withWorld { world in
            await world.sim.updateSwitches { $0.idKey = key }
            let scene = try await world.scene()
            let posted = try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "x")
            let delivery = try await world.gateway.delivery("x") { $0.text == "x" }
            #expect(delivery.json["message"]?["id"]?.string == posted.id)
        }
    }

    @Test(arguments: [Switches.HistoryEnvelope.array, .page, .items])
    func aGapIsReadFromHistoryInEveryEnvelope(_ envelope: Switches.HistoryEnvelope) async throws {
        try await withWorld { world in
            await world.sim.updateSwitches {
                $0.historyEnvelope = envelope
                $0.historyMaximum = 3
                $0.historyDescending = envelope == .array
            }
            let scene = try await world.scene()
            try await world.sim.stopGuild(World.guild)
            for number in 1...10 {
                try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "missed \(number)")
            }
            world.echo()
            try await world.sim.startGuild(World.guild)
            for number in 1...10 {
                _ = try await world.gateway.delivery("missed \(number)") { $0.text == "missed \(number)" }
            }
            #expect(world.gateway.deliveries.map(\.text) == (1...10).map { "missed \($0)" })
            #expect(world.gateway.deliveries.allSatisfy { $0.caughtUp && $0.wake && !$0.redelivered })
        }
    }

    @Test func duplicatesAndReorderedEventsAreDeliveredOnceInOrder() async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: .report)
            await world.sim.faults.update {
                $0.repeats = 2
                $0.reorderWindow = 3
            }
            for number in 1...9 {
                try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "\(number)")
            }
            _ = try await world.gateway.delivery("the last") { $0.text == "9" }
            #expect(world.gateway.deliveries.map(\.text) == (1...9).map(String.init))
        }
    }

    @Test func eventsWithoutSeqAreToldApartByID() async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: .report)
            await world.sim.faults.update {
                $0.omitsSeq = true
                $0.repeats = 2
            }
            for number in 1...3 {
                try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "\(number)")
            }
            await world.sim.faults.clear()
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "4")
            _ = try await world.gateway.delivery("the last") { $0.text == "4" }
            #expect(world.gateway.deliveries.map(\.text) == ["1", "2", "3", "4"])
        }
    }

    @Test(arguments: [Faults.Garbage.truncatedJSON, .unknownPacket, .invalidUTF8, .unexpectedBinary])
    func garbageClosesTheConnectionAndNothingIsLost(_ garbage: Faults.Garbage) async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: .report)
            await world.sim.faults.update { $0.garbage = garbage }
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "1")
            await world.sim.faults.clear()
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "2")
            _ = try await world.gateway.delivery("2") { $0.text == "2" }
            #expect(world.gateway.deliveries.map(\.text) == ["1", "2"])
        }
    }

    @Test(arguments: [ChannelType.discuss, .work])
    func aTurnThatSaysNothingLetsTheRotationGoOn(_ type: ChannelType) async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: type)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "what do you think?")
            let delivery = try await world.gateway.delivery("the turn") { $0.wake }
            world.plugin.settle(delivery.id, .finished)
            let request = try await world.sim.wait(for: "a post of the agent's") { sim in
                sim.requests.first { $0.method == "POST" && $0.user == scene.agent.id && $0.status == 201 }
            }
            #expect(request.target.hasSuffix("/messages"))
            let mine = await world.sim.history(scene.channel.id).filter { $0.author == scene.agent.id }
            #expect(mine.isEmpty, "/no-reply is shown to nobody")
        }
    }

    @Test func aLateTurnDoesNotStopItsConversation() async throws {
        try await withWorld { world in
            let scene = try await world.scene(["turnTimeoutSeconds": .double(0.2)])
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "hangs")
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "next")
            let hung = try await world.gateway.delivery("hangs") { $0.text == "hangs" }
            _ = try await world.gateway.delivery("next") { $0.text == "next" }
            world.plugin.settle(hung.id, .finished)
            #expect(world.gateway.deliveries.count == 2)
        }
    }
}
