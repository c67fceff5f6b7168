import FabricSimulator
import Foundation
import JSONBytes
import Testing

/// Two guilds for one agent, each with its own fate; and guilds behind an authority of their own.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ManyGuildsTests {
    private static let names = [World.guild, "second"]

    private struct Stage {
        var agent: SimulatedUser
        var human: SimulatedUser
        var rooms: [String: SimulatedChannel] = [:]
    }

    /// An agent that answers, in a channel of each guild; `prepare` is called before it is configured.
    private func withTwo(
        _ settings: [String: JSONValue] = [:], prepare: (World) async throws -> Void = { _ in },
        _ body: (World, Stage) async throws -> Void
    ) async throws {
        try await withWorld(.init(guilds: Self.names)) { world in
            var stage = Stage(
                agent: try await world.sim.createUser(name: "agent"),
                human: try await world.sim.createUser(name: "human"))
            for name in Self.names {
                stage.rooms[name] = try await world.sim.createChannel(
                    guild: name, name: "room", members: [stage.agent.id, stage.human.id])
            }
            try await prepare(world)
            world.echo()
            try await world.configure(settings, accounts: ["agent": stage.agent.apiKey])
            try await world.start("agent")
            try await body(world, stage)
        }
    }

    private func answers(_ world: World, _ stage: Stage, in guild: String, _ text: String) async throws {
        let room = try #require(stage.rooms[guild])
        try await world.sim.post(as: stage.human.id, in: room.id, content: text)
        _ = try await world.sim.waitForMessage(in: room.id) { $0.content == "echo: \(text)" }
    }

    @Test func oneGuildIsAwayTheOtherAnswers() async throws {
        try await withTwo { world, stage in
            try await world.ready("agent")
            for name in Self.names { try await answers(world, stage, in: name, "hello") }
            try await world.sim.stopGuild("second")
            let status = try await world.status("the loss") { $0["connected"]?.bool == false }
            #expect(status["lifecycle"]?.string == "recovering")
            #expect(status["reason"]?.string?.contains("second") == true, "\(status["reason"] ?? .null)")
            #expect(World.guild(status)?["connected"]?.bool == true)
            #expect(World.guild(status, "second")?["connected"]?.bool == false)
            try await answers(world, stage, in: World.guild, "and you?")
            let room = try #require(stage.rooms["second"])
            try await world.sim.post(as: stage.human.id, in: room.id, content: "missed")
            try await world.sim.startGuild("second")
            _ = try await world.sim.waitForMessage(in: room.id, timeout: .seconds(60)) { $0.content == "echo: missed" }
            try await world.status("all well") { $0["connected"]?.bool == true && $0["reason"]?.string == "" }
            #expect(await world.sim.counters.logins[stage.agent.id] == 1)
        }
    }

    /// The other guild's ups and downs do not hide the reason.
    @Test func aGuildThatCannotBeUsedIsNamedWhileTheOtherWorks() async throws {
        let prepare: (World) async throws -> Void = { await $0.sim.setEndpoint(of: "second", "ftp://nowhere.invalid") }
        try await withTwo(prepare: prepare) { world, stage in
            try await world.status("the first guild") { World.guild($0)?["connected"]?.bool == true }
            try await answers(world, stage, in: World.guild, "hello")
            func check(_ status: JSONValue) {
                #expect(status["connected"]?.bool == false)
                #expect(World.guild(status)?["connected"]?.bool == true)
                #expect(World.guild(status, "second")?["connected"]?.bool == false)
                let reason = status["reason"]?.string ?? ""
                #expect(reason.contains("second") && reason.contains("ftp"), "\(reason)")
            }
            check(try await world.status("the reason") { World.guild($0)?["connected"]?.bool == true })
            let before = Set(await world.sim.sockets(guild: World.guild).compactMap(\.sid))
            await world.sim.dropSockets(guild: World.guild)
            try await world.sim.waitForSockets(guild: World.guild, user: stage.agent.id, excluding: before)
            try await answers(world, stage, in: World.guild, "still?")
            check(try await world.status("the reason") { World.guild($0)?["connected"]?.bool == true })
            // Mended at Center: the next session brings it.
            await world.sim.setEndpoint(of: "second", try #require(world.sim.endpoints["second"]))
            await world.sim.expireTokens()
            await world.sim.dropSockets(guild: World.guild)
            try await world.status("all well", timeout: .seconds(60)) { $0["connected"]?.bool == true }
            try await answers(world, stage, in: "second", "here at last")
        }
    }

    /// Listed, but Center gives no token for it: the account says so, and does not log in again and again.
    @Test func aGuildWithoutATokenIsNamedAndCostsNoLogins() async throws {
        let prepare: (World) async throws -> Void = { world in
            await world.sim.faults.update { $0.missingTokens = ["second"] }
        }
        try await withTwo(prepare: prepare) { world, stage in
            try await world.status("the first guild") { World.guild($0)?["connected"]?.bool == true }
            try await answers(world, stage, in: World.guild, "hello")
            let status = try await world.status("several attempts") {
                World.guild($0, "second")?["reconnectAttempts"]?.int ?? 0 >= 4
            }
            #expect(status["connected"]?.bool == false)
            let reason = status["reason"]?.string ?? ""
            #expect(reason.contains("second") && reason.contains("token"), "\(reason)")
            let logins = await world.sim.counters.logins[stage.agent.id] ?? 0
            #expect(logins <= 2, "\(logins) logins")
            try await answers(world, stage, in: World.guild, "still well")
        }
    }

    /// Center and guilds have certificates of an authority of their own, which the configuration names.
    @Test func acrossTLSWithAnAuthorityOfOnesOwn() async throws {
        try await withWorld(.init(guilds: Self.names)) { world in
            let ports = try (Self.names.map { try #require(world.sim.endpoints[$0]) } + [world.sim.centerBase]).map {
                try #require(URLComponents(string: $0)?.port)
            }
            let proxy = try TLSProxy(in: world.directory, to: ports)
            defer { proxy.stop() }
            for (name, port) in zip(Self.names, proxy.ports) {
                await world.sim.setEndpoint(of: name, "https://127.0.0.1:\(port)")
            }
            let agent = try await world.sim.createUser(name: "agent")
            let human = try await world.sim.createUser(name: "human")
            let room = try await world.sim.createChannel(name: "room", members: [agent.id, human.id])
            let file = await world.sim.putFile(name: "plan.txt", mediaType: "text/plain", bytes: Array("plan".utf8))
            let center: JSONValue = .string("https://127.0.0.1:\(proxy.ports[2])/api")
            world.echo()

            // Without the authority nobody is trusted, and nothing is sent.
            try await world.configure(["centerApiBase": center], accounts: ["agent": agent.apiKey])
            try await world.start("agent")
            let refused = try await world.status("the reason") { $0["reason"]?.string?.contains("certificate") == true }
            #expect(refused["connected"]?.bool == false)
            #expect(await world.sim.counters.logins.isEmpty)
            try await world.stop("agent")

            try await world.configure(
                ["centerApiBase": center, "certificateAuthorityFile": .string(proxy.authority)],
                accounts: ["agent": agent.apiKey])
            try await world.start("agent")
            try await world.ready("agent")
            try await world.sim.post(
                as: human.id, in: room.id, content: "over TLS", attachments: [file.attachment])
            _ = try await world.sim.waitForMessage(in: room.id) { $0.content == "echo: over TLS" }
            let delivery = try await world.gateway.delivery("the message") { $0.text == "over TLS" }
            #expect(delivery.media.first?["bytes"]?.int == 4)
        }
    }
}
