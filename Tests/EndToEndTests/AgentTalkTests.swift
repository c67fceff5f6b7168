import FabricSimulator
import Foundation
import JSONBytes
import Testing

/// Agents that answer each other come to an end; persons are always answered.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct AgentTalkTests {
    /// Everybody in one channel answers everything, as nothing but the built-in limit stops it.
    @Test(arguments: [2, 3]) func agentsStopAndAPersonIsHeardAgain(_ count: Int) async throws {
        try await withWorld { world in
            let human = try await world.sim.createUser(name: "human")
            var users: [SimulatedUser] = []
            for number in 0..<count { users.append(try await world.sim.createUser(name: "agent\(number)")) }
            let room = try await world.sim.createChannel(name: "room", members: users.map(\.id) + [human.id])
            world.echo()
            try await world.configure(
                [:],
                accounts: Dictionary(uniqueKeysWithValues: users.map { ($0.name, $0.apiKey) }))
            for user in users {
                try await world.start(user.name)
                try await world.ready(user.name)
            }
            var before = 0
            for text in ["hello", "are you still there?"] {
                let began = ContinuousClock.now
                try await world.sim.post(as: human.id, in: room.id, content: text)
                for user in users {
                    _ = try await world.sim.waitForMessage(in: room.id) {
                        $0.author == user.id && $0.content == "echo: \(text)"
                    }
                }
                // Over when each listens to none of the others: nothing they say wakes anybody for a minute.
                for user in users {
                    try await world.status("the end of the talk", of: user.name) {
                        $0["agentsHeld"]?.int == Int64(count - 1) && $0["outbox"]?.int == 0 && $0["waiting"]?.int == 0
                            && $0["lanes"]?.int == 0
                    }
                }
                let messages = await world.sim.history(room.id).count - before
                print("\(count) agents, one person: \(messages) messages in \(began.duration(to: .now)), then none")
                // The person's, an answer of each to it, and to each other twenty times.
                #expect(messages <= 1 + count * (1 + 20 * (count - 1)))
                #expect(messages > count)
                before += messages
            }
            // FABRIC_TALK_SECONDS=60 for the figure of a minute: nothing more is said in it.
            if let seconds = ProcessInfo.processInfo.environment["FABRIC_TALK_SECONDS"].flatMap({ Double($0) }) {
                try await ContinuousClock().sleep(for: .seconds(seconds))
                let all = await world.sim.history(room.id).count
                print("\(count) agents, one person: \(before) messages, and \(all - before) in \(seconds) s after that")
                #expect(all == before)
            }
            #expect(world.log.text.contains("agents answer each other"))
            for delivery in world.gateway.deliveries {
                let author = delivery.json["message"]?["author"]
                let isAgent = author?["isAgent"]?.bool ?? false
                #expect(isAgent == (author?["id"]?.string != human.id))
            }
        }
    }

    /// The identity file names the users of its agents, whichever gateway runs them.
    @Test func anAgentOfAnotherGatewayIsKnownByTheIdentityFile() async throws {
        try await withWorld { world in
            let elsewhere = try await world.sim.createUser(name: "elsewhere")
            let identity: JSONValue = [
                "entries": [
                    [
                        "agentId": "elsewhere", "fabricApiKey": .string(elsewhere.apiKey),
                        "fabricUserId": .string(elsewhere.id),
                    ]
                ]
            ]
            try Data(identity.serialized).write(to: URL(fileURLWithPath: world.directory + "/fabric-identity.json"))
            let scene = try await world.scene(["agentTalk": ["messages": 2]])
            world.settleAll()
            await world.sim.join(scene.channel.id, user: elsewhere.id)
            for number in 1...4 {
                try await world.sim.post(as: elsewhere.id, in: scene.channel.id, content: "agent \(number)")
            }
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "person")
            _ = try await world.gateway.delivery("person") { $0.text == "person" }
            let deliveries = world.gateway.deliveries
            #expect(deliveries.map(\.wake) == [true, true, false, false, true])
            #expect(
                deliveries.map { $0.json["message"]?["author"]?["isAgent"]?.bool ?? false } == [
                    true, true, true, true, false,
                ])
        }
    }
}
