import Foundation
import Testing

@testable import FabricSimulator

/// Against python3-socketio, an independent client.
@Suite(.timeLimit(.minutes(5))) struct RealtimeTests {
    private let guild = "sim-guild-1"

    private func client(
        _ sim: FabricSimulator, _ user: SimulatedUser, token: String? = nil, reconnects: Bool = false
    ) async throws -> PythonClient {
        var given = token ?? ""
        if token == nil { given = await sim.issueGuildToken(user: user.id, guild: guild) }
        return try PythonClient(
            "realtime.py", [sim.endpoints[guild] ?? "", given] + (reconnects ? ["reconnect"] : []))
    }

    @Test func joinsAndHearsWithWakeup() async throws {
        try await withSimulator { sim in
            let echo = try await sim.createUser(name: "echo")
            let human = try await sim.createUser(name: "human")
            let channel = try await sim.createChannel(name: "general", members: [echo.id, human.id])
            let client = try await client(sim, echo)
            defer { client.stop() }
            _ = try await client.expect("connect")
            // Not joined: nothing is heard.
            try await sim.waitForSockets(user: echo.id)
            try await sim.post(as: human.id, in: channel.id, content: "unheard")
            try client.send(["do": "join", "channel": channel.id])
            let ack = try await client.expect("ack")
            #expect(ack.data["ok"] as? Bool == true)
            let sockets = try await sim.waitForSockets(guild: guild, user: echo.id, joined: channel.id)
            #expect(sockets.count == 1 && sockets[0].tokenExpiry != nil)

            try await sim.post(as: human.id, in: channel.id, content: "hi")
            let first = try await client.expect("message.created")
            #expect(first.data["content"] as? String == "hi")
            #expect(first.data["wakeup"] as? Bool == true)
            #expect(first.data["seq"] as? Int == 2)
            #expect(first.data["xType"] as? String == "general")
            #expect(first.data["authorUserId"] as? String == human.id)
            try await sim.post(as: human.id, in: channel.id, content: "for <@\(human.id)>")
            #expect(try await client.expect("message.created").data["wakeup"] as? Bool == false)
            // The author's echo.
            try await sim.post(as: echo.id, in: channel.id, content: "own")
            #expect(try await client.expect("message.created").data["wakeup"] as? Bool == false)

            try client.send(["do": "leave", "channel": channel.id])
            _ = try await client.expect("ack")
            try await sim.post(as: human.id, in: channel.id, content: "unheard too")
            let other = try await sim.createChannel(name: "new", type: .dm, members: [echo.id])
            let joined = try await client.expect("channel.joined")
            #expect(joined.data["channelId"] as? String == other.id && joined.data["xType"] as? String == "dm")
            await sim.leave(other.id, user: echo.id)
            #expect(try await client.expect("channel.left").data["userId"] as? String == echo.id)
        }
    }

    @Test func largeMessagesPassWhole() async throws {
        try await withSimulator { sim in
            let echo = try await sim.createUser(name: "echo")
            let human = try await sim.createUser(name: "human")
            let channel = try await sim.createChannel(name: "dm", type: .dm, members: [echo.id, human.id])
            let client = try await client(sim, echo)
            defer { client.stop() }
            _ = try await client.expect("connect")
            try client.send(["do": "join", "channel": channel.id])
            _ = try await client.expect("ack")
            let text = String(repeating: "wörd ", count: 400_000)
            try await sim.post(as: human.id, in: channel.id, content: text)
            #expect(try await client.expect("message.created").data["content"] as? String == text)
        }
    }

    @Test func outsidersDoNotGetIn() async throws {
        try await withSimulator { sim in
            let outsider = try await sim.createUser(name: "outsider")
            let human = try await sim.createUser(name: "human")
            let channel = try await sim.createChannel(name: "secret", members: [human.id])
            let client = try await client(sim, outsider)
            defer { client.stop() }
            _ = try await client.expect("connect")
            try client.send(["do": "join", "channel": channel.id])
            #expect(try await client.expect("ack").data["ok"] as? Bool == false)
            try await sim.post(as: human.id, in: channel.id, content: "secret")
            await sim.disconnectSockets()
            _ = try await client.expect("disconnect")
        }
    }

    /// The failure that started it all: CONNECT acknowledged, then ignored.
    @Test func expiredTokenIsAcknowledgedAndIgnored() async throws {
        try await withSimulator { sim in
            let echo = try await sim.createUser(name: "echo")
            let channel = try await sim.createChannel(name: "general", members: [echo.id])
            let token = await sim.issueGuildToken(user: echo.id, guild: guild)
            await sim.expireTokens(user: echo.id)
            let client = try await client(sim, echo, token: token)
            defer { client.stop() }
            _ = try await client.expect("connect")
            try client.send(["do": "join", "channel": channel.id, "timeout": 0.2])
            _ = try await client.expect("no-ack")
            try await sim.waitForCounters { $0.rejectedConnects["sim-guild-1"] == 1 }
            let sockets = await sim.sockets(guild: guild)
            #expect(sockets.map(\.rejected) == [true] && sockets[0].user == nil && sockets[0].rooms.isEmpty)
        }
    }

    @Test(arguments: [Switches.RejectMode.disconnectPacket, .close])
    func rejectionAfterTheAcknowledgement(mode: Switches.RejectMode) async throws {
        try await withSimulator { sim in
            await sim.updateSwitches { $0.rejectMode = mode }
            let echo = try await sim.createUser(name: "echo")
            let client = try await client(sim, echo, token: "nonsense")
            defer { client.stop() }
            let first = try await client.next()
            // The library may see the end before it has told anyone of the beginning.
            if first.name == "connect" { _ = try await client.expect("disconnect") }
            let counters = await sim.counters
            #expect(counters.rejectedConnects[guild] == 1)
        }
    }

    @Test func goodTokenCanBeRejectedToo() async throws {
        try await withSimulator { sim in
            await sim.updateSwitches { $0.rejectMode = .connectError }
            await sim.faults.update { $0.rejectConnects = 1 }
            let echo = try await sim.createUser(name: "echo")
            let first = try await client(sim, echo)
            defer { first.stop() }
            _ = try await first.expect("connect_error")
            let second = try await client(sim, echo)
            defer { second.stop() }
            _ = try await second.expect("connect")
        }
    }

    @Test func waitingEndsWithTheDeadlineTheStopAndTheTask() async throws {
        let sim = try await FabricSimulator.start()
        let channel = try await sim.createChannel(name: "quiet")
        await #expect(throws: SimulatorError.self) {
            try await sim.waitForMessage(in: channel.id, timeout: .milliseconds(5)) { _ in true }
        }
        let cancelled = Task { try await sim.waitForSockets(timeout: .seconds(60)) }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        let stopped = Task { try await sim.waitForSockets(timeout: .seconds(60)) }
        let stream = await sim.messages(channel.id)
        // Its turn comes only when the wait has begun.
        while await sim.waiters.isEmpty { await Task.yield() }
        await sim.stop()
        await #expect(throws: SimulatorError.self) { try await stopped.value }
        for await _ in stream {}
        await sim.stop()
    }

    @Test func messagesStreamWhatIsThereAndWhatComes() async throws {
        try await withSimulator { sim in
            let human = try await sim.createUser(name: "human")
            let channel = try await sim.createChannel(name: "general", members: [human.id])
            try await sim.post(as: human.id, in: channel.id, content: "1")
            let stream = await sim.messages(channel.id)
            try await sim.post(as: human.id, in: channel.id, content: "2")
            var heard: [String] = []
            for await message in stream {
                heard.append(message.content)
                if heard.count == 2 { break }
            }
            #expect(heard == ["1", "2"])
        }
    }

    private func raw(_ sim: FabricSimulator, _ frames: [String]) async throws -> PythonClient {
        let client = try PythonClient("raw.py", [sim.endpoints[guild] ?? ""])
        try client.send(line: JSONText.bytes(frames))
        let open = try await client.expect("frame")
        #expect((open.object["data"] as? String)?.hasPrefix("0{") == true)
        return client
    }

    @Test func clientsThatPingAreClosedWithoutStatus() async throws {
        try await withSimulator { sim in
            let client = try await raw(sim, ["2"])
            defer { client.stop() }
            // aiohttp says 0 for a close frame without a status.
            let code = try await client.expect("closed").object["code"] as? Int
            #expect(code == 0)
            #expect(await sim.counters.clientPings == 1)
        }
    }

    @Test func namespacesAndNonsense() async throws {
        try await withSimulator { sim in
            let client = try await raw(
                sim,
                [
                    "40", "40/other,{}", "42/realtime,[\"join_channel\"]", "42/realtime,1[]", "42/realtime,{", "5", "6",
                    "451-/realtime,[\"x\",{\"_placeholder\":true,\"num\":0}]", "40/realtime,{\"token\":5}", "9",
                ])
            defer { client.stop() }
            let root = try await client.expect("frame").object["data"] as? String
            #expect(root?.hasPrefix("40{\"sid\":") == true)
            let other = try await client.expect("frame").object["data"] as? String
            #expect(other == "44/other,{\"message\":\"Invalid namespace\"}")
            let accepted = try await client.expect("frame").object["data"] as? String
            #expect(accepted?.hasPrefix("40/realtime,{\"sid\":") == true)
            _ = try await client.expect("closed")
            #expect(await sim.counters.rejectedConnects[guild] == 1)
        }
    }

    @Test(arguments: [Faults.Garbage.truncatedJSON, .unknownPacket])
    func garbageComesBeforeTheEvent(garbage: Faults.Garbage) async throws {
        try await withSimulator { sim in
            let echo = try await sim.createUser(name: "echo")
            let channel = try await sim.createChannel(name: "dm", type: .dm, members: [echo.id])
            let token = await sim.issueGuildToken(user: echo.id, guild: guild)
            await sim.faults.update { ($0.garbage, $0.emitDelay) = (garbage, 0.001) }
            let client = try await raw(
                sim,
                [
                    "40/realtime,{\"token\":\"\(token)\"}",
                    "42/realtime,7[\"join_channel\",{\"channelId\":\"\(channel.id)\"}]",
                ])
            defer { client.stop() }
            _ = try await client.expect("frame")
            #expect(try await client.expect("frame").object["data"] as? String == "43/realtime,7[{\"ok\":true}]")
            try await sim.post(as: echo.id, in: channel.id, content: "x")
            let first = try await client.expect("frame").object["data"] as? String
            #expect(first == (garbage == .unknownPacket ? "49" : "42/realtime,[\"message.created\",{"))
            let second = try await client.expect("frame").object["data"] as? String
            #expect(second?.contains("\"wakeup\":false") == true)
        }
    }

    @Test func connectErrorMode() async throws {
        try await withSimulator { sim in
            await sim.updateSwitches { $0.rejectMode = .connectError }
            let echo = try await sim.createUser(name: "echo")
            let client = try await client(sim, echo, token: "nonsense")
            defer { client.stop() }
            #expect(try await client.expect("connect_error").text.contains("unauthorized"))
        }
    }

    @Test(arguments: [false, true])
    func restartForgetsRoomsAndKeepsMessages(abruptly: Bool) async throws {
        try await withSimulator { sim in
            let echo = try await sim.createUser(name: "echo")
            let human = try await sim.createUser(name: "human")
            let channel = try await sim.createChannel(name: "general", members: [echo.id, human.id])
            let client = try await client(sim, echo, reconnects: true)
            defer { client.stop() }
            _ = try await client.expect("connect")
            try client.send(["do": "join", "channel": channel.id])
            _ = try await client.expect("ack")
            let before = try await sim.waitForSockets(user: echo.id, joined: channel.id)
            try await sim.restartGuild(guild, abruptly: abruptly)
            _ = try await client.expect("disconnect")
            try await sim.post(as: human.id, in: channel.id, content: "missed")
            _ = try await client.expect("connect")
            let after = try await sim.waitForSockets(
                user: echo.id, excluding: Set(before.compactMap(\.sid)))
            #expect(after.count == 1 && after[0].rooms.isEmpty)
            try client.send(["do": "join", "channel": channel.id])
            _ = try await client.expect("ack")
            try await sim.post(as: human.id, in: channel.id, content: "heard")
            #expect(try await client.expect("message.created").data["content"] as? String == "heard")
            #expect(await sim.history(channel.id).map(\.seq) == [1, 2])
        }
    }

    @Test func deafSocketsHearNothingAndLaterOnesDo() async throws {
        try await withSimulator { sim in
            let echo = try await sim.createUser(name: "echo")
            let human = try await sim.createUser(name: "human")
            let channel = try await sim.createChannel(name: "general", members: [echo.id, human.id])
            let first = try await client(sim, echo)
            defer { first.stop() }
            _ = try await first.expect("connect")
            try first.send(["do": "join", "channel": channel.id])
            _ = try await first.expect("ack")
            await sim.deafen(guild: guild, user: echo.id)
            let second = try await client(sim, echo)
            defer { second.stop() }
            _ = try await second.expect("connect")
            try second.send(["do": "join", "channel": channel.id])
            _ = try await second.expect("ack")
            try await sim.post(as: human.id, in: channel.id, content: "hi")
            _ = try await second.expect("message.created")
            // The deaf one still gets answers, so had it been sent the event, that would stand before this ack.
            try first.send(["do": "join", "channel": channel.id])
            _ = try await first.expect("ack")
        }
    }

    @Test func repeatedReorderedAndUnnumberedEvents() async throws {
        try await withSimulator { sim in
            let echo = try await sim.createUser(name: "echo")
            let human = try await sim.createUser(name: "human")
            let channel = try await sim.createChannel(name: "general", members: [echo.id, human.id])
            let client = try await client(sim, echo)
            defer { client.stop() }
            _ = try await client.expect("connect")
            try client.send(["do": "join", "channel": channel.id])
            _ = try await client.expect("ack")
            func hear() async throws -> [Int?] {
                var seqs: [Int?] = []
                for _ in 0..<2 { seqs.append(try await client.expect("message.created").data["seq"] as? Int) }
                return seqs
            }
            await sim.faults.update { $0.repeats = 2 }
            try await sim.post(as: human.id, in: channel.id, content: "1")
            #expect(try await hear() == [1, 1])
            await sim.faults.update { ($0.repeats, $0.reorderWindow) = (1, 2) }
            try await sim.post(as: human.id, in: channel.id, content: "2")
            try await sim.post(as: human.id, in: channel.id, content: "3")
            #expect(try await hear() == [3, 2])
            try await sim.post(as: human.id, in: channel.id, content: "4")
            await sim.faults.clear()
            await sim.faults.update { $0.omitsSeq = true }
            try await sim.post(as: human.id, in: channel.id, content: "5")
            #expect(try await hear() == [4, nil])
        }
    }

    @Test func serverPingsAndNoticesAMissingPong() async throws {
        try await withSimulator { sim in
            await sim.updateSwitches { ($0.pingInterval, $0.pingTimeout) = (0.05, 5) }
            let echo = try await sim.createUser(name: "echo")
            let client = try await client(sim, echo)
            defer { client.stop() }
            _ = try await client.expect("connect")
            try await sim.waitForCounters { $0.pongsReceived >= 3 }
            let counters = await sim.counters
            #expect(counters.clientPings == 0 && counters.pingTimeouts == 0)
        }
    }

    @Test func expiryCutsLiveSocketsOnlyWhenSwitchedOn() async throws {
        try await withSimulator { sim in
            let echo = try await sim.createUser(name: "echo")
            let channel = try await sim.createChannel(name: "general", members: [echo.id])
            let client = try await client(sim, echo)
            defer { client.stop() }
            _ = try await client.expect("connect")
            await sim.expireTokens()
            // Still alive: the check is made at CONNECT only.
            try client.send(["do": "join", "channel": channel.id])
            #expect(try await client.expect("ack").data["ok"] as? Bool == true)
            await sim.updateSwitches { $0.cutAtExpiry = true }
            await sim.expireTokens()
            _ = try await client.expect("disconnect")
            try await sim.waitForNoSockets()
        }
    }

    @Test func refusedBlackholedAndSilentServers() async throws {
        try await withSimulator { sim in
            let echo = try await sim.createUser(name: "echo")
            await sim.faults.add(RouteFault(method: "GET", path: "/socket.io/", count: 1, status: 503))
            let refused = try await client(sim, echo)
            defer { refused.stop() }
            _ = try await refused.expect("failed")
            await sim.faults.update { $0.resets = ["sim-guild-1"] }
            let reset = try await client(sim, echo)
            defer { reset.stop() }
            _ = try await reset.expect("failed")
            await sim.faults.set(Faults())
            await sim.faults.update { $0.silence = .beforeConnect }
            let silent = try await client(sim, echo)
            defer { silent.stop() }
            _ = try await silent.expect("failed")
            let counters = await sim.counters
            #expect(counters.connects[guild] == nil)
        }
    }

    @Test func thousandSockets() async throws {
        try await withSimulator { sim in
            let human = try await sim.createUser(name: "human")
            var tokens: [String] = []
            var members = [human.id]
            for index in 0..<1000 {
                let user = try await sim.createUser(name: "agent\(index)")
                members.append(user.id)
                tokens.append(await sim.issueGuildToken(user: user.id, guild: guild))
            }
            let channel = try await sim.createChannel(name: "all", members: members)
            let client = try PythonClient("many.py", [sim.endpoints[guild] ?? "", channel.id])
            defer { client.stop() }
            try client.send(line: JSONText.bytes(tokens))
            let ready = try await client.next(timeout: .seconds(60))
            #expect(ready.name == "ready")
            #expect(await sim.sockets(guild: guild).filter { $0.rooms == [channel.id] }.count == 1000)
            let start = ContinuousClock.now
            try await sim.post(as: human.id, in: channel.id, content: "to all")
            print("1000 sockets: \(ready.text) post+emit \(start.duration(to: .now))")
            let all = try await client.next(timeout: .seconds(60))
            print("1000 sockets: \(all.text)")
            #expect(all.object["count"] as? Int == 1000)
        }
    }
}
