import FabricChannel
import FabricSimulator
import JSONBytes
import Locking
import Testing

/// Moving an account from one instance to another in the same process: what a module reload does.
@Suite(.serialized) struct HandoverTests {
    private func move(_ account: String, in world: World, from old: PluginInstance, to new: PluginInstance) async throws
    {
        let stopped = try await world.stop(account, handover: true, on: old)
        let handover = try #require(stopped["handover"])
        try await world.start(account, handover: handover, on: new)
    }

    /// Echoes through the instance that has the account; while it moves, answers wait, as a gateway's do.
    private final class GatedEcho: Sendable {
        private let state: Locked<(target: PluginInstance?, waiting: [TestGateway.Delivery])>

        init(_ world: World) {
            state = Locked((world.plugin, []))
            world.gateway.onWake.withLock { hook in
                hook.call = { [self] delivery in
                    state.withLock { state in
                        if let target = state.target {
                            Self.answer(delivery, on: target)
                        } else {
                            state.waiting.append(delivery)
                        }
                    }
                }
            }
        }

        func close() { state.withLock { $0.target = nil } }

        func open(on target: PluginInstance) {
            state.withLock { state in
                for delivery in state.waiting { Self.answer(delivery, on: target) }
                state = (target, [])
            }
        }

        private static func answer(_ delivery: TestGateway.Delivery, on target: PluginInstance) {
            let reply: JSONValue = [
                "account": .string(delivery.account), "to": .string(delivery.to),
                "text": .string("echo: \(delivery.text)"), "delivery": .string(delivery.id),
            ]
            target.request({ $0.send($1, completion: $2) }, reply.serialized, completion: { _ in })
            target.settle(delivery.id, .finished)
        }
    }

