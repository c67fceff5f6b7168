import FabricSimulator
import JSONBytes
import Testing

/// Everything goes wrong at once, on real wires: sockets are dropped, deafened and flooded with repeats, the guild and Center
/// restart, tokens expire, requests fail, answers get lost. Afterwards every message must have been answered exactly once,
/// in order per channel.
@Suite(.serialized) struct ChaosTests {
    private static let agents = 8

    private struct Dice: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ (state >> 29)
        }
    }

    @Test(.timeLimit(.minutes(4)), arguments: [1, 2, 3])
    func everyMessageIsAnsweredOnceAndInOrder(_ seed: UInt64) async throws {
        try await withWorld { world in
            var dice = Dice(state: seed)
            let human = try await world.sim.createUser(name: "human")
            var keys: [String: String] = [:]
            var rooms: [(agent: SimulatedUser, room: SimulatedChannel)] = []
            for number in 0..<Self.agents {
                let agent = try await world.sim.createUser(name: "a\(number)")
                keys[agent.name] = agent.apiKey
                rooms.append(
                    (
                        agent,
                        try await world.sim.createChannel(
                            guild: World.guild, name: "room \(number)", members: [agent.id, human.id])
                    ))
            }
            try await world.configure(["channelSyncSeconds": .double(0.5)], accounts: keys)
            world.echo()
            for id in keys.keys { try await world.start(id) }
            for id in keys.keys { try await world.ready(id) }

            var asked: [String: [String]] = [:]
            for round in 0..<60 {
                for (_, room) in rooms where Bool.random(using: &dice) {
                    let text = "\(round)"
                    asked[room.id, default: []].append("echo: \(text)")
                    try await world.sim.post(as: human.id, in: room.id, content: text)
                }
                try await trouble(world, &dice)
                // A status request is a turn of the loop: things happen between the rounds.
                _ = try await world.status()
            }
            await world.sim.faults.clear()

            for (agent, room) in rooms {
                let expected = asked[room.id] ?? []
                _ = try await world.sim.wait(for: "every answer in \(room.name)", timeout: .seconds(90)) { sim in
                    sim.history(room.id).count { $0.author == agent.id } >= expected.count ? true : nil
                }
            }
            for (agent, room) in rooms {
                let answers = await world.sim.history(room.id).filter { $0.author == agent.id }.map(\.content)
                #expect(answers == asked[room.id] ?? [], "seed \(seed), \(room.name)")
            }
            let repeated = world.gateway.deliveries.filter { !$0.redelivered }.map(\.id)
            #expect(Set(repeated).count == repeated.count, "nothing is delivered twice without saying so")
        }
    }

    private func trouble(_ world: World, _ dice: inout Dice) async throws {
        let sim = world.sim
        switch Int.random(in: 0..<16, using: &dice) {
        case 0: await sim.dropSockets(guild: World.guild)
        case 1: await sim.dropSockets(guild: World.guild, abruptly: true)
        case 2: await sim.disconnectSockets(guild: World.guild)
        case 3: await sim.deafen(guild: World.guild)
        case 4: await sim.expireTokens()
        case 5:
            try await sim.restartGuild(World.guild, abruptly: Bool.random(using: &dice))
        case 6: try await sim.restartCenter()
        case 7: await sim.faults.update { $0.repeats = 2 }
        case 8: await sim.faults.update { $0.reorderWindow = 3 }
        case 9:
            await sim.faults.add(
                RouteFault(method: "POST", path: "/api/channels", suffix: "/messages", count: 2, drop: .after))
        case 10: await sim.faults.add(RouteFault(path: "/api/channels", count: 3, status: 503))
        case 11: await sim.faults.add(RouteFault(method: "GET", path: "/api/channels", count: 2, truncateAfter: 20))
        case 12: await sim.faults.update { $0.garbage = .truncatedJSON }
        case 13: await sim.faults.add(RouteFault(path: "/api/auth", count: 2, status: 500))
        default: await sim.faults.clear()
        }
    }
}
