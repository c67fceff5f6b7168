import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

extension GatewayEndToEnd {
    /// Settings and code change under twenty agents while people talk to them.
    @Suite struct ReloadFlow {
        static let agents = 20
        static let reloads = 50

        /// Accounts 0 to 9 stand in the settings, and change by where their key is found, which restarts nobody; 10 to 19 stand
        /// in the identity file, and change by a new key. `spare` is enabled and disabled.
        struct Cast: Sendable {
            var rooms: [Room]
            var spare: Room
            var sources: [Int] = Array(repeating: 0, count: ReloadFlow.agents)
            var keys: [String]
            var spareEnabled = true

            func write(on stage: Stage) throws {
                var accounts: [String: JSONValue] = [:]
                for (number, room) in rooms.prefix(10).enumerated() {
                    try stage.write(room.agent.apiKey, to: "key-\(number)")
                    let sources: [JSONValue] = [
                        .string(room.agent.apiKey), ["env": .string("KEY_\(number)")],
                        ["file": .string("./key-\(number)")],
                    ]
                    accounts[room.account] = ["fabricApiKey": sources[self.sources[number] % 3]]
                }
                accounts[spare.account] = [
                    "fabricApiKey": .string(spare.agent.apiKey), "enabled": .bool(spareEnabled),
                ]
                let entries = rooms.indices.dropFirst(10).map { number -> JSONValue in
                    ["agentId": .string(rooms[number].account), "fabricApiKey": .string(keys[number])]
                }
                try stage.write(JSONValue.object(["entries": .array(entries)]).line, to: "identity.json")
                var names = rooms.map(\.account)
                names.append(spare.account)
                let agents = Dictionary(uniqueKeysWithValues: names.map { ($0, JSONValue.object(["builtin": "echo"])) })
                try stage.configure(
                    accounts: accounts, settings: ["identityFile": "./identity.json"], agents: .object(agents),
                    module: stage.installed)
            }
        }

        /// Posts to every fourth channel, waits for one answer, and again with the next ones, until told to end; keeps count.
        private func talk(_ rooms: [Room], _ posted: Watched<Int>, until done: Watched<Bool>) async throws {
            repeat {
                let number = posted.value
                for (place, room) in rooms.enumerated() where place % 4 == number % 4 {
                    try await room.post("\(number)")
                }
                posted.change { $0 += 1 }
                // One of these: there are as many as four divide.
                let room = rooms[number % rooms.count]
                do {
                    try await room.answer("echo: \(number)", timeout: .seconds(60))
                } catch {
                    let asked = await room.asked
                    let answers = await room.answers
                    let missing = asked.filter { !answers.contains("echo: \($0)") }
                    let status = (try? await room.stage.status())?["accounts"]?.array?.first {
                        $0["accountId"]?.string == room.account
                    }
                    throw TestFailure(
                        "\(room.account) \(room.channel.type): \(asked.count) asked, \(answers.count) answered, missing \(missing); \(status?.line ?? "")"
                    )
                }
            } while !done.value
        }

        /// The last lines of the log about the accounts.
        private func said(of accounts: [String], by gateway: Child) -> String {
            let lines = gateway.errors.value.split(separator: "\n").filter { line in
                !line.contains("posted") && accounts.contains { line.contains("\"\($0)\"") }
            }
            return lines.suffix(12).joined(separator: "\n")
        }

        private func during(
            _ rooms: [Room], _ posted: Watched<Int>, _ body: () async throws -> Void
        ) async throws {
            let done = Watched(false)
            async let talking: Void = talk(rooms, posted, until: done)
            do {
                try await body()
                done.change { $0 = true }
            } catch {
                done.change { $0 = true }
                throw error
            }
            try await talking
        }

