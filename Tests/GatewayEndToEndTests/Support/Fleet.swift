import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes
import PostgreSQLTestServer

@testable import GatewayHost

/// Several gateway processes with the same accounts, which share them through one database.
final class Fleet: Sendable {
    /// An account, its channel, and what it was asked there.
    struct Member: Sendable {
        let account: String
        let agent: SimulatedUser
        let channel: SimulatedChannel
    }

    let stage: Stage
    let database: PostgreSQLServer
    let members: [Member]
    let human: SimulatedUser
    /// By account's place: the questions in their order.
    let asked = Watched<[[String]]>([])
    private let settings: [String: JSONValue]
    /// The agent that is a process per turn. Written once: a file that is written anew may not be run for a moment.
    private let script: String

    /// - Parameters:
    ///   - accounts: how many. Every fifth has an agent that is a process per turn, the others an echo.
    ///   - sharing: `store.postgresql` besides the address and the gateway's name.
    ///   - server: settings of the database's server.
    init(
        on stage: Stage, accounts: Int, sharing: [String: JSONValue], settings: [String: JSONValue] = [:],
        server: [String: String] = [:]
    ) async throws {
        self.stage = stage
        script = try stage.write(
            """
            #!/bin/sh
            sed -n 's/.*"text":"\\([^"]*\\)".*/echo: \\1/p'
            """, to: "answer.sh", mode: 0o700)
        database = try PostgreSQLServer(settings: server)
        human = try await stage.sim.createUser(name: "human")
        var members: [Member] = []
        for number in 0..<accounts {
            let agent = try await stage.sim.createUser(name: "agent-\(number)")
            let channel = try await stage.sim.createChannel(
                guild: Stage.guild, name: "room \(number)", type: .general, members: [agent.id, human.id])
            members.append(Member(account: "agent-\(number)", agent: agent, channel: channel))
        }
        self.members = members
        self.settings = settings.merging(["store": ["postgresql": .object(sharing)]]) { $1 }
        asked.change { $0 = Array(repeating: [], count: accounts) }
    }

    // MARK: Gateways

    func configuration(_ gateway: String) -> String { "\(stage.directory)/\(gateway).json" }

    /// Starts one and waits until it runs.
    @discardableResult
    func start(_ gateway: String, within limit: Duration = .seconds(60)) async throws -> Child {
        var sharing = settings["store"]?["postgresql"]?.object ?? [:]
        sharing["url"] = ["env": "FLEET_DATABASE"]
        sharing["gateway"] = .string(gateway)
        var section = settings
        section["store"] = ["postgresql": .object(sharing)]
        var keys: [String: JSONValue] = [:]
        var bindings: [JSONValue] = []
        for (number, member) in members.enumerated() {
            keys[member.account] = ["fabricApiKey": .string(member.agent.apiKey)]
            bindings.append([
                "agentId": number % 5 == 4 ? "command" : "echo",
                "match": ["channel": "fabric", "accountId": .string(member.account)],
            ])
        }
        try stage.configure(
            accounts: keys, settings: section,
            agents: ["echo": ["builtin": "echo"], "command": ["command": [.string(script)]]], bindings: bindings,
            state: "./state-\(gateway)", to: "\(gateway).json")
        return try await stage.startGateway(
            environment: ["FLEET_DATABASE": database.url], configuration: configuration(gateway), within: limit)
    }

    func ask(_ gateway: String, _ request: JSONValue) async throws -> JSONValue {
        let state = "\(stage.directory)/state-\(gateway)"
        return try await blocking { try ControlClient.ask(request, stateDirectory: state, within: .seconds(120)) }
    }

    /// What `gateway status --json` says of the sharing.
    func sharing(_ gateway: String) async throws -> JSONValue {
        try await ask(gateway, ["command": "status"])["plugins"]?.array?.first?["sharing"] ?? .null
    }

    func command(_ gateway: String, _ arguments: String...) async throws -> (
        code: Int32, output: String, errors: String
    ) {
        try await stage.command(arguments, configuration: configuration(gateway))
    }

    // MARK: Waiting

    /// Waits until these gateways, and no others, share the accounts evenly, and every agent hears through one socket.
    func balanced(_ gateways: [String], within limit: Duration = .seconds(120)) async throws {
        let end = ContinuousClock.now.advanced(by: limit)
        var seen: [String: Int64] = [:]
        while .now < end {
            seen = [:]
            for gateway in gateways { seen[gateway] = try await sharing(gateway)["owned"]?.int ?? -1 }
            let share = members.count / gateways.count
            let isEven = seen.values.allSatisfy { $0 >= Int64(share) - 1 && $0 <= Int64(share) + 2 }
            if isEven, seen.values.reduce(0, +) == Int64(members.count) {
                try await hearing(within: limit)
                return
            }
            // Those who share them need the processor more.
            try await Task.sleep(for: .milliseconds(20))
        }
        throw TestFailure("never in balance: \(seen)")
    }

    /// Waits until every agent has a socket that is in its channel, and just one in all.
    /// - Returns: how long that took.
    @discardableResult
    func hearing(within limit: Duration = .seconds(120)) async throws -> Duration {
        let begun = ContinuousClock.now
        let rooms = Dictionary(uniqueKeysWithValues: members.map { ($0.agent.id, $0.channel.id) })
        _ = try await stage.sim.wait(for: "one socket for each agent", timeout: limit) { sim in
            var found: [String: Int] = [:]
            var joined: Set<String> = []
            for socket in sim.sockets() {
                guard let user = socket.user, let room = rooms[user] else { continue }
                found[user, default: 0] += 1
                if socket.rooms.contains(room) { joined.insert(user) }
            }
            return joined.count == rooms.count && found.values.allSatisfy { $0 == 1 } ? true : nil
        }
        return .now - begun
    }

    // MARK: Talk

    /// Asks somebody something every so often, until `end` is called; then waits for the last question to be posted.
    func talk(every pause: Duration) -> Talk { Talk(self, every: pause) }

    func post(_ text: String, to number: Int) async throws {
        asked.change { $0[number].append(text) }
        try await stage.sim.post(as: human.id, in: members[number].channel.id, content: text)
    }

    func answers(_ number: Int) async -> [String] {
        let (channel, agent) = (members[number].channel.id, members[number].agent.id)
        return await stage.sim.history(channel).filter { $0.author == agent }.map(\.content)
    }

    /// Waits until everything that was asked has as many answers.
    func answered(within limit: Duration = .seconds(120)) async throws {
        let (members, asked) = (members, asked.value)
        _ = try await stage.sim.wait(for: "every answer", timeout: limit) { sim in
            zip(members, asked).allSatisfy { member, questions in
                sim.history(member.channel.id).count { $0.author == member.agent.id } >= questions.count
            } ? true : nil
        }
    }
}

/// People who ask, one question after the other.
final class Talk: Sendable {
    private let task: Task<Int, any Error>

    init(_ fleet: Fleet, every pause: Duration) {
        task = Task {
            var random = SystemRandomNumberGenerator()
            var number = 0
            while !Task.isCancelled {
                try await fleet.post("q\(number)", to: Int.random(in: 0..<fleet.members.count, using: &random))
                number += 1
                // The rate of the traffic; this is no waiting for something.
                try? await ContinuousClock().sleep(for: pause)
            }
            return number
        }
    }

    /// Ends it.
    /// - Returns: how many questions there were.
    func end() async throws -> Int {
        task.cancel()
        return try await task.value
    }
}
