import FabricSimulator
import JSONBytes
import Testing

/// Positions that no log can have: a fault of that guild, counted, and nobody else's concern.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ExtremesTests {
    private static let impossible = [
        "9223372036854775807", "\"9223372036854775807\"", "-9223372036854775808", "\"-9223372036854775808\"",
        "5000000000000000000", "-5000000000000000000", "9007199254740994", "-2",
    ]

    /// Two guilds, an account in each, both answering.
    private func twoGuilds(_ body: (World, [World.Scene]) async throws -> Void) async throws {
        try await withWorld(.init(guilds: [World.guild, "other"])) { world in
            var scenes: [World.Scene] = []
            for guild in [World.guild, "other"] {
                let agent = try await world.sim.createUser(name: "agent-\(guild)", guilds: [guild])
                let human = try await world.sim.createUser(name: "human-\(guild)", guilds: [guild])
                let room = try await world.sim.createChannel(
                    guild: guild, name: "room", members: [agent.id, human.id])
                scenes.append(World.Scene(agent: agent, human: human, channel: room))
            }
            try await body(world, scenes)
        }
    }

    private func start(_ world: World, _ scenes: [World.Scene]) async throws {
        try await world.configure(
            ["channelSyncSeconds": .double(0.3)],
            accounts: ["agent": scenes[0].agent.apiKey, "other": scenes[1].agent.apiKey])
        for account in ["agent", "other"] {
            try await world.start(account)
            try await world.ready(account)
        }
        world.echo()
    }

    /// Both guilds answer a person.
    private func bothAnswer(_ world: World, _ scenes: [World.Scene], _ text: String) async throws {
        for scene in scenes {
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: text)
            _ = try await world.sim.waitForMessage(in: scene.channel.id) { $0.content == "echo: \(text)" }
        }
    }

    @Test func aLiveMessageAtAnImpossiblePositionEndsNothing() async throws {
        try await twoGuilds { world, scenes in
            try await start(world, scenes)
            try await bothAnswer(world, scenes, "before")
            for seq in Self.impossible {
                await world.sim.sendRaw(
                    World.event(scenes[0].channel, from: scenes[0].human, seq: seq, content: "impossible"),
                    guild: World.guild)
            }
            try await bothAnswer(world, scenes, "after")
            let status = try await world.status("agent").first ?? .null
            #expect(World.guild(status)?["protocolErrors"]?.int == Int64(Self.impossible.count))
            #expect(!world.gateway.deliveries.contains { $0.text == "impossible" })
            let other = try await world.status("other").first ?? .null
            #expect(World.guild(other, "other")?["protocolErrors"]?.int == 0)
            #expect(world.log.text.contains("the guild sent what cannot be"))
        }
    }

    /// The first list says it; then a message comes, and a post of our own.
    @Test(arguments: impossible) func aListWithAnImpossibleHeadEndsNothing(_ head: String) async throws {
        try await twoGuilds { world, scenes in
            await world.sim.faults.add(
                RouteFault(
                    server: World.guild, method: "GET", path: "/api/channels", suffix: "/channels", count: 3,
                    body: "[\(World.row(scenes[0].channel, lastSeq: head))]"))
            try await start(world, scenes)
            let (code, _) = await world.send([
                "account": "agent", "to": .string("fabric:\(World.guild)/\(scenes[0].channel.id)"), "text": "our own",
            ])
            #expect(code == .ok)
            try await bothAnswer(world, scenes, "hello")
            try await world.nextLists(2, of: scenes[0].agent)
            try await bothAnswer(world, scenes, "and again")
            let status = try await world.status("agent").first ?? .null
            let errors = World.guild(status)?["protocolErrors"]?.int ?? 0
            #expect(errors > 0)
        }
    }

    /// A list that is good, one that cannot be, and the largest head that can: what is said later is heard.
    @Test func aHeadThatLeapsCostsNothing() async throws {
        try await twoGuilds { world, scenes in
            try await start(world, scenes)
            try await bothAnswer(world, scenes, "one")
            for head in ["9223372036854775807", "9007199254740992"] {
                await world.sim.faults.add(
                    RouteFault(
                        server: World.guild, method: "GET", path: "/api/channels", suffix: "/channels", count: 1,
                        body: "[\(World.row(scenes[0].channel, lastSeq: head))]"))
                try await world.nextLists(2, of: scenes[0].agent)
                try await bothAnswer(world, scenes, "after \(head)")
            }
        }
    }
}