        /// The server may still have sockets that the other side has closed: those of `gone` do not count.
        private func sids(
            _ rooms: [Room], on stage: Stage, without gone: [String: String] = [:]
        ) async throws -> [String: String] {
            let old = Set(gone.values)
            return try await stage.sim.wait(for: "every agent in its channel", timeout: .seconds(60)) { sim in
                var sids: [String: String] = [:]
                for socket in sim.sockets() {
                    guard let user = socket.user, let sid = socket.sid, !old.contains(sid),
                        let room = rooms.first(where: { $0.agent.id == user }),
                        socket.rooms.contains(room.channel.id)
                    else { continue }
                    sids[room.account] = sid
                }
                return sids.count == rooms.count ? sids : nil
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func fiftySettingsReloadsAndFiftyModuleReloadsLoseAndRepeatNothing() async throws {
            try await Stage.play { stage in
                var rooms: [Room] = []
                for number in 0..<Self.agents {
                    rooms.append(
                        try await Room("agent-\(number)", on: stage, type: number % 2 == 0 ? .general : .dm))
                }
                let spare = try await Room("spare", on: stage)
                var cast = Cast(rooms: rooms, spare: spare, keys: rooms.map(\.agent.apiKey))
                let builds = ["0.1.1", "0.1.2"]
                for build in builds { try Products.build(version: build, to: stage.directory + "/" + build) }
                try stage.install(stage.directory + "/" + builds[1])
                try cast.write(on: stage)
                let environment = Dictionary(
                    uniqueKeysWithValues: rooms.enumerated().map { ("KEY_\($0.offset)", $0.element.agent.apiKey) })
                let gateway = try await stage.startGateway(environment: environment)
                var before = try await sids(rooms, on: stage)
                let posted = Watched(0)

                for round in 0..<Self.reloads {
                    let number = round % Self.agents
                    let changed = rooms[number]
                    if number < 10 {
                        cast.sources[number] += 1
                    } else {
                        cast.keys[number] = try await stage.sim.rotateKey(of: changed.agent.id)
                    }
                    let isRestarted = number >= 10
                    var expected = isRestarted ? [changed.account] : []
                    if round % 5 == 4 {
                        cast.spareEnabled.toggle()
                        expected.append(spare.account)
                    }
                    try cast.write(on: stage)
                    let now = before
                    try await during(rooms, posted) {
                        let answer = try await stage.reload()
                        #expect(answer["changed"]?.texts == expected.sorted(), "round \(round)")
                        if isRestarted { _ = try await changed.connected(excluding: [now[changed.account] ?? ""]) }
                    }
                    let after = try await sids(rooms, on: stage)
                    for room in rooms where room.account != changed.account || !isRestarted {
                        #expect(after[room.account] == before[room.account], "an untouched account keeps its socket")
                    }
                    if round % 5 == 4 {
                        if cast.spareEnabled {
                            // Its login belongs to the settings reload.
                            try await spare.connected()
                        } else {
                            try await stage.sim.waitForNoSockets(user: spare.agent.id)
                        }
                    }

                    let build = builds[round % 2]
                    try stage.install(stage.directory + "/" + build)
                    let logins = await stage.sim.counters.logins
                    try await during(rooms, posted) {
                        let answer = try await stage.reload(module: true)
                        #expect(answer["modules"]?["fabric"]?.string == build)
                    }
                    before = try await sids(rooms, on: stage, without: after)
                    let more = await stage.sim.counters.logins.filter { logins[$0.key] != $0.value }
                    let who = more.keys.map { id in rooms.first { $0.agent.id == id }?.account ?? "spare" }
                    #expect(
                        who == [],
                        "a module reload logs in nobody, round \(round): \(said(of: who, by: gateway))")
                    let plugin = try await stage.plugin()
                    #expect(plugin.version == build && plugin.generation == Int64(round + 2))
                    if round % 10 == 9 {
                        let status = try await stage.command("status", "--json")
                        #expect(status.output.contains("\"version\":\"\(build)\""))
                    }
                }

                for room in rooms { try await room.ask("the end") }
                for room in rooms {
                    let asked = await room.asked
                    #expect(await room.answers == asked.map { "echo: \($0)" }, "\(room.account): once each, in order")
                }
                let stopped = try await stage.stop(gateway)
                #expect(stopped.code == 0 && stopped.took < Stopping.soon)
                #expect(stage.leftovers() == [])
                print("reload flow: \(posted.value * Self.agents / 4) messages during \(2 * Self.reloads) reloads")
            }
        }
    }
}
