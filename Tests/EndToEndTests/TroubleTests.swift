import FabricSimulator
import JSONBytes
import Testing

/// What is wrong is in the status, with its reason; and it costs no more than it must.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct TroubleTests {
    private func ask(_ world: World, _ scene: World.Scene, _ text: String) -> JSONValue {
        ["account": "agent", "to": .string("fabric:\(World.guild)/\(scene.channel.id)"), "text": .string(text)]
    }

    private func problem(_ status: JSONValue) -> String { status["outboxProblem"]?["reason"]?.string ?? "" }

    /// Posts are refused with 500 for a while: the status says why and since when, and all arrive in the end.
    @Test func postsThatFailAreTheStatus() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            await world.sim.faults.add(
                RouteFault(
                    method: "POST", path: "/api/channels", suffix: "/messages", status: 500,
                    message: "the database is away"))
            let sent = Task { [json = ask(world, scene, "patience")] in await world.send(json) }
            let status = try await world.status("the problem") { problem($0).contains("the database is away") }
            #expect(status["outbox"]?.int == 1)
            let seconds = status["outboxProblem"]?["seconds"]?.int ?? -1
            #expect(seconds >= 0 && seconds < 60)
            await world.sim.faults.clear()
            let (code, _) = await sent.value
            #expect(code == .ok)
            try await world.status("no problem") { $0["outboxProblem"] == nil && $0["outbox"]?.int == 0 }
            #expect(await world.sim.history(scene.channel.id).map(\.content) == ["patience"])
        }
    }

    @Test func postsThatAreNotAnsweredAreTheStatus() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            await world.sim.faults.add(
                RouteFault(method: "POST", path: "/api/channels", suffix: "/messages", drop: .never))
            let sent = Task { [json = ask(world, scene, "hello?")] in await world.send(json) }
            let status = try await world.status("the problem") { problem($0).contains("not answered") }
            #expect((status["outboxProblem"]?["seconds"]?.int ?? 0) >= 4)
            try await world.stop("agent")
            let (code, json) = await sent.value
            #expect(code == .unavailable && json["remedy"]?.string?.contains("kept") == true)
        }
    }

    /// The guild refuses every post as if the token were bad, whatever the token: one login finds that out.
    @Test func aRefusalThatNoTokenEndsCostsOneLogin() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            await world.sim.faults.add(
                RouteFault(method: "POST", path: "/api/channels", suffix: "/messages", count: 5, status: 401))
            let (code, _) = await world.send(ask(world, scene, "let me in"))
            #expect(code == .ok)
            #expect(await world.sim.counters.logins[scene.agent.id] == 2)
            // A token that has really expired is still replaced.
            await world.sim.expireTokens()
            await world.sim.dropSockets(guild: World.guild)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "still there?")
            _ = try await world.gateway.delivery("still there?", timeout: .seconds(60)) { $0.text == "still there?" }
        }
    }

    @Test(arguments: ["list", "login"]) func whatFailsWhileConnectingIsTheReason(_ what: String) async throws {
        try await withWorld { world in
            let agent = try await world.sim.createUser(name: "agent")
            await world.sim.faults.add(
                what == "list"
                    ? RouteFault(
                        server: World.guild, method: "GET", path: "/api/channels", status: 500,
                        message: "too many connections")
                    : RouteFault(server: "center", path: "/api/auth", status: 503, message: "too many connections"))
            try await world.configure([:], accounts: ["agent": agent.apiKey])
            try await world.start("agent")
            let status = try await world.gateway.status("the reason") {
                $0["reason"]?.string?.contains("too many connections") == true
            }
            #expect(status["connected"]?.bool == false && status["lifecycle"]?.string == "recovering")
            await world.sim.faults.clear()
            try await world.ready("agent")
            let reason = world.gateway.statuses.last?["reason"]?.string
            #expect(reason == "")
        }
    }

    /// Center leaves the guild out of a renewal: answers wait until it has it again.
    @Test func answersOutliveARenewalWithoutTheGuildsToken() async throws {
        try await withWorld { world in
            let scene = try await world.scene(["sessionSeconds": 2])
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "question")
            let delivery = try await world.gateway.delivery("question") { $0.wake }
            await world.sim.faults.update { $0.missingTokens = [World.guild] }
            await world.sim.expireTokens()
            var answer = ask(world, scene, "answer").object ?? [:]
            answer["delivery"] = .string(delivery.id)
            async let sent = world.send(.object(answer))
            _ = try await world.status("agent")
            world.plugin.settle(delivery.id, .finished)
            try await world.status("the waiting answer") {
                $0["outbox"]?.int == 1 && problem($0).contains(World.guild) && $0["deadLetters"]?.int == 0
            }
            await world.sim.faults.clear()
            let (code, json) = await sent
            #expect(code == .ok, "\(json)")
            #expect(await world.sim.history(scene.channel.id).map(\.content) == ["question", "answer"])
        }
    }

    /// Deaf in several channels at once is one deafness.
    @Test func oneDeafnessIsOneErrorRecord() async throws {
        try await withWorld { world in
            let scene = try await world.scene(["channelSyncSeconds": .double(0.4)], type: .report)
            var rooms = [scene.channel]
            for number in 0..<3 {
                let room = try await world.sim.createChannel(
                    name: "room \(number)", type: .report, members: [scene.agent.id, scene.human.id])
                try await world.sim.waitForSockets(user: scene.agent.id, joined: room.id)
                rooms.append(room)
            }
            try await world.nextLists(1, of: scene.agent)
            let before = Set(await world.sim.sockets(guild: World.guild).compactMap(\.sid))
            await world.sim.deafen(guild: World.guild)
            for room in rooms { try await world.sim.post(as: scene.human.id, in: room.id, content: room.name) }
            _ = try await world.heard(rooms.map(\.name))
            try await world.sim.waitForSockets(user: scene.agent.id, joined: scene.channel.id, excluding: before)
            try await world.status("ready") { $0["connected"]?.bool == true }
            let errors = world.log.text.split(separator: "\n").filter { $0.hasPrefix("error") }
            #expect(errors.count == 1 && errors.first?.contains("deaf") == true, "\(errors)")
            let status = try await world.status("agent").first ?? .null
            #expect(World.guild(status)?["deafEvents"]?.int == 1)
        }
    }

    /// A guild that acknowledges no join: ready all the same. How long is waited for it is FabricChannelTests' matter.
    @Test func joinsThatNobodyAcknowledgesAreNotWaitedForForEver() async throws {
        try await withWorld { world in
            await world.sim.updateSwitches { $0.acknowledgesJoin = false }
            let agent = try await world.sim.createUser(name: "agent")
            let human = try await world.sim.createUser(name: "human")
            let room = try await world.sim.createChannel(name: "room", members: [agent.id, human.id])
            try await world.configure([:], accounts: ["agent": agent.apiKey])
            try await world.start("agent")
            var known: Set<String> = []
            for _ in 0..<2 {
                let sockets = try await world.sim.waitForSockets(user: agent.id, joined: room.id, excluding: known)
                let joined = ContinuousClock.now
                _ = try await world.gateway.wait(for: "ready") {
                    $0.statuses.last?["connected"]?.bool == true ? true : nil
                }
                let took = joined.duration(to: .now)
                print("ready \(took) after joins that nobody acknowledged")
                known.formUnion(sockets.compactMap(\.sid))
                let told = world.gateway.statuses.count
                await world.sim.dropSockets(guild: World.guild)
                // It passes: by now it may be over.
                _ = try await world.gateway.wait(for: "the loss") { gateway in
                    gateway.statuses.dropFirst(told).contains { $0["connected"]?.bool == false } ? true : nil
                }
            }
        }
    }
}
