import FabricAPI
import FabricSimulator
import JSONBytes
import Locking
import SocketIO
import Testing

/// The failure that started it all: tokens live for a while, sockets for days. The guild acknowledges a CONNECT with an
/// expired token and then ignores the socket.
@Suite(.serialized) struct ExpiredTokenTests {
    /// A client as the old plugin had it: the token is taken once.
    final class CapturedTokenClient: SocketIODelegate {
        private struct State {
            var connects = 0
            var texts: [String] = []
            var hooks: [@Sendable () -> Void] = []
        }
        private let state = Locked(State())
        private let channel: String
        let loop: RealtimeLoop
        private let client = Locked<SocketIOClient?>(nil)

        init(endpoint: String, token: String, channel: String) async throws {
            self.channel = channel
            loop = try RealtimeLoop()
            var configuration = try SocketIOClient.Configuration(url: endpoint)
            configuration.namespace = "/realtime"
            configuration.backoff.initial = .milliseconds(50)
            let made = SocketIOClient(
                configuration: configuration, loop: loop,
                auth: { _ in FabricRealtime.authentication(token: token) }, delegate: self)
            client.withLock { $0 = made }
            await made.connect()
        }

        func socketIO(_ client: SocketIOClient, received event: borrowing SocketIOEvent) {
            let text = event.argument(0)?["content"]?.string ?? event.argument(0)?["marker"]?.string ?? ""
            change { $0.texts.append(text) }
        }

        func socketIO(_ client: SocketIOClient, changed state: SocketIOState) {
            guard case .connected = state else { return }
            client.assumeIsolated {
                try? $0.emit(FabricRealtime.join, [.json(FabricRealtime.channelArgument(channel))])
            }
            change { $0.connects += 1 }
        }

        private func change(_ body: (inout State) -> Void) {
            let hooks = state.withLock { state in
                body(&state)
                defer { state.hooks = [] }
                return state.hooks
            }
            for hook in hooks { hook() }
        }

        func wait(until test: @escaping @Sendable (_ connects: Int, _ texts: [String]) -> Bool) async {
            while true {
                let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
                let done = state.withLock { state in
                    state.hooks.append { continuation.finish() }
                    return test(state.connects, state.texts)
                }
                if done { return }
                for await _ in stream {}
            }
        }

        var texts: [String] { state.withLock { $0.texts } }

        func close() async {
            await World.blocking { self.loop.shutdown() }
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func afterExpiryACapturedTokenIsDeafAndOursAnswers() async throws {
        try await withWorld { world in
            await world.sim.setTokenLifetime(.seconds(300))
            let scene = try await world.scene()
            world.echo()
            let watcher = try await world.sim.createUser(name: "watcher")
            await world.sim.join(scene.channel.id, user: watcher.id)
            let endpoint = try #require(world.sim.endpoints[World.guild])
            let token = await world.sim.issueGuildToken(user: watcher.id, guild: World.guild)
            let captured = try await CapturedTokenClient(
                endpoint: endpoint, token: token, channel: scene.channel.id)
            try await world.sim.waitForSockets(user: watcher.id, joined: scene.channel.id)

            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "before")
            await captured.wait { _, texts in texts.contains("before") }

            await world.sim.expireTokens()
            await world.sim.dropSockets(guild: World.guild)
            await captured.wait { connects, _ in connects >= 2 }
            try await world.sim.waitForSockets(user: scene.agent.id, joined: scene.channel.id)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "after")
            _ = try await world.sim.waitForMessage(in: scene.channel.id) { $0.content == "echo: after" }

            // Everything sent before this marker has arrived when the marker has.
            await world.sim.sendRaw(#"42/realtime,["marker",{"marker":"end"}]"#)
            await captured.wait { _, texts in texts.contains("end") }
            #expect(!captured.texts.contains("after"), "a captured token must be deaf, or this test proves nothing")
            await captured.close()
        }
    }

    @Test(arguments: [Switches.RejectMode.silent, .disconnectPacket, .connectError, .close])
    func everyWayOfRejectingAnExpiredTokenIsOvercome(_ mode: Switches.RejectMode) async throws {
        try await withWorld { world in
            await world.sim.updateSwitches { $0.rejectMode = mode }
            let scene = try await world.scene()
            world.echo()
            await world.sim.expireTokens()
            await world.sim.dropSockets(guild: World.guild)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "still there?")
            _ = try await world.sim.waitForMessage(in: scene.channel.id, timeout: .seconds(60)) {
                $0.content == "echo: still there?"
            }
        }
    }

    @Test func aDeafSocketIsNoticedAndHealedWithinTwoPeriods() async throws {
        try await withWorld { world in
            let scene = try await world.scene(["channelSyncSeconds": .double(0.4)])
            world.echo()
            let before = Set(await world.sim.sockets(guild: World.guild).compactMap(\.sid))
            await world.sim.deafen(guild: World.guild)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "do you hear me?")
            _ = try await world.sim.waitForMessage(in: scene.channel.id) { $0.content == "echo: do you hear me?" }
            try await world.sim.waitForSockets(
                user: scene.agent.id, joined: scene.channel.id, excluding: before)
            #expect(world.log.text.contains("deaf"))
            let logins = await world.sim.counters.logins[scene.agent.id]
            #expect(logins == 2, "the token of a deaf socket is replaced, once")
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "and now?")
            _ = try await world.sim.waitForMessage(in: scene.channel.id) { $0.content == "echo: and now?" }
            let answers = await world.sim.history(scene.channel.id).filter { $0.author == scene.agent.id }
            #expect(answers.map(\.content) == ["echo: do you hear me?", "echo: and now?"])
        }
    }

    @Test func anExpiredTokenOnHTTPIsReplacedOnce() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            await world.sim.expireTokens()
            var results: [String] = []
            await withTaskGroup(of: String.self) { group in
                for number in 0..<10 {
                    group.addTask {
                        let (code, _) = await world.send([
                            "account": "agent", "to": .string("fabric:\(World.guild)/\(scene.channel.id)"),
                            "text": .string("\(number)"),
                        ])
                        return "\(code)"
                    }
                }
                for await result in group { results.append(result) }
            }
            #expect(results.allSatisfy { $0 == "ok" })
            #expect(await world.sim.counters.logins[scene.agent.id] == 2)
        }
    }

    @Test func refusedCredentialsBlockAndStop() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            _ = try await world.sim.rotateKey(of: scene.agent.id)
            await world.sim.expireTokens(centerToo: true)
            await world.sim.dropSockets(guild: World.guild)
            let status = try await world.gateway.status("blocked") { $0["lifecycle"]?.string == "blocked" }
            #expect(status["connected"]?.bool == false && status["running"]?.bool == false)
            let reason = status["reason"]?.string
            #expect(reason?.isEmpty == false)
            let refused = await world.sim.counters.refusedLogins
            #expect(refused == 1, "a refused key is not tried again and again")
            #expect(!world.log.text.contains(scene.agent.apiKey))
        }
    }
}
