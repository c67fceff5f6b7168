import ChannelStore
import FabricSimulator
import Foundation
import JSONBytes
import Locking
import Testing

@testable import FabricChannel

/// Several instances of the plugin, each a gateway of its own, that share a store: who runs which account, and that no
/// message is lost or answered twice on the way from one to another.
@Suite(.serialized) struct SharingTests {
    /// Short, so that a test does not wait long.
    private static let beat = 0.1
    /// Longer than a thread may stand still; only few tests wait for its end.
    private static let lease = 5.0

    /// A gateway of a cluster: an instance with a host of its own, which repeats what it hears.
    private final class Node: Sendable {
        let name: String
        let world: World
        let gateway = TestGateway()
        let store: InMemorySharedStore
        let plugin: PluginInstance

        init(_ name: String, _ memory: SharedMemory, _ world: World, gateway name2: String? = nil) throws {
            self.name = name
            self.world = world
            store = InMemorySharedStore(memory)
            plugin = try PluginInstance(
                gateway: gateway, logger: world.log.logger, version: name,
                sharedStore: SharedStoreChoice(
                    store, gateway: name2 ?? name, beatSeconds: SharingTests.beat, leaseSeconds: SharingTests.lease))
            let plugin = plugin
            gateway.onWake.withLock { hook in
                hook.call = { delivery in
                    let reply: JSONValue = [
                        "account": .string(delivery.account), "to": .string(delivery.to),
                        "text": .string("echo: \(delivery.text)"), "delivery": .string(delivery.id),
                    ]
                    plugin.request({ $0.send($1, completion: $2) }, reply.serialized, completion: { _ in })
                    plugin.settle(delivery.id, .finished)
                }
            }
        }

        func begin(_ accounts: [String: String]) async throws {
            try await world.configure([:], accounts: accounts, on: plugin)
            for account in accounts.keys.sorted() { try await world.start(account, on: plugin) }
        }

        func command(_ json: JSONValue) async -> (RequestResult.Code, JSONValue) {
            await world.ask(plugin, { $0.command($1, completion: $2) }, json)
        }

        func status() async -> [JSONValue] {
            let (_, json) = await world.ask(plugin, { $0.status($1, completion: $2) }, [:])
            return json["accounts"]?.array ?? []
        }

        /// The accounts that are connected here.
        func connected() async -> Set<String> {
            Set(await status().filter { $0["connected"]?.bool == true }.compactMap { $0["accountId"]?.string })
        }

        func end() async { await World.blocking { self.plugin.shutdown() } }
    }

    private struct Cluster: Sendable {
        var memory: SharedMemory
        var world: World
        var keys: [String: String]
        var agents: [String: SimulatedUser]
        var human: SimulatedUser
        var rooms: [String: SimulatedChannel]

        init(_ world: World, accounts: Int) async throws {
            memory = SharedMemory { Date().timeIntervalSince1970 }
            self.world = world
            human = try await world.sim.createUser(name: "human")
            (keys, agents, rooms) = ([:], [:], [:])
            for number in 0..<accounts {
                let id = "a\(number)"
                let agent = try await world.sim.createUser(name: id)
                agents[id] = agent
                keys[id] = agent.apiKey
                rooms[id] = try await world.sim.createChannel(
                    guild: World.guild, name: "room-\(id)", type: .dm, members: [agent.id, human.id])
            }
        }

        func node(_ name: String, as gateway: String? = nil) throws -> Node {
            try Node(name, memory, world, gateway: gateway)
        }

        func post(_ text: String, to account: String) async throws {
            try await world.sim.post(as: human.id, in: #require(rooms[account]).id, content: text)
        }

        /// Waits for the answers, and says whether each question has exactly one, in order.
        func areAnswered(_ account: String, last: String) async throws -> Bool {
            let room = try #require(rooms[account]).id
            _ = try await world.sim.waitForMessage(in: room, timeout: .seconds(30)) { $0.content == "echo: \(last)" }
            let history = await world.sim.history(room)
            let asked = history.filter { $0.author == human.id }.map { "echo: \($0.content)" }
            return history.filter { $0.author != human.id }.map(\.content) == asked
        }

        /// Sockets of the agent that the guild sees.
        func sockets(_ account: String) async throws -> Int {
            let user = try #require(agents[account]).id
            return await world.sim.sockets().count { $0.user == user }
        }
    }