    @Test func whileMessagesFlowEachIsAnsweredOnceAndNobodyLogsIn() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let echo = GatedEcho(world)
            var current = world.plugin
            var instances: [PluginInstance] = []
            for round in 0..<5 {
                for number in 0..<10 {
                    try await world.sim.post(
                        as: scene.human.id, in: scene.channel.id, content: "\(round)-\(number)")
                }
                let next = try world.secondInstance()
                instances.append(next)
                try await world.configure([:], accounts: ["agent": scene.agent.apiKey], on: next)
                echo.close()
                try await move("agent", in: world, from: current, to: next)
                echo.open(on: next)
                current = next
            }
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "last")
            _ = try await world.sim.waitForMessage(in: scene.channel.id, timeout: .seconds(60)) {
                $0.content == "echo: last"
            }
            let history = await world.sim.history(scene.channel.id)
            let asked = history.filter { $0.author == scene.human.id }.map { "echo: \($0.content)" }
            let answered = history.filter { $0.author == scene.agent.id }.map(\.content)
            #expect(answered == asked, "once each, in order")
            let logins = await world.sim.counters.logins[scene.agent.id]
            #expect(logins == 1, "\(world.log.text)")
            for instance in instances { await World.blocking { instance.shutdown() } }
        }
    }

    @Test func aRunningTurnGoesOnAndItsAnswerGoesOutThroughTheNewInstance() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "long")
            let delivery = try await world.gateway.delivery("long") { $0.text == "long" }
            let next = try world.secondInstance()
            try await world.configure([:], accounts: ["agent": scene.agent.apiKey], on: next)
            try await move("agent", in: world, from: world.plugin, to: next)
            try await world.sim.waitForSockets(user: scene.agent.id, joined: scene.channel.id)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "behind")
            async let sent = world.send(
                [
                    "account": "agent", "to": .string(delivery.to), "text": "answer",
                    "delivery": .string(delivery.id),
                ], on: next)
            _ = await world.ask(next, { $0.status($1, completion: $2) }, [:])
            next.settle(delivery.id, .finished)
            #expect(await sent.0 == .ok)
            _ = try await world.gateway.delivery("behind") { $0.text == "behind" }
            #expect(world.gateway.deliveries.filter { $0.text == "long" }.count == 1, "not delivered again")
            await World.blocking { next.shutdown() }
        }
    }

    @Test func aDeliveryThatWasNeverSettledIsMarkedWhenItComesAgain() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "unsettled")
            let first = try await world.gateway.delivery("unsettled") { $0.text == "unsettled" }
            try await world.stop("agent")
            try await world.start("agent")
            let second = try await world.gateway.delivery("unsettled again") { $0.redelivered }
            #expect(second.id == first.id && second.text == "unsettled")
            world.plugin.settle(second.id, .finished)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "next")
            let next = try await world.gateway.delivery("next") { $0.text == "next" }
            #expect(!next.redelivered)
            #expect(world.gateway.deliveries.count == 3)
        }
    }

    @Test func aTurnThatRunsAgainCannotBeAnsweredTwice() async throws {
        try await withWorld { world in
            let scene = try await world.scene(["coalesce": false])
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "question")
            let delivery = try await world.gateway.delivery("question") { $0.wake }
            let reply: JSONValue = [
                "account": "agent", "to": .string(delivery.to), "text": "the answer",
                "delivery": .string(delivery.id),
            ]
            let first = await world.send(reply)
            #expect(first.0 == .ok)
            // The gateway dies before it can settle: the turn runs again.
            try await world.stop("agent")
            try await world.start("agent")
            _ = try await world.gateway.delivery("the question again") { $0.redelivered }
            let second = await world.send(reply)
            #expect(second.0 == .ok && second.1["messageId"] == first.1["messageId"])
            world.plugin.settle(delivery.id, .finished)
            let answers = await world.sim.history(scene.channel.id).filter { $0.author == scene.agent.id }
            #expect(answers.map(\.content) == ["the answer"])
        }
    }

    /// The answer may come before the new instance has a session, let alone a socket: its lane must not wait for a turn
    /// that is over.
    @Test func aTurnThatEndsWhileItMovesHoldsUpNothing() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            var current = world.plugin
            var instances: [PluginInstance] = []
            for round in 0..<20 {
                try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "\(round)")
                let delivery = try await world.gateway.delivery("\(round)") { $0.text == "\(round)" }
                let next = try world.secondInstance()
                instances.append(next)
                try await world.configure([:], accounts: ["agent": scene.agent.apiKey], on: next)
                try await move("agent", in: world, from: current, to: next)
                let reply: JSONValue = [
                    "account": "agent", "to": .string(delivery.to), "text": .string("echo: \(round)"),
                    "delivery": .string(delivery.id),
                ]
                next.request({ $0.send($1, completion: $2) }, reply.serialized) { _ in }
                next.settle(delivery.id, .finished)
                current = next
            }
            _ = try await world.sim.waitForMessage(in: scene.channel.id) { $0.content == "echo: 19" }
            let answers = await world.sim.history(scene.channel.id).filter { $0.author == scene.agent.id }
            #expect(answers.map(\.content) == (0..<20).map { "echo: \($0)" })
            for instance in instances { await World.blocking { instance.shutdown() } }
        }
    }

    @Test func messagesOfAStoppedTimeAreCaughtUp() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            world.echo()
            try await world.stop("agent")
            try await world.sim.waitForNoSockets(user: scene.agent.id)
            for number in 1...3 {
                try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "\(number)")
            }
            try await world.start("agent")
            _ = try await world.sim.waitForMessage(in: scene.channel.id) { $0.content == "echo: 3" }
            #expect(world.gateway.deliveries.map(\.text) == ["1", "2", "3"])
        }
    }

    @Test func twoInstancesLiveSideBySide() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let other = try await world.sim.createUser(name: "other")
            await world.sim.join(scene.channel.id, user: other.id)
            let second = try world.secondInstance()
            try await world.configure([:], accounts: ["other": other.apiKey], on: second)
            try await world.start("other", on: second)
            try await world.ready("other")
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "both")
            _ = try await world.gateway.delivery("agent's") { $0.account == "agent" }
            _ = try await world.gateway.delivery("other's") { $0.account == "other" }
            await World.blocking { second.shutdown() }
        }
    }
}
