import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

extension GatewayEndToEnd {
    /// An agent of others, whose process stays, as a member of the guild.
    @Suite(.enabled(if: Foreign.has("acp"), "PyPI's fast-agent-mcp: \(Foreign.missing)")) struct Companions {
        private static func agent(_ model: String, seconds: Double = 280) -> JSONValue {
            [
                "acp": [
                    "command": [.string(Foreign.program("fast-agent-acp", of: "acp")), "--model", .string(model)],
                    "permissions": "allow", "directory": "./work", "startSeconds": 240,
                ], "timeoutSeconds": .double(seconds),
            ]
        }

        /// What begins an answer of the passing-through model is the message itself.
        private static func answered(_ room: Room, _ text: String, in channel: String? = nil) async throws {
            let agent = room.agent.id
            try await room.sim.waitForMessage(in: channel ?? room.channel.id, timeout: .seconds(300)) {
                $0.author == agent && $0.content.hasPrefix(text)
            }
        }

        @Test func itAnswersUsesAToolDiesAndComesBack() async throws {
            try await Stage.play { stage in
                let room = try await Room("helper", on: stage)
                try FileManager.default.createDirectory(
                    atPath: stage.directory + "/work", withIntermediateDirectories: true)
                try stage.configure(accounts: ["helper": room.key], agents: ["helper": Self.agent("passthrough")])
                let gateway = try await stage.startGateway()
                try await room.connected()
                try await room.post("hello there")
                try await Self.answered(room, "hello there")
                try await room.post(#"***CALL_TOOL fabric-channel-list {"nameFilter":"room of"}"#)
                let agent = room.agent.id
                try await room.sim.waitForMessage(in: room.channel.id, timeout: .seconds(300)) {
                    // Not the first answer, which repeats what the agent was told of the channel.
                    $0.author == agent && !$0.content.hasPrefix("hello there")
                        && $0.content.contains(room.channel.id) && $0.content.contains("room of helper")
                }
                // It is killed, and the next message is answered by another.
                let children = Self.children(of: gateway.pid)
                #expect(!children.isEmpty)
                for pid in children { kill(pid, SIGKILL) }
                try await gateway.says("it is started again in 1 s")
                try await room.post("are you back?")
                try await Self.answered(room, "are you back?")
                #expect(!gateway.errors.value.contains("GATEWAY_CAPABILITY"))
                #expect(try await stage.stop(gateway).code == 0)
                #expect(Self.children(of: gateway.pid).isEmpty)
            }
        }

        @Test func twoConversationsAtOnceAndOneThatTakesTooLong() async throws {
            try await Stage.play { stage in
                let room = try await Room("helper", on: stage)
                try FileManager.default.createDirectory(
                    atPath: stage.directory + "/work", withIntermediateDirectories: true)
                let second = try await stage.sim.createChannel(
                    guild: Stage.guild, name: "second", members: [room.agent.id, room.human.id])
                // A model that thinks for three seconds.
                try stage.configure(accounts: ["helper": room.key], agents: ["helper": Self.agent("slow")])
                let gateway = try await stage.startGateway()
                try await room.connected()
                try await room.post("one")
                try await stage.sim.post(as: room.human.id, in: second.id, content: "two")
                _ = try await eventually("both turns run", within: .seconds(60)) {
                    try await stage.status()["accounts"]?.array?.first?["turns"]?["running"]?.int == 2 ? true : nil
                }
                try await Self.answered(room, "one")
                try await Self.answered(room, "two", in: second.id)
                try stage.configure(
                    accounts: ["helper": room.key], agents: ["helper": Self.agent("slow", seconds: 1)])
                _ = try await stage.reload()
                try await room.post("three")
                try await gateway.says("took longer than 1.0 s")
                #expect(try await stage.stop(gateway).code == 0)
            }
        }

        private static func children(of parent: pid_t) -> [pid_t] {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
            return names.compactMap { pid_t($0) }.filter { pid in
                guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
                    let end = stat.lastIndex(of: ")")
                else { return false }
                return stat[stat.index(after: end)...].split(separator: " ").dropFirst().first.flatMap { pid_t($0) }
                    == parent
            }
        }
    }

    /// Three agents take turns: one has nothing to say, one dies, one says three things.
    @Suite struct Rotation {
        private static func play(
            _ body: (Stage, _ human: SimulatedUser, _ channel: SimulatedChannel, _ agents: [String: SimulatedUser])
                async throws -> Void
        ) async throws {
            try await Stage.play { stage in
                let human = try await stage.sim.createUser(name: "human")
                var agents: [String: SimulatedUser] = [:]
                for name in ["silent", "dying", "talker"] { agents[name] = try await stage.sim.createUser(name: name) }
                let members = agents.values.map(\.id).sorted()
                // The person is not in the rotation: nobody but the agents can keep it waiting.
                let channel = try await stage.sim.createChannel(
                    guild: Stage.guild, name: "round", type: .discuss, members: members + [human.id], bypass: [human.id]
                )
                let script = try stage.write(
                    """
                    #!/bin/sh
                    turn=$(cat)
                    cd "\(stage.directory)"
                    echo x >> turns
                    n=$(wc -l < turns)
                    if [ "$n" -eq 1 ]; then while [ ! -e go ]; do sleep 0.05; done; fi
                    [ "$n" -le 3 ] && echo "talker $n"
                    exit 0
                    """, to: "talker.sh", mode: 0o700)
                try stage.configure(
                    accounts: agents.mapValues { ["fabricApiKey": .string($0.apiKey)] },
                    settings: ["catchUp": ["turnPatienceSeconds": 1]],
                    agents: [
                        "silent": ["command": ["/bin/sh", "-c", "cat > /dev/null"]],
                        "dying": ["command": ["/bin/sh", "-c", "kill -KILL $$"]],
                        "talker": ["command": [.string(script)]],
                    ], module: stage.installed)
                try stage.install(Products.module)
                let gateway = try await stage.startGateway()
                for agent in agents.values {
                    try await stage.sim.waitForSockets(user: agent.id, joined: channel.id, timeout: .seconds(60))
                }
                try await body(stage, human, channel, agents)
                let talker = agents["talker"]?.id
                for number in 1...3 {
                    try await stage.sim.waitForMessage(in: channel.id, timeout: .seconds(60)) {
                        $0.author == talker && $0.content == "talker \(number)"
                    }
                }
                // Each of them had its turns, none of them twice.
                let accounts = try await stage.ask(["command": "status", "recent": true])["accounts"]?.array ?? []
                for account in accounts {
                    #expect(account["recent"]?.array?.isEmpty == false, "\(account["accountId"] ?? .null)")
                }
                let said = await stage.sim.history(channel.id).filter { $0.author == talker }.map(\.content)
                #expect(said == ["talker 1", "talker 2", "talker 3"])
                #expect(try await stage.stop(gateway).code == 0)
            }
        }

        private static func installAnotherBuild(_ stage: Stage) throws {
            try Products.build(version: "0.9.9", to: stage.directory + "/next.so")
            try stage.install(stage.directory + "/next.so")
        }

        /// One is reloaded while it thinks, and says what it has to say while the sockets may still be away.
        @Test func neverStandsStill() async throws {
            try await Self.play { stage, human, channel, _ in
                try await stage.sim.post(as: human.id, in: channel.id, content: "what do you think?")
                _ = try await eventually("the talker thinks") {
                    FileManager.default.fileExists(atPath: stage.directory + "/turns") ? true : nil
                }
                try Self.installAnotherBuild(stage)
                _ = try await stage.reload(module: true)
                try stage.write("", to: "go")
            }
        }

        /// The message that begins it comes while nobody has a socket: history does not say whose turn it is.
        @Test func goesOnAfterAMessageThatNobodysSocketBrought() async throws {
            try await Self.play { stage, human, channel, agents in
                try stage.write("", to: "go")
                try Self.installAnotherBuild(stage)
                await stage.sim.faults.update { $0.resets = [Stage.guild] }
                let before = Set(await stage.sim.sockets().compactMap(\.sid))
                _ = try await stage.reload(module: true)
                _ = try await stage.sim.wait(for: "the sockets to be gone") { sim in
                    sim.sockets().contains { $0.sid.map(before.contains) ?? false } ? nil : true
                }
                try await stage.sim.post(as: human.id, in: channel.id, content: "what do you think?")
                #expect(await stage.sim.history(channel.id).last?.wakes.count == 1, "the guild waits for one of them")
                await stage.sim.faults.clear()
            }
        }
    }
}
