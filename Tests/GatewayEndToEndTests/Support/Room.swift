import FabricSimulator
import JSONBytes
import Testing

@testable import GatewayHost

/// All of it one after the other: the machine that runs this has few cores, and stopping is timed.
@Suite(.serialized, .enabled(if: !Products.directory.isEmpty)) struct GatewayEndToEnd {}

/// One agent and one human in a channel.
struct Room: Sendable {
    var account: String
    var agent: SimulatedUser
    var human: SimulatedUser
    var channel: SimulatedChannel
    let stage: Stage

    var sim: FabricSimulator { stage.sim }
    var key: JSONValue { ["fabricApiKey": .string(agent.apiKey)] }

    init(_ account: String, on stage: Stage, type: ChannelType = .general) async throws {
        self.stage = stage
        self.account = account
        agent = try await stage.sim.createUser(name: account)
        human = try await stage.sim.createUser(name: "human of \(account)")
        channel = try await stage.sim.createChannel(
            guild: Stage.guild, name: "room of \(account)", type: type, members: [agent.id, human.id])
    }

    func post(_ text: String, attachments: [SimulatedAttachment] = []) async throws {
        try await sim.post(as: human.id, in: channel.id, content: text, attachments: attachments)
    }

    @discardableResult
    func answer(_ text: String, timeout: Duration = .seconds(60)) async throws -> SimulatedMessage {
        let agent = agent.id
        return try await sim.waitForMessage(in: channel.id, timeout: timeout) {
            $0.author == agent && $0.content == text
        }
    }

    /// Posts and waits for the echo.
    func ask(_ text: String) async throws {
        try await post(text)
        try await answer("echo: \(text)")
    }

    /// Waits until the agent's socket is in the channel; returns the server's id of it.
    @discardableResult
    func connected(excluding old: Set<String> = []) async throws -> String {
        let sockets = try await sim.waitForSockets(
            user: agent.id, joined: channel.id, excluding: old, timeout: .seconds(60))
        return try #require(sockets.first?.sid)
    }

    var asked: [String] {
        get async { await sim.history(channel.id).filter { $0.author == human.id }.map(\.content) }
    }
    var answers: [String] {
        get async { await sim.history(channel.id).filter { $0.author == agent.id }.map(\.content) }
    }
}

extension Stage {
    /// A room with an echo agent, configured, not started.
    func echoRoom(settings: [String: JSONValue] = [:], module: String = Products.module) async throws -> Room {
        let room = try await Room("echo", on: self)
        try configure(
            accounts: ["echo": room.key], settings: settings, agents: ["echo": ["builtin": "echo"]], module: module)
        return room
    }
}
