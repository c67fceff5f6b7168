import FabricSimulator
import Foundation
import JSONBytes
import Testing

extension GatewayEndToEnd {
    /// Gateways that are killed, or told to end, at any moment, and started again, while people go on talking.
    @Suite struct Kills {
        /// Two hundred before a release: FABRIC_KILLS=200 FABRIC_KILL_CHANNELS=50 ./setup test --filter Kills
        static let kills = number("FABRIC_KILLS") ?? 12
        static let channels = number("FABRIC_KILL_CHANNELS") ?? 10

        /// Messages that are in a channel before the agent first hears of it; a hundred thousand before a release.
        static let old = number("FABRIC_OLD_MESSAGES") ?? 1000

        private static func number(_ name: String) -> Int? {
            ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
        }

        @Test(.timeLimit(.minutes(30)), arguments: [SIGKILL, SIGTERM])
        func everyQuestionIsAnsweredExactlyOnce(signal: Int32) async throws {
            try await Stage.play { stage in
                let script = try stage.write(
                    """
                    #!/bin/sh
                    sed -n 's/.*"text":"\\([^"]*\\)".*/answer \\1/p'
                    """, to: "answer.sh", mode: 0o700)
                let first = try await Room("worker", on: stage)
                var channels = [first.channel]
                while channels.count < Self.channels {
                    channels.append(
                        try await stage.sim.createChannel(
                            guild: Stage.guild, name: "room \(channels.count)", type: .general,
                            members: [first.agent.id, first.human.id]))
                }
                try stage.configure(
                    accounts: ["worker": first.key],
                    settings: ["redeliveries": 100],
                    agents: ["worker": ["command": [.string(script)]]])
                var gateway = try await stage.startGateway()
                try await first.connected()
                var random = SystemRandomNumberGenerator()
                var asked: [String: [String]] = [:]
                var number = 0
                for _ in 0..<Self.kills {
                    for _ in 0..<Int.random(in: 3...12, using: &random) {
                        let channel = channels[Int.random(in: 0..<channels.count, using: &random)]
                        try await stage.sim.post(as: first.human.id, in: channel.id, content: "q\(number)")
                        asked[channel.id, default: []].append("answer q\(number)")
                        number += 1
                        // Anywhere between two messages, not only between two rounds.
                        if Int.random(in: 0..<4, using: &random) == 0 {
                            try await pause(milliseconds: Int.random(in: 0...60, using: &random))
                        }
                    }
                    gateway.signal(signal)
                    _ = try await gateway.end(within: .seconds(60))
                    gateway = try await stage.startGateway()
                    if Bool.random(using: &random) {
                        try await pause(milliseconds: Int.random(in: 0...400, using: &random))
                    }
                }
                let (expected, all) = (asked, channels)
                _ = try await stage.sim.wait(for: "every answer", timeout: .seconds(120)) { sim in
                    all.allSatisfy { channel in
                        sim.history(channel.id).count { $0.author == first.agent.id }
                            >= expected[channel.id]?.count ?? 0
                    } ? true : nil
                }
                #expect(try await stage.stop(gateway).code == 0)
                for channel in channels {
                    let answers = await stage.sim.history(channel.id).filter { $0.author == first.agent.id }
                        .map(\.content)
                    #expect(answers == asked[channel.id] ?? [], "\(number) questions, \(Self.kills) ends")
                }
                #expect(stage.unsent() == [])
            }
        }

        /// Messages that come while the guild is down, and their channels; ten thousand in fifty before a release:
        /// FABRIC_AWAY=10000 FABRIC_AWAY_CHANNELS=50 ./setup test --filter Kills
        static let away = number("FABRIC_AWAY") ?? 600
        static let awayChannels = number("FABRIC_AWAY_CHANNELS") ?? 6

        /// The bound is above what comes, or below it: then the newest are heard, and the rest is counted.
        @Test(.timeLimit(.minutes(10)), arguments: [false, true])
        func whatComesWhileTheGuildIsDownIsHeardAfterARestart(isBounded: Bool) async throws {
            try await Stage.play { stage in
                let room = try await Room("echo", on: stage)
                let each = Self.away / Self.awayChannels
                let bound = isBounded ? each / 2 : each
                try stage.configure(
                    accounts: ["echo": room.key],
                    settings: ["catchUp": ["maximumMessages": .int(Int64(bound))]],
                    agents: ["echo": ["builtin": "echo"]])
                var channels = [room.channel]
                while channels.count < Self.awayChannels {
                    channels.append(
                        try await stage.sim.createChannel(
                            guild: Stage.guild, name: "room \(channels.count)", type: .general,
                            members: [room.agent.id, room.human.id]))
                }
                var gateway = try await stage.startGateway()
                try await room.connected()
                for channel in channels {
                    try await stage.sim.post(as: room.human.id, in: channel.id, content: "before")
                    let agent = room.agent.id
                    try await stage.sim.waitForMessage(in: channel.id) { $0.author == agent }
                }
                try await stage.sim.stopGuild(Stage.guild)
                for number in 0..<each {
                    for channel in channels {
                        try await stage.sim.post(as: room.human.id, in: channel.id, content: "away \(number)")
                    }
                    guard number == each / 2 else { continue }
                    #expect(try await stage.stop(gateway).code == 0)
                    gateway = try await stage.startGateway()
                }
                try await stage.sim.startGuild(Stage.guild)

                for channel in channels {
                    try await stage.sim.waitForMessage(in: channel.id, timeout: .seconds(300)) {
                        $0.content == "echo: away \(each - 1)"
                    }
                }
                for channel in channels {
                    let answers = await stage.sim.history(channel.id).filter { $0.author == room.agent.id }
                    #expect(
                        answers.map(\.content)
                            == ["echo: before"] + (each - bound..<each).map { "echo: away \($0)" })
                }
                let guilds = try await stage.status()["accounts"]?.array?.first?["guilds"]?.array
                #expect(guilds?.first?["skipped"]?.int == Int64((each - bound) * channels.count))
                #expect(try await stage.stop(gateway).code == 0)
            }
        }

        /// The moment of the next end is random; this is no waiting for something.
        private func pause(milliseconds: Int) async throws {
            try await ContinuousClock().sleep(for: .milliseconds(milliseconds))
        }

        @Test func whatIsPostedWhileNobodyRunsIsHeardInOrderAndOldHistoryIsNot() async throws {
            try await Stage.play { stage in
                let room = try await stage.echoRoom()
                for number in 0..<Self.old { try await room.post("old \(number)") }
                var gateway = try await stage.startGateway()
                try await room.connected()
                try await room.ask("first")
                #expect(await room.answers == ["echo: first"], "old history is not news")
                #expect(try await stage.stop(gateway).code == 0)
                for number in 0..<300 { try await room.post("away \(number)") }
                gateway = try await stage.startGateway()
                try await room.answer("echo: away 299", timeout: .seconds(60))
                #expect(await room.answers == ["echo: first"] + (0..<300).map { "echo: away \($0)" })
                #expect(try await stage.stop(gateway).code == 0)
            }
        }
    }
}
