import Foundation
import GatewayControl
import JSONBytes
import Locking
import Testing
import Threads

@testable import GatewayHost

/// Agents whose processes stay, with a small one of our own.
@Suite struct ACPAgentTests {
    private let log = LogLines()
    private static let script = TestModule.tests + "/GatewayHostTests/TestModule/acp_agent.py"

    private func agent(_ change: (inout ACPSettings) -> Void = { _ in }) async -> ACPAgent {
        var settings = ACPSettings(command: ["/usr/bin/python3", Self.script], directory: "/")
        settings.timeout = .seconds(60)
        change(&settings)
        let tools = TurnTools(capabilities: Capabilities(), executable: "/bin/true", stateDirectory: "/")
        let agent = ACPAgent(
            name: "helper", settings: settings, tools: tools, reserve: DescriptorReserve(), logger: log.logger())
        await agent.begin()
        return agent
    }

    private func turn(_ text: String, _ conversation: String = "c", id: String = "d") throws -> Turn {
        let delivery: JSONValue = [
            "delivery": .string(id), "account": "a", "wake": true, "conversation": ["id": .string(conversation)],
            "message": ["text": .string(text)],
        ]
        return Turn(head: try #require(DeliveryHead(delivery.serialized)), delivery: delivery.serialized)
    }

    private func failure(_ agent: ACPAgent, _ turn: Turn) async -> AgentFailure? {
        do {
            _ = try await agent.answer(turn)
            return nil
        } catch {
            return error
        }
    }

    @Test func aConversationKeepsItsSessionUntilItBeginsAnew() async throws {
        let agent = await agent()
        #expect(try await agent.answer(turn("one"))?.text == "s1 heard one")
        #expect(try await agent.answer(turn("two", "d"))?.text == "s2 heard two")
        #expect(try await agent.answer(turn("three"))?.text == "s1 heard three")
        #expect(await agent.renew(account: "a", conversation: "c"))
        #expect(try await agent.answer(turn("four"))?.text == "s3 heard four")
        await agent.end()
        #expect(await failure(agent, try turn("five"))?.description == "the agent helper is no more")
    }

    private func texts(_ turn: Turn, heard: Int64? = nil) -> [String] {
        ACPMessages.prompt(turn, heard: heard).compactMap { $0["text"]?.string }
    }

    /// Guides, purpose, what it answers, and what was said since its last turn: it sees nothing but the prompt.
    @Test func itIsToldWhatItsDeliverySays() throws {
        let delivery: JSONValue = [
            "delivery": "d", "account": "a", "wake": true, "self": ["userId": "me"],
            "conversation": ["id": "fabric:g/c", "guild": "g", "channel": "c", "name": "room", "purpose": "to test"],
            "message": [
                "seq": 9, "text": "and now?", "replyTo": "m7", "author": ["id": "u", "name": "Ann", "isSystem": true],
            ],
            "instructions": "Answer briefly.",
            "history": [
                ["seq": 6, "text": "six", "author": ["id": "u"]], ["seq": 7, "text": "seven", "author": ["id": "me"]],
                ["seq": 8, "text": "eight", "author": ["id": "v", "name": "Bob"]],
            ],
        ]
        let turn = Turn(head: try #require(DeliveryHead(delivery.serialized)), delivery: delivery.serialized)
        let fresh = texts(turn)
        #expect(fresh.first == "and now?" && fresh.count == 4)
        #expect(fresh[1] == "\n[Said here before:\nu: six\nyou: seven\nBob: eight]")
        #expect(fresh[2] == "\n[You are told in this conversation: Answer briefly.]")
        for word in ["Ann, the chat system itself", "in answer to the message m7", "#room", "which is for: to test"] {
            #expect(fresh[3].contains(word), "\(fresh[3])")
        }
        #expect(texts(turn, heard: 5)[1] == "\n[Said here before:\nu: six\nBob: eight]")
        #expect(texts(turn, heard: 8).count == 3)
    }

    /// A session is told once; a new one is told all of it.
    @Test func whatDidNotWakeItIsToldOnce() async throws {
        let agent = await agent()
        func said(_ seq: Int64, _ text: String) async throws -> String? {
            let delivery: JSONValue = [
                "delivery": .string("d\(seq)"), "account": "a", "wake": true, "conversation": ["id": "c"],
                "message": ["seq": .int(seq), "text": .string(text)],
                "history": [["seq": .int(seq - 1), "text": "passing", "author": ["id": "u"]]],
            ]
            let head = try #require(DeliveryHead(delivery.serialized))
            return try await agent.answer(Turn(head: head, delivery: delivery.serialized))?.text
        }
        #expect(try await said(2, "blocks") == "s1 heard 3 blocks")
        #expect(try await said(3, "blocks") == "s1 heard 2 blocks", "the first turn's own message")
        #expect(try await said(5, "blocks") == "s1 heard 3 blocks")
        #expect(await agent.renew(account: "a", conversation: "c"))
        #expect(try await said(6, "blocks") == "s2 heard 3 blocks")
        await agent.end()
    }

    @Test func oneConversationDoesNotWaitForAnother() async throws {
        let agent = await agent()
        let hanging = try turn("hang", "c")
        let first = Task { await failure(agent, hanging) }
        #expect(try await agent.answer(turn("two", "d"))?.text.hasSuffix("heard two") == true)
        first.cancel()
        #expect(await first.value?.cancelled == true)
        // The session goes on.
        #expect(try await agent.answer(turn("three", "c"))?.text.hasSuffix("heard three") == true)
        await agent.end()
    }

    @Test func whatHangsIsCancelledInTime() async throws {
        let agent = await agent { $0.timeout = .seconds(2) }
        #expect(await failure(agent, try turn("hang"))?.description.contains("took longer than 2.0 s") == true)
        await agent.end()
    }

    @Test func itDiesAndComesBack() async throws {
        let agent = await agent()
        let died = await failure(agent, try turn("die"))
        #expect(died?.description.contains("ended with exit code 3") == true && died?.cancelled == false)
        #expect(try await agent.answer(turn("again"))?.text == "s1 heard again")
        #expect(log.contains("started again in 1 s") && log.contains("ready"))
        await agent.end()
    }

    /// One that prints without end waits until it is heard: what is not taken yet stays bounded.
    @Test func whatIsNotTakenIsNotRead() async throws {
        let told = Locked((events: 0, weight: 0))
        let process = try ACPProcess(
            command: ["yes"], directory: "/", hiddenVariables: [], reserve: DescriptorReserve()
        ) { event in
            told.withLock {
                $0.events += 1
                $0.weight += event.weight
            }
        }
        let over = Once<Void>()
        try NamedThread.start("test") {
            process.run()
            over.decide(())
        }
        try await eventually("it waits") { told.withLock { $0.weight } > ACPProcess.maximumUntaken }
        let first = told.withLock { $0.events }
        for _ in 0..<first { process.took(.line([UInt8(ascii: "y")])) }
        try await eventually("it goes on") { told.withLock { $0.events } > first + 1000 }
        // It does not listen, and has a second to end by itself.
        process.kill()
        await over.value()
        #expect(told.withLock { $0.weight } < 4 * ACPProcess.maximumUntaken)
    }

    /// Lines that are no messages are told of once for each process.
    @Test func straysAreToldOfOnce() {
        var client = ACPClient(name: "a", settings: ACPPolicy(), limits: ACPClient.Limits())
        _ = client.begin(at: .now)
        let first = client.received(Array("garbage".utf8), at: .now)
        guard case .note? = first.first else {
            Issue.record("\(first)")
            return
        }
        for _ in 0..<100 { #expect(client.received(Array("[1]".utf8), at: .now).isEmpty) }
        _ = client.ended("over", at: .now)
        #expect(client.received(Array("garbage".utf8), at: .now).count == 1)
    }

    @Test func oneThatIsNotThereIsNamed() async throws {
        let agent = await agent { $0.command = ["/nowhere/agent"] }
        #expect(await failure(agent, try turn("x"))?.description.contains("/nowhere/agent") == true)
        await agent.end()
        let homeless = await self.agent { $0.directory = "/nowhere/else" }
        #expect(await failure(homeless, try turn("x"))?.description.contains("entering /nowhere/else") == true)
        await homeless.end()
    }

    @Test func itDoesNotSeeTheSecrets() async throws {
        setenv("TEST_SECRET", "x", 1)
        let agent = await agent { $0.hiddenVariables = ["TEST_SECRET"] }
        #expect(try await agent.answer(turn("environment"))?.text == "hidden")
        await agent.end()
    }

    @Test func aReloadKeepsThoseThatStayAsTheyAre() async throws {
        let agents: JSONValue = ["a": ["acp": ["command": ["/usr/bin/python3", .string(Self.script)]]]]
        let bench = try TestBench(accounts: ["a": "1"], agents: agents)
        try await bench.start()
        func said(_ id: String) async throws -> String? {
            try await bench.deliver(id, text: "x")
            try await eventually("\(id) is over") { try await bench.journal().contains("settle \(id) 2") }
            return try await bench.journal().first { $0.hasPrefix("send ") && $0.hasSuffix(id) }
        }
        #expect(try await said("d1")?.contains("[s1 heard x]") == true)
        try bench.rewrite(accounts: ["a": "2"], agents: agents)
        try await bench.gateway.reload()
        #expect(try await said("d2")?.contains("[s1 heard x]") == true)
        // /new ends the session, and another command is another process.
        try await bench.deliver("n", text: "/new", command: "new")
        try await eventually("/new is over") { try await bench.journal().contains("settle n 2") }
        #expect(try await said("d3")?.contains("[s2 heard x]") == true)
        try bench.rewrite(
            accounts: ["a": "2"], agents: ["a": ["acp": ["command": ["/usr/bin/python3", "-u", .string(Self.script)]]]])
        try await bench.gateway.reload()
        #expect(try await said("d4")?.contains("[s1 heard x]") == true)
        await bench.gateway.stop()
    }
}