    /// Looks again and again until it is so.
    private func eventually(
        _ what: String, timeout: Duration = .seconds(90), _ condition: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now.advanced(by: timeout)
        while try await !condition() {
            guard ContinuousClock.now < deadline else { throw TestFailure("timed out waiting until \(what)") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    @Test func oneRunsItAndTheOtherIsOnStandbyWithTheReason() async throws {
        try await withWorld { world in
            let cluster = try await Cluster(world, accounts: 1)
            let (one, two) = (try cluster.node("gw-1"), try cluster.node("gw-2"))
            try await one.begin(cluster.keys)
            try await eventually("gw-1 has it") { await one.connected() == ["a0"] }
            try await two.begin(cluster.keys)
            try await eventually("gw-2 says who runs it") {
                await two.status().first?["reason"]?.string == "gateway gw-1 runs it"
            }
            let row = try #require(await two.status().first)
            #expect(row["lifecycle"]?.string == "standby")
            #expect(row["running"]?.bool == true)
            #expect(row["connected"]?.bool == false)
            let (code, json) = await world.send(
                ["account": "a0", "to": "fabric:x", "text": "no"], on: two.plugin)
            #expect(code == .unavailable)
            #expect(json["error"]?.string?.contains("gw-1") == true)
            #expect(json["retryable"]?.bool == true)
            let letters = await two.command(["command": "deadLetters.list", "accountId": "a0"])
            #expect(letters.0 == .unavailable && letters.1["remedy"]?.string == "ask gateway gw-1")
            let (_, sharing) = await two.command(["command": "sharing.status"])
            #expect(sharing["members"]?.array?.count == 2)
            #expect(sharing["database"]?["answers"]?.bool == true)
            try await cluster.post("hello", to: "a0")
            #expect(try await cluster.areAnswered("a0", last: "hello"))
            #expect(two.gateway.deliveries.isEmpty)
            for node in [one, two] { await node.end() }
        }
    }

    /// Who writes into the database does not rule this machine: no directory is removed that he names, and no file posted.
    @Test func whatTheStoreNamesOnThisMachineIsLeftAlone() async throws {
        try await withWorld { world in
            let cluster = try await Cluster(world, accounts: 1)
            let precious = world.directory + "/precious"
            try FileManager.default.createDirectory(atPath: precious, withIntermediateDirectories: true)
            let secret = URL(fileURLWithPath: precious + "/key")
            try Data("a key".utf8).write(to: secret)
            let room = try #require(cluster.rooms["a0"])
            let key = ChannelKey(guild: World.guild, channel: room.id)
            let writer = InMemorySharedStore(cluster.memory)
            _ = try await writer.beat(Member(id: "writer", gateway: "writer"))
            let leases = try await writer.claim(["a0"], atMost: 1)
            let turn = "a0/\(World.guild)/\(room.id)/1"
            let stolen = StoredMedia(path: secret.path, name: "plan.txt", mediaType: "text/plain")
            let message =
                #"{"id":"m","channelId":"\#(room.id)","seq":1,"content":"x","authorUserId":"\#(cluster.human.id)"}"#
            let changes: [StoreChange] = [
                .outbox(OutboxEntry(id: "a0/x", key: key, text: "look", media: [stolen], replyTo: nil, order: 1)),
                .delivery(
                    StoredDelivery(
                        id: turn, key: key, sequence: 1, wake: true, caughtUp: false, redelivered: false,
                        message: Array(message.utf8), handedOver: true, mediaDirectory: precious)),
            ]
            await withCheckedContinuation { done in writer.commit(changes, account: "a0") { _ in done.resume() } }
            try await writer.release(leases)
            try await cluster.post("x", to: "a0")
            let node = try cluster.node("gw-1")
            try await node.begin(cluster.keys)
            try await eventually("it is connected") { await node.connected() == ["a0"] }
            try await eventually("the message cannot be sent") { await node.status().first?["deadLetters"]?.int == 1 }
            _ = try await node.gateway.delivery("the turn") { $0.id == turn }
            try await cluster.post("hello", to: "a0")
            _ = try await world.sim.waitForMessage(in: room.id) { $0.content == "echo: hello" }
            await node.end()
            #expect(try Data(contentsOf: secret) == Data("a key".utf8))
            #expect(await world.sim.history(room.id).allSatisfy { $0.attachments.isEmpty && $0.content != "look" })
        }
    }

    @Test func whatALostGatewayRanIsRunByTheOther() async throws {
        try await withWorld { world in
            let cluster = try await Cluster(world, accounts: 4)
            let (one, two) = (try cluster.node("gw-1"), try cluster.node("gw-2"))
            try await one.begin(cluster.keys)
            try await eventually("gw-1 has all") { await one.connected().count == 4 }
            try await two.begin(cluster.keys)
            try await eventually("the accounts are spread") {
                let (first, second) = (await one.connected(), await two.connected())
                return first.count == 2 && second.count == 2 && first.isDisjoint(with: second)
            }
            // The first loses the database: it ends its accounts by its own clock, before the second may have them.
            one.store.setAway(true)
            try await eventually("gw-1 runs nothing") { await one.connected().isEmpty }
            for account in cluster.keys.keys { try await cluster.post("while one is away", to: account) }
            try await eventually("gw-2 runs all") { await two.connected().count == 4 }
            for account in cluster.keys.keys {
                #expect(try await cluster.areAnswered(account, last: "while one is away"))
                try await eventually("one socket of \(account)") { try await cluster.sockets(account) == 1 }
            }
            #expect(await one.status().allSatisfy { $0["reason"]?.string?.contains("does not answer") == true })
            one.store.setAway(false)
            try await eventually("the accounts are spread again") {
                let (first, second) = (await one.connected(), await two.connected())
                return first.count == 2 && second.count == 2
            }
            for node in [one, two] { await node.end() }
        }
    }

    @Test func drainingHandsEverythingOverAndStoppingLeavesAtOnce() async throws {
        try await withWorld { world in
            let cluster = try await Cluster(world, accounts: 4)
            let (one, two) = (try cluster.node("gw-1"), try cluster.node("gw-2"))
            try await one.begin(cluster.keys)
            try await eventually("gw-1 has all") { await one.connected().count == 4 }
            let alone = await one.command(["command": "sharing.drain", "withinSeconds": 5])
            #expect(alone.0 == .unavailable, "nobody would run them")
            try await two.begin(cluster.keys)
            try await eventually("gw-1 sees gw-2") {
                await one.command(["command": "sharing.status"]).1["members"]?.array?.count == 2
            }
            for account in cluster.keys.keys { try await cluster.post("before", to: account) }
            let (code, json) = await one.command(["command": "sharing.drain", "withinSeconds": 20])
            #expect(code == .ok && json["drained"]?.bool == true)
            for account in cluster.keys.keys { try await cluster.post("after", to: account) }
            for account in cluster.keys.keys { #expect(try await cluster.areAnswered(account, last: "after")) }
            try await eventually("gw-2 has all") { await two.connected().count == 4 }
            #expect(await one.connected().isEmpty)
            _ = await one.command(["command": "sharing.undrain"])
            try await eventually("gw-1 has its share again") { await one.connected().count == 2 }
            await two.end()
            try await eventually("gw-1 has all again") { await one.connected().count == 4 }
            await one.end()
        }
    }

    /// Each of the two believes that the other takes its accounts: one of them at least must not end as if all were well.
    @Test func twoThatAreDrainedAtOnceDoNotBothEndWell() async throws {
        try await withWorld { world in
            let cluster = try await Cluster(world, accounts: 4)
            let (one, two) = (try cluster.node("gw-1"), try cluster.node("gw-2"))
            for node in [one, two] { try await node.begin(cluster.keys) }
            try await eventually("the accounts are spread") {
                let (first, second) = (await one.connected(), await two.connected())
                return first.count == 2 && second.count == 2
            }
            async let first = one.command(["command": "sharing.drain", "withinSeconds": 2])
            async let second = two.command(["command": "sharing.drain", "withinSeconds": 2])
            let answers = await [first, second]
            #expect(!answers.allSatisfy { $0.0 == .ok && $0.1["drained"]?.bool == true }, "\(answers)")
            for node in [one, two] { _ = await node.command(["command": "sharing.undrain"]) }
            try await eventually("all run again") { await one.connected().count + two.connected().count == 4 }
            for node in [one, two] { await node.end() }
        }
    }

    @Test func betweenInstancesOfOneGatewayTheLeaseIsHandedOver() async throws {
        try await withWorld { world in
            let cluster = try await Cluster(world, accounts: 2)
            let (old, other) = (try cluster.node("old", as: "gw-1"), try cluster.node("gw-2"))
            try await old.begin(cluster.keys)
            try await other.begin(cluster.keys)
            try await eventually("the accounts are spread") {
                let (first, second) = (await old.connected(), await other.connected())
                return first.count == 1 && second.count == 1
            }
            let mine = await old.connected()
            let next = try cluster.node("next", as: "gw-1")
            try await world.configure([:], accounts: cluster.keys, on: next.plugin)
            for account in cluster.keys.keys.sorted() {
                let stopped = try await world.stop(account, handover: true, on: old.plugin)
                try await world.start(account, handover: stopped["handover"], on: next.plugin)
            }
            await old.end()
            try await eventually("the new instance has it") { await next.connected() == mine }
            let account = try #require(mine.first)
            try await cluster.post("hello", to: account)
            #expect(try await cluster.areAnswered(account, last: "hello"))
            #expect(await other.connected().isDisjoint(with: mine), "nobody else had it")
            let logins = await world.sim.counters.logins[try #require(cluster.agents[account]).id]
            #expect(logins == 1, "the session was handed over")
            for node in [next, other] { await node.end() }
        }
    }

    /// The new instance has the account, refuses what its agent says of a turn that was answered elsewhere, and goes on.
    private func knowsThatItIsTooLate(
        _ next: Node, _ delivery: TestGateway.Delivery, _ cluster: Cluster, _ world: World
    ) async throws {
        try await eventually("the new instance has it") { await next.connected() == ["a0"] }
        let (code, json) = await world.send(
            ["account": "a0", "to": .string(delivery.to), "text": "too late", "delivery": .string(delivery.id)],
            on: next.plugin)
        #expect(code == .unavailable && json["error"]?.string?.contains("went on at another gateway") == true)
        try await cluster.post("again", to: "a0")
        #expect(try await cluster.areAnswered("a0", last: "again"))
        await next.end()
    }

    /// A turn whose account went to another gateway is answered there; what this one's agent says of it comes too late, also
    /// when the module was loaded anew meanwhile.
    @Test func aNewInstanceKnowsOfTurnsThatWereLostBefore() async throws {
        try await withWorld { world in
            let cluster = try await Cluster(world, accounts: 1)
            let old = try cluster.node("old", as: "gw-1")
            let turn = Locked<TestGateway.Delivery?>(nil)
            // Its agent takes its time.
            old.gateway.onWake.withLock { hook in hook.call = { delivery in turn.withLock { $0 = delivery } } }
            try await old.begin(cluster.keys)
            try await eventually("gw-1 has it") { await old.connected() == ["a0"] }
            try await cluster.post("hello", to: "a0")
            try await eventually("its turn runs") { turn.withLock { $0 } != nil }
            let other = try cluster.node("gw-2")
            try await other.begin(cluster.keys)
            old.store.setAway(true)
            #expect(try await cluster.areAnswered("a0", last: "hello"))
            try await eventually("gw-1 has let go of it") { await old.connected().isEmpty }
            old.store.setAway(false)
            let next = try cluster.node("next", as: "gw-1")
            try await world.configure([:], accounts: cluster.keys, on: next.plugin)
            let stopped = try await world.stop("a0", handover: true, on: old.plugin)
            try await world.start("a0", handover: stopped["handover"], on: next.plugin)
            await old.end()
            await other.end()
            try await knowsThatItIsTooLate(next, try #require(turn.withLock { $0 }), cluster, world)
        }
    }

    /// The module is loaded anew while an account is being given back, and waits for a turn: what the agent says of it in the end
    /// comes too late at the new instance too.
    @Test func aTurnThatWasBeingGivenBackDuringAReloadIsHandedOver() async throws {
        try await withWorld { world in
            let cluster = try await Cluster(world, accounts: 1)
            let old = try cluster.node("old", as: "gw-1")
            let turn = Locked<TestGateway.Delivery?>(nil)
            old.gateway.onWake.withLock { hook in hook.call = { delivery in turn.withLock { $0 = delivery } } }
            try await old.begin(cluster.keys)
            try await eventually("gw-1 has it") { await old.connected() == ["a0"] }
            try await cluster.post("hello", to: "a0")
            try await eventually("its turn runs") { turn.withLock { $0 } != nil }
            let delivery = try #require(turn.withLock { $0 })
            let other = try cluster.node("gw-2")
            try await other.begin(cluster.keys)
            try await eventually("gw-1 sees gw-2") {
                await old.command(["command": "sharing.status"]).1["members"]?.array?.count == 2
            }
            async let drained = old.command(["command": "sharing.drain", "withinSeconds": 60])
            try await eventually("it is being given back") {
                await old.status().first?["reason"]?.string == "it moves to another gateway"
            }
            let stopped = try await world.stop("a0", handover: true, on: old.plugin)
            #expect(try Handover.read(stopped["handover"], account: "a0")?.lostTurns == [delivery.id])
            #expect(try await cluster.areAnswered("a0", last: "hello"))
            let next = try cluster.node("next", as: "gw-1")
            try await world.configure([:], accounts: cluster.keys, on: next.plugin)
            try await world.start("a0", handover: stopped["handover"], on: next.plugin)
            await old.end()
            _ = await drained
            await other.end()
            try await knowsThatItIsTooLate(next, delivery, cluster, world)
        }
    }

    @Test func agentsOfAnotherGatewayAreKnownAsAgents() async throws {
        try await withWorld { world in
            let cluster = try await Cluster(world, accounts: 2)
            let (one, two) = (try cluster.node("gw-1"), try cluster.node("gw-2"))
            try await one.begin(cluster.keys)
            try await two.begin(cluster.keys)
            try await eventually("the accounts are spread") {
                let (first, second) = (await one.connected(), await two.connected())
                return first.count == 1 && second.count == 1
            }
            let mine = try #require(await one.connected().first)
            let theirs = try #require(cluster.agents[mine == "a0" ? "a1" : "a0"])
            let room = try await world.sim.createChannel(
                guild: World.guild, name: "all", type: .general,
                members: cluster.agents.values.map(\.id) + [cluster.human.id])
            // It is asked for now and then.
            try await eventually("gw-1 knows the agent of gw-2") {
                try await world.sim.post(as: theirs.id, in: room.id, content: "agent")
                return one.gateway.deliveries.contains { $0.json["message"]?["author"]?["isAgent"]?.bool == true }
            }
            try await world.sim.post(as: cluster.human.id, in: room.id, content: "person")
            try await eventually("a person is none") {
                one.gateway.deliveries.contains {
                    $0.text == "person" && $0.json["message"]?["author"]?["isAgent"]?.bool != true
                }
            }
            for node in [one, two] { await node.end() }
        }
    }

    @Test func aRestartOfAnAccountKeepsItsLease() async throws {
        try await withWorld { world in
            let cluster = try await Cluster(world, accounts: 2)
            let (one, two) = (try cluster.node("gw-1"), try cluster.node("gw-2"))
            try await one.begin(cluster.keys)
            try await two.begin(cluster.keys)
            try await eventually("the accounts are spread") {
                let (first, second) = (await one.connected(), await two.connected())
                return first.count == 1 && second.count == 1
            }
            let account = try #require(await one.connected().first)
            let owner = cluster.memory.owner(of: account)
            // Asked for at once: after a second the lease is another's.
            let stopping = world.asking(
                one.plugin, { $0.stopAccount($1, completion: $2) }, ["accountId": .string(account)])
            try await world.start(account, on: one.plugin)
            #expect(await stopping.value.code == .ok)
            #expect(cluster.memory.owner(of: account) == owner)
            try await eventually("it is connected again") { await one.connected() == [account] }
            // One that stays stopped goes to the other, which gives its own away for it, perhaps before it is connected.
            try await world.stop(account, on: one.plugin)
            try await eventually("gw-2 has it") { await two.connected().contains(account) }
            for node in [one, two] { await node.end() }
        }
    }
}
