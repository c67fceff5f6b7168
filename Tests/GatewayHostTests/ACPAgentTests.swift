import Foundation
import GatewayControl
import JSONBytes
import Testing

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
        try await bench.gateway.start()
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
