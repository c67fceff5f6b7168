import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes
import Testing

extension GatewayEndToEnd {
    /// More agents than descriptors.
    @Suite struct Descriptors {
        /// The soft limit of most systems before a release: FABRIC_DESCRIPTORS=1024 ./setup test --filter Descriptors
        static let limit =
            ProcessInfo.processInfo.environment["FABRIC_DESCRIPTORS"].flatMap { Int($0) } ?? 160
        static let script = "sed -n 's/.*\"text\":\"\\([^\"]*\\)\".*/echo: \\1/p'"

        private struct Member: Sendable {
            let agent: SimulatedUser
            let room: SimulatedChannel
        }

        /// A soft limit is raised, and all are connected. A hard one is not: who is connected is answered, status and stop
        /// answer, no turn fails; and who was not is answered by the next gateway, which has room. Nobody is answered twice.
        @Test(.timeLimit(.minutes(30))) func everyTurnWorksOrWaits() async throws {
            try await Stage.play { stage in
                let (limit, count) = (Self.limit, Self.limit + 16)
                let human = try await stage.sim.createUser(name: "human")
                var made: [Member] = []
                for number in 0..<count {
                    let agent = try await stage.sim.createUser(name: "agent-\(number)")
                    let room = try await stage.sim.createChannel(
                        guild: Stage.guild, name: "room \(number)", type: .general, members: [agent.id, human.id])
                    made.append(Member(agent: agent, room: room))
                }
                let members = made
                try stage.configure(
                    accounts: Dictionary(
                        uniqueKeysWithValues: members.map {
                            ($0.agent.name, ["fabricApiKey": .string($0.agent.apiKey)])
                        }),
                    agents: ["worker": ["command": ["/bin/sh", "-c", .string(Self.script)]]],
                    bindings: [["agentId": "worker", "match": ["channel": "fabric"]]])

                let first = try await start(stage, "ulimit -S -n \(limit)")
                try await joined(stage, members, by: count)
                #expect(try await stage.stop(first).code == 0)
                for (number, member) in members.enumerated() {
                    try await stage.sim.post(as: human.id, in: member.room.id, content: "away \(number)")
                }

                let second = try await start(stage, "ulimit -n \(limit)")
                try await second.says("too few descriptors for so many accounts")
                let table = "/proc/\(second.pid)/fd"
                let end = ContinuousClock.now.advanced(by: .seconds(300))
                while try FileManager.default.contentsOfDirectory(atPath: table).count < limit - limit / 8 - 4 {
                    try #require(ContinuousClock.now < end, "the table never filled")
                    _ = try await stage.status()
                }
                // Some of those that have a place are asked live, too.
                let inside = await stage.sim.sockets().compactMap(\.user)
                let live = Array(members.enumerated().filter { inside.contains($1.agent.id) }.prefix(20))
                for (number, member) in live {
                    try await stage.sim.post(as: human.id, in: member.room.id, content: "live \(number)")
                }
                let heard = try await answered(stage, members, live: Set(live.map(\.offset)))
                #expect(heard >= limit / 4 && heard < count)
                // Attempts come and go at first; in the end the table is as full as it gets, and is said to be.
                _ = try await eventually("the status says it", within: .seconds(300)) {
                    let begun = ContinuousClock.now
                    let status = try await stage.command("status")
                    #expect(ContinuousClock.now - begun < .seconds(60), "it is not held up by the table")
                    return status.code == 1 && status.output.contains("descriptors are in use") ? true : nil
                }
                let turns = try await stage.status()["accounts"]?.array?.map { $0["turns"]?["failuresInRow"]?.int ?? 0 }
                #expect(turns?.count == count && turns?.allSatisfy { $0 == 0 } == true)
                #expect(try await stage.stop(second).code == 0)
                print("\(count) agents, \(limit) descriptors: \(heard) answered")

                let third = try await start(stage, "ulimit -S -n \(limit)")
                _ = try await stage.sim.wait(for: "every answer", timeout: .seconds(300)) { sim in
                    members.enumerated().allSatisfy { number, member in
                        sim.history(member.room.id).contains { $0.content == "echo: away \(number)" }
                    } ? true : nil
                }
                let stop = try await stage.stop(third)
                #expect(stop.code == 0)
                let asked = Dictionary(uniqueKeysWithValues: live.map { ($0.offset, ["echo: live \($0.offset)"]) })
                for (number, member) in members.enumerated() {
                    let answers = await stage.sim.history(member.room.id).filter { $0.author == member.agent.id }
                    #expect(answers.map(\.content) == ["echo: away \(number)"] + (asked[number] ?? []))
                }
            }
        }

        private func start(_ stage: Stage, _ limit: String) async throws -> Child {
            let gateway = try stage.spawn(
                "/bin/sh",
                ["-c", "\(limit) && exec \"$0\" \"$@\"", Products.gateway, "run", "--config", stage.configurationPath])
            try await gateway.says("gateway runs", within: .seconds(300))
            return gateway
        }

        /// Waits until so many agents are in their rooms.
        private func joined(_ stage: Stage, _ members: [Member], by count: Int) async throws {
            let rooms = Dictionary(uniqueKeysWithValues: members.map { ($0.agent.id, $0.room.id) })
            _ = try await stage.sim.wait(for: "\(count) agents in their rooms", timeout: .seconds(300)) { sim in
                let inside = sim.sockets().filter { $0.rooms.contains(rooms[$0.user ?? ""] ?? "") }
                return Set(inside.compactMap(\.user)).count >= count ? true : nil
            }
        }

        /// Waits until everybody who is in his room has answered what he was asked there. Returns how many those are.
        private func answered(_ stage: Stage, _ members: [Member], live: Set<Int>) async throws -> Int {
            try await stage.sim.wait(for: "the answers of those who are connected", timeout: .seconds(300)) { sim in
                let inside = Set(sim.sockets().filter { !$0.rooms.isEmpty }.compactMap(\.user))
                var count = 0
                for (number, member) in members.enumerated()
                where inside.contains(member.agent.id) || live.contains(number) {
                    let answers = sim.history(member.room.id).count { $0.author == member.agent.id }
                    guard answers == (live.contains(number) ? 2 : 1) else { return nil }
                    count += 1
                }
                return count
            }
        }
    }
}
