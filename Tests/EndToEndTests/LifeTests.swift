import FabricChannel
import FabricSimulator
import Foundation
import JSONBytes
import Testing

/// Starting, stopping, bad configuration, many accounts.
@Suite(.serialized) struct LifeTests {
    private func raw(_ world: World, _ settings: JSONValue) async -> (RequestResult.Code, JSONValue) {
        let request: JSONValue = [
            "file": "/etc/gateway.json", "keyPath": "channels.fabric", "directory": .string(world.directory),
            "stateDirectory": .string(world.directory), "settings": settings,
        ]
        return await world.ask(nil, { $0.configure($1, completion: $2) }, request)
    }

    @Test(
        arguments: [
            (["centerApiBas": "http://x/api"], "centerApiBas"), (["coalesce": "yes"], "coalesce"),
            (["centerApiBase": "ftp://x"], "centerApiBase"), (["catchUp": ["wake": "maybe"]], "catchUp.wake"),
        ] as [(JSONValue, String)])
    func badSettingsNameFileKeyAndRemedyAndChangeNothing(_ settings: JSONValue, _ key: String) async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let (code, json) = await raw(world, settings)
            #expect(code == .invalid)
            let finding = try #require(json["errors"]?.array?.first)
            #expect(finding["file"]?.string == "/etc/gateway.json")
            #expect(finding["keyPath"]?.string == "channels.fabric.\(key)")
            let remedy = finding["remedy"]?.string
            #expect(remedy?.isEmpty == false)
            // The account goes on under the old settings.
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "still here")
            _ = try await world.gateway.delivery("still here") { $0.text == "still here" }
        }
    }

    @Test func aBadAccountDoesNotStopTheGoodOnes() async throws {
        try await withWorld { world in
            let agent = try await world.sim.createUser(name: "agent")
            let (code, json) = await raw(
                world,
                [
                    "centerApiBase": .string(world.sim.centerBase),
                    "accounts": [
                        "agent": ["fabricApiKey": .string(agent.apiKey)], "empty": ["fabricApiKey": ""],
                        "absent": ["fabricApiKey": ["env": "FABRIC_TEST_NOT_SET"]],
                        "wrong": ["fabricApiKey": "fak_wrong"],
                    ],
                ])
            #expect(code == .ok)
            let rows = json["accounts"]?.array ?? []
            func row(_ id: String) -> JSONValue? { rows.first { $0["accountId"]?.string == id } }
            #expect(row("agent")?["credential"]?.string == "available")
            #expect(row("empty")?["configured"]?.bool == false)
            #expect(row("absent")?["configured"]?.bool == true)
            #expect(row("absent")?["credential"]?.string == "unavailable")
            #expect(row("absent")?["reason"]?.string?.contains("FABRIC_TEST_NOT_SET") == true)
            let absent = await world.ask(nil, { $0.startAccount($1, completion: $2) }, ["accountId": "absent"])
            #expect(absent.code == .invalid)
            try await world.start("wrong")
            try await world.start("agent")
            try await world.ready("agent")
            _ = try await world.gateway.wait(for: "wrong to be blocked") { gateway in
                gateway.statuses.contains {
                    $0["accountId"]?.string == "wrong" && $0["lifecycle"]?.string == "blocked"
                } ? true : nil
            }
            #expect(!world.log.text.contains("fak_wrong"))
        }
    }

    @Test func nothingBoundStartsNothingAndConnectsNowhere() async throws {
        try await withWorld { world in
            let (code, json) = await raw(world, ["centerApiBase": .string(world.sim.centerBase)])
            #expect(code == .ok)
            #expect(json["configured"]?.bool == false && json["accounts"]?.array == [])
            let start = await world.ask(nil, { $0.startAccount($1, completion: $2) }, ["accountId": "default"])
            #expect(start.code == .invalid)
            #expect(await world.sim.counters.connections.values.reduce(0, +) == 0)
        }
    }

    @Test func stopLeavesNothingAndASecondStopIsFine() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            try await world.stop("agent")
            try await world.sim.waitForNoSockets(user: scene.agent.id)
            try await world.stop("agent")
            let row = try await world.status("agent").first
            #expect(row?["running"]?.bool == false && row?["lifecycle"]?.string == "stopped")
            try await world.start("agent")
            try await world.start("agent")
            try await world.sim.waitForSockets(user: scene.agent.id, joined: scene.channel.id)
        }
    }

    @Test func stopsBeforeTheFirstListForgetNoPosition() async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: .report)
            for number in 1...3 {
                try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "\(number)")
            }
            _ = try await world.gateway.delivery("3") { $0.text == "3" }
            for _ in 0..<5 {
                try await world.stop("agent")
                try await world.start("agent")
            }
            try await world.stop("agent")
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "4")
            try await world.start("agent")
            _ = try await world.gateway.delivery("4") { $0.text == "4" }
            #expect(world.gateway.deliveries.map(\.text) == ["1", "2", "3", "4"])
        }
    }

    @Test func aBlockedAccountGoesOnWhereItWas() async throws {
        try await withWorld { world in
            let scene = try await world.scene(type: .report)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "1")
            _ = try await world.gateway.delivery("1") { $0.text == "1" }
            let key = try await world.sim.rotateKey(of: scene.agent.id)
            await world.sim.expireTokens(centerToo: true)
            await world.sim.dropSockets(guild: World.guild)
            _ = try await world.gateway.status("blocked") { $0["lifecycle"]?.string == "blocked" }
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "2")
            // The operator gives it the new key: the account is restarted with it.
            let report = try await world.configure([:], accounts: ["agent": key])
            #expect(report["changed"]?.array == ["agent"])
            try await world.stop("agent")
            try await world.start("agent")
            _ = try await world.gateway.delivery("2") { $0.text == "2" }
            #expect(world.gateway.deliveries.map(\.text) == ["1", "2"])
        }
    }

    @Test func stopIsQuickInEveryState() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let silences: [@Sendable (inout Faults) -> Void] = [
                { $0.blackhole = ["center"] }, { $0.blackhole = [World.guild] }, { $0.resets = [World.guild] },
                { $0.silence = .beforeOpen }, { $0.silence = .beforeConnect },
                { $0.routes = [RouteFault(method: "GET", path: "/api/channels", drop: .never)] },
            ]
            for fault in silences {
                try await world.stop("agent")
                await world.sim.faults.clear()
                await world.sim.faults.update(fault)
                await world.sim.expireTokens(centerToo: true)
                try await world.start("agent")
                _ = try await world.status("agent")
                let start = ContinuousClock.now
                try await world.stop("agent")
                // It takes a moment; one that waits for an answer takes half a minute.
                #expect(ContinuousClock.now - start < .seconds(15))
            }
            await world.sim.faults.clear()
            try await world.start("agent")
            try await world.sim.waitForSockets(user: scene.agent.id, joined: scene.channel.id)
        }
    }

    /// In a process of its own: the other tests of this one open and close descriptors all the time.
    @Test func shutdownEndsThreadsAndDescriptors() async {
        await #expect(processExitsWith: .success) {
            try await withWorld { world in
                func count(_ what: String) throws -> Int {
                    try FileManager.default.contentsOfDirectory(atPath: "/proc/self/\(what)").count
                }
                let agent = try await world.sim.createUser(name: "agent")
                func cycle() async throws {
                    let instance = try world.secondInstance()
                    try await world.configure([:], accounts: ["agent": agent.apiKey], on: instance)
                    try await world.start("agent", on: instance)
                    try await world.sim.waitForSockets(user: agent.id)
                    await World.blocking { instance.shutdown() }
                    try await world.sim.waitForNoSockets(user: agent.id)
                }
                // The first rounds make what the process keeps: pools of threads, caches.
                for _ in 0..<3 { try await cycle() }
                let (threads, files) = (try count("task"), try count("fd"))
                for _ in 0..<20 { try await cycle() }
                // The simulator is in this process too, and its ends of the connections go when they are told. Threads of
                // the pool come and go.
                let deadline = ContinuousClock.now + .seconds(60)
                while try count("fd") > files || count("task") > threads + 2, .now < deadline {
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(try count("fd") <= files)
                #expect(try count("task") <= threads + 2)
            }
        }
    }

    @Test(.timeLimit(.minutes(30))) func aThousandAccounts() async throws {
        // Nobody renews what it has, however long it takes.
        let session: [String: JSONValue] = ["sessionSeconds": 86_400]
        try await withWorld(.init(guilds: [World.guild], tokenLifetime: .seconds(86_400))) { world in
            let human = try await world.sim.createUser(name: "human")
            var keys: [String: String] = [:]
            var ids: [String] = []
            for number in 0..<1000 {
                let user = try await world.sim.createUser(name: "a\(number)")
                keys["a\(number)"] = user.apiKey
                ids.append(user.id)
            }
            let room = try await world.sim.createChannel(
                guild: World.guild, name: "all", type: .report, members: ids + [human.id])
            var rooms: [(agent: String, room: String)] = []
            for id in ids {
                let own = try await world.sim.createChannel(guild: World.guild, name: "own", members: [id, human.id])
                rooms.append((id, own.id))
            }
            world.echo()
            try await world.configure(session, accounts: keys)
            for id in keys.keys.sorted() { try await world.start(id) }
            try await world.sim.waitForSockets(joined: room.id, count: 1000, timeout: .seconds(300))
            for account in keys.keys { try await world.ready(account) }
            let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count
            #expect(threads < 60, "no thread per account")
            try await world.sim.post(as: human.id, in: room.id, content: "to all")
            try await world.gateway.deliveries(1000, "a thousand deliveries") { _ in true }
            #expect(Set(world.gateway.deliveries.map(\.account)).count == 1000)
            // Each is asked in a channel of its own, and answers.
            for (_, own) in rooms { try await world.sim.post(as: human.id, in: own, content: "hi") }
            for (agent, own) in rooms {
                let answer = try await world.sim.waitForMessage(in: own, timeout: .seconds(60)) { $0.author == agent }
                #expect(answer.content == "echo: hi")
            }
            let logins = await world.sim.counters.logins
            #expect(logins.values.allSatisfy { $0 == 1 })

            // A setting of the channel, and one that is of no use to anybody: each is taken up as it is.
            let connects = await world.sim.counters.connects
            let edits: [[String: JSONValue]] = [["coalesce": false], ["coalesce": true, "commandsSyncKey": "unused"]]
            for (number, settings) in edits.enumerated() {
                let report = try await world.configure(settings.merging(session) { $1 }, accounts: keys)
                for list in ["added", "changed", "removed"] { #expect(report[list]?.array == [], "\(settings)") }
                try await world.sim.post(as: human.id, in: room.id, content: "under other settings \(number)")
                try await world.gateway.deliveries(1000, "a thousand to hear it") {
                    $0.text == "under other settings \(number)"
                }
            }
            #expect(await world.sim.counters.connects == connects, "no socket was opened for it")
            #expect(await world.sim.counters.logins == logins, "nobody logged in for it")

            // The guild restarts: all are back within 10 s, and nobody logs in again.
            try await world.sim.stopGuild(World.guild)
            try await world.sim.post(as: human.id, in: room.id, content: "while away")
            try await world.sim.startGuild(World.guild)
            let back = ContinuousClock.now
            try await world.gateway.deliveries(1000, "a thousand to catch up") { $0.text == "while away" }
            print("a thousand agents heard what they missed \(ContinuousClock.now - back) after the guild was back")
            let after = await world.sim.counters.logins
            #expect(after == logins)
            for id in keys.keys { try await world.stop(id) }
            try await world.sim.waitForNoSockets(timeout: .seconds(60))
        }
    }
}
