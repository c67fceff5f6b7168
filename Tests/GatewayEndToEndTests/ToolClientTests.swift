import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

extension GatewayEndToEnd {
    /// `gateway mcp` and `gateway tool`, with the module and a guild behind them.
    @Suite struct ToolClients {
        @Test(
            .enabled(if: Foreign.has("mcp"), "PyPI's mcp 2: \(Foreign.missing)"),
            arguments: [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
        func aClientOfTheOfficialLibrary(era: String, version: String) async throws {
            try await Self.play("mcp", era, version)
        }

        @Test(.enabled(if: Foreign.has("mcp1"), "PyPI's mcp 1: \(Foreign.missing)"))
        func aClientOfTheLibrarysFirstVersion() async throws { try await Self.play("mcp1", "legacy", "2025-11-25") }

        private static func play(_ library: String, _ era: String, _ version: String) async throws {
            try await Stage.play { stage in
                let room = try await stage.echoRoom(module: stage.installed)
                try stage.install(Products.module)
                var gateway = try await stage.startGateway()
                try await room.connected()
                let client = try Conversation(
                    Foreign.program("python", of: library),
                    [
                        Foreign.client, era, Products.gateway, "mcp", "--account", "echo", "--config",
                        stage.configurationPath,
                    ])
                func ask(_ order: JSONValue) async throws -> JSONValue {
                    try JSONValue(parsing: try await client.ask(order.line))
                }
                let place: [String: JSONValue] = [
                    "guildNodeId": .string(Stage.guild), "channelId": .string(room.channel.id),
                ]
                func history() async throws -> JSONValue {
                    try await ask(["do": "call", "tool": "fabric-message-history", "arguments": .object(place)])
                }
                let greeting = try JSONValue(parsing: try await client.next())
                #expect(greeting["version"]?.string == version && greeting["name"]?.string == "gateway")

                let names = try await ask(["do": "list"])["tools"]?.texts ?? []
                #expect(names.contains("fabric-message-history") && names.contains("fabric-send-message"))
                let message = place.merging(["content": "from a tool"]) { $1 }
                let sent = try await ask(["do": "call", "tool": "fabric-send-message", "arguments": .object(message)])
                #expect(sent["failed"] == false, "\(sent)")
                #expect(sent["progress"]?.array?.first?.double == 0)
                try await room.answer("from a tool")
                let read = try await history()
                #expect(read["text"]?.string?.contains("from a tool") == true)
                let wrong = try await ask([
                    "do": "call", "tool": "fabric-message-history", "arguments": ["limit": "many"],
                ])
                #expect(wrong["failed"] == true && wrong["text"]?.string?.contains("\"limit\"") == true)

                // One that hangs is cancelled, and others go on.
                await stage.sim.setFaults(
                    Self.faults(RouteFault(method: "GET", path: "/api/channels", suffix: "/messages", drop: .never)))
                let cancelled = try await ask([
                    "do": "cancel", "tool": "fabric-message-history", "arguments": .object(place),
                ])
                #expect(cancelled["cancelled"] == true)
                await stage.sim.setFaults(Faults())
                #expect(try await history()["failed"] == false)

                // Another build of the module, and another gateway, behind the same client.
                try Products.build(version: "0.9.9", to: stage.directory + "/next.so")
                try stage.install(stage.directory + "/next.so")
                // One that only reads is under way meanwhile: the other build answers it.
                let asked = await stage.sim.counters.requests["GET /api/channels/:id/messages"] ?? 0
                await stage.sim.setFaults(
                    Self.faults(
                        RouteFault(
                            method: "GET", path: "/api/channels", suffix: "/messages", count: 1, drop: .never)))
                async let underWay = history()
                _ = try await eventually("the guild was asked") {
                    await stage.sim.counters.requests["GET /api/channels/:id/messages"] ?? 0 > asked ? true : nil
                }
                _ = try await stage.reload(module: true)
                let survived = try await underWay
                #expect(survived["failed"] == false, "\(survived)")
                await stage.sim.setFaults(Faults())
                #expect(try await history()["failed"] == false)
                _ = try await stage.stop(gateway)
                let away = try await history()
                #expect(away["failed"] == true && away["text"]?.string?.contains("no gateway runs here") == true)
                gateway = try await stage.startGateway()
                try await room.connected()
                let back = try await history()
                #expect(back["failed"] == false, "\(back)")
                #expect(try await stage.stop(gateway).code == 0)
            }
        }

        private static func faults(_ route: RouteFault) -> Faults {
            var faults = Faults()
            faults.routes = [route]
            return faults
        }

        @Test func theCommandCallsAToolOfTheGuild() async throws {
            try await Stage.play { stage in
                let room = try await stage.echoRoom()
                let gateway = try await stage.startGateway()
                try await room.connected()
                let list = try await stage.command("tool", "--list", "--account", "echo")
                #expect(list.code == 0 && list.output.contains("fabric-send-message\n"))
                let message: JSONValue = [
                    "guild_node_id": .string(Stage.guild), "channel_id": .string(room.channel.id), "content": "hi",
                ]
                let sent = try await stage.command(
                    "tool", "fabric-send-message", "--account", "echo", "--json", message.line)
                #expect(sent.code == 0, "\(sent.errors)")
                #expect(try JSONValue(parsing: sent.output)["seq"]?.int != nil)
                try await room.answer("hi")
                let wrong = try await stage.command(
                    "tool", "fabric-send-message", "--account", "echo", "--json", "{\"x\":1}")
                #expect(wrong.code == 2 && wrong.errors.contains("\"x\""))
                #expect(try await stage.stop(gateway).code == 0)
            }
        }

        /// The command of a turn, by its capability alone.
        @Test func aTurnReadsItsOwnConversationAndNoOther() async throws {
            try await Stage.play { stage in
                let room = try await Room("worker", on: stage)
                let other = try await stage.sim.createChannel(
                    guild: Stage.guild, name: "other", members: [room.agent.id, room.human.id])
                try await stage.sim.post(as: room.human.id, in: other.id, content: "a secret of another channel")
                let script = try stage.write(
                    """
                    #!/bin/sh
                    cat > /dev/null
                    T="\(Products.gateway) tool"
                    own=$($T fabric-message-history | grep -c "what was said here")
                    $T fabric-message-history --json '{"channelId":"\(other.id)"}' > "\(stage.directory)/stolen" 2>&1
                    $T fabric-file-download --json '{"fileId":"/api/channels/\(other.id)/messages?limit=9"}' >> "\(stage.directory)/stolen" 2>&1
                    $T fabric-send-message --json '{"content":"keys","files":["\(stage.configurationPath)"]}' >> "\(stage.directory)/stolen" 2>&1
                    echo mine > "$GATEWAY_TURN_DIRECTORY/mine"
                    $T fabric-send-message --json "{\\"content\\":\\"mine\\",\\"files\\":[\\"$GATEWAY_TURN_DIRECTORY/mine\\"]}" > /dev/null
                    $T fabric-message-history --json '{"channelId":"\(other.id)"}' > /dev/null 2>&1
                    printf 'own %s, other %s, account %s' "$own" $? "$($T fabric-guild-list --account echo 2>&1 | grep -c 'acts as no other')"
                    cp "$GATEWAY_MCP_CONFIG" "\(stage.directory)/kept.json"
                    """, to: "worker.sh", mode: 0o700)
                try stage.configure(accounts: ["worker": room.key], agents: ["worker": ["command": [.string(script)]]])
                let gateway = try await stage.startGateway()
                try await room.connected()
                try await room.post("what was said here")
                try await room.answer("own 1, other 1, account 1")
                let stolen = try String(contentsOfFile: stage.directory + "/stolen", encoding: .utf8)
                #expect(!stolen.contains("secret of another"))
                #expect(stolen.contains("no file of the guild's") && stolen.contains("is not this turn's"), "\(stolen)")
                // Neither the configuration with its keys was posted, nor what is not a file; its own was.
                let files = await stage.sim.history(room.channel.id).flatMap(\.attachments).map(\.name)
                #expect(files == ["mine"])
                // The capability, after its turn.
                let kept = try JSONValue(parsing: Files.read(stage.directory + "/kept.json"))
                let token = try #require(kept["mcpServers"]?["fabric"]?["env"]?["GATEWAY_CAPABILITY"]?.string)
                let late = try stage.spawn(
                    Products.gateway, ["tool", "fabric-message-history"],
                    environment: ["GATEWAY_CAPABILITY": token, "GATEWAY_STATE_DIRECTORY": stage.stateDirectory])
                #expect(try await late.end() == 1)
                #expect(late.errors.value.contains("the turn it was given to is over"))
                #expect(!gateway.errors.value.contains(token.prefix(16)))
                #expect(try await stage.stop(gateway).code == 0)
            }
        }
    }
}
