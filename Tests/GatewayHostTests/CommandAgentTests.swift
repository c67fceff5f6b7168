import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

@Suite struct CommandAgentTests {
    let log = LogLines()

    func turn(_ text: String = "hello") throws -> Turn {
        let delivery: JSONValue = [
            "delivery": "d1", "account": "a", "wake": true, "conversation": ["id": "test:g/c"],
            "message": ["text": .string(text)],
        ]
        return Turn(head: try #require(DeliveryHead(delivery.serialized)), delivery: delivery.serialized)
    }

    func agent(
        _ script: String, timeout: Duration = .seconds(120), output: Int = 1 << 20, hidden: Set<String> = [],
        slots: CommandSlots = CommandSlots(8)
    ) -> CommandAgent {
        var configuration = CommandSettings(command: ["/bin/sh", "-c", script])
        configuration.timeout = timeout
        configuration.maximumOutput = output
        configuration.hiddenVariables = hidden
        return CommandAgent(name: "helper", configuration: configuration, slots: slots, logger: log.logger())
    }

    func failure(_ agent: CommandAgent) async throws -> String {
        do {
            _ = try await agent.answer(turn())
        } catch let error as AgentFailure {
            return error.description
        }
        return "it did not fail"
    }

    @Test func theDeliveryGoesInAndTheAnswerComesOut() async throws {
        let reply = try await agent("cat; echo; echo done; echo").answer(turn("hi"))
        let text = try #require(reply?.text)
        #expect(text.hasPrefix("{") && text.contains(#""text":"hi""#) && text.hasSuffix("\ndone"))
    }

    @Test func nothingIsNoAnswer() async throws {
        #expect(try await agent("cat > /dev/null").answer(turn()) == nil)
        #expect(try await agent("echo; echo '  '").answer(turn()) == nil)
    }

    @Test func aCommandThatDoesNotReadItsInputIsNoHarm() async throws {
        let big = try turn(String(repeating: "x", count: 1 << 20))
        #expect(try await agent("echo ok").answer(big)?.text == "ok")
        #expect(try await agent("exec 0<&-; echo ok").answer(big)?.text == "ok")
        #expect(try await agent("wc -c | tr -d ' '").answer(big)?.text == "\(big.delivery.count)")
    }

    @Test func crashesAreFailedTurnsWithTheirErrorsInTheLog() async throws {
        #expect(try await failure(agent("echo oops >&2; exit 3")).contains("exit code 3"))
        #expect(log.contains("oops"))
        #expect(try await failure(agent("kill -SEGV $$")).contains("signal 11"))
    }

    @Test func aMissingProgramIsNamed() async throws {
        let agent = CommandAgent(
            name: "helper", configuration: .init(command: ["/nonexistent/answer"]), slots: CommandSlots(1),
            logger: log.logger())
        let text = try await failure(agent)
        #expect(text.contains("/nonexistent/answer") && text.contains("agents.helper.command"))
    }

    @Test func aHangIsKilledWithItsChildren() async throws {
        let scratch = try Scratch()
        let fifo = scratch.path + "/alive"
        #expect(mkfifo(fifo, 0o600) == 0)
        // Grandchildren hold the fifo open for writing; it gives end of file when the last is dead.
        let hanging = agent("exec 3<>\(fifo); (sleep 1000 & sleep 1000) & sleep 1000", timeout: .milliseconds(300))
        #expect(try await failure(hanging).contains("took longer"))
        let reader = open(fifo, O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        try await eventually("all children are dead") {
            var byte: UInt8 = 0
            return read(reader, &byte, 1) == 0
        }
    }

    @Test func aFloodIsStoppedAtItsBound() async throws {
        #expect(try await failure(agent("yes", output: 100_000)).contains("100000 bytes"))
        #expect(
            try await agent("head -c 100000 /dev/zero | tr '\\0' x", output: 100_000).answer(turn())?.text.count
                == 100_000)
        // Standard error may flood; its tail is kept.
        #expect(try await agent("head -c 3000000 /dev/zero | tr '\\0' e >&2; echo fine").answer(turn())?.text == "fine")
    }

    @Test func invalidUTF8IsRepairedAndLogged() async throws {
        let reply = try await agent(#"printf 'a\377b'"#).answer(turn())
        #expect(reply?.text == "a\u{FFFD}b")
        #expect(log.contains("not valid UTF-8"))
    }

    @Test func aBackgroundChildThatKeepsTheOutputOpenDoesNotHoldTheTurn() async throws {
        #expect(try await agent("echo answer; sleep 1000 &").answer(turn())?.text == "answer")
    }

    @Test func noDescriptorAndNoSecretIsInherited() async throws {
        setenv("GATEWAY_TEST_SECRET", "key", 1)
        defer { unsetenv("GATEWAY_TEST_SECRET") }
        let leak = open("/dev/null", O_RDONLY)
        defer { close(leak) }
        let script = "ls /proc/self/fd | tr '\\n' ' '; echo \"[$GATEWAY_TEST_SECRET]\""
        let text = try #require(try await agent(script, hidden: ["GATEWAY_TEST_SECRET"]).answer(turn())?.text)
        #expect(text == "0 1 2 3 []", "3 is ls's own")
    }

    @Test func commandsWaitForAPlaceAndAWaitingOneCanBeCancelled() async throws {
        let scratch = try Scratch()
        let fifo = scratch.path + "/go"
        #expect(mkfifo(fifo, 0o600) == 0)
        let slots = CommandSlots(1)
        let first = Task { try await agent("cat \(fifo)", slots: slots).answer(turn()) }
        var writer: Int32 = -1
        try await eventually("the first runs") {
            writer = open(fifo, O_WRONLY | O_NONBLOCK)
            return writer >= 0
        }
        let second = Task { try await agent("echo second", slots: slots).answer(turn()) }
        let third = Task { try await agent("echo third", slots: slots).answer(turn()) }
        third.cancel()
        await #expect(throws: AgentFailure("the gateway is stopping", cancelled: true)) { try await third.value }
        _ = write(writer, "one", 3)
        close(writer)
        #expect(try await first.value?.text == "one")
        #expect(try await second.value?.text == "second")
    }

    @Test func cancellingKillsTheCommand() async throws {
        let task = Task { try await agent("sleep 1000").answer(turn()) }
        task.cancel()
        await #expect(throws: AgentFailure("the gateway is stopping", cancelled: true)) { try await task.value }
    }

    @Test func theEchoAgentSendsBackTextAndFiles() async throws {
        let delivery: JSONValue = [
            "delivery": "d", "account": "a", "wake": true, "conversation": ["id": "c"], "message": ["text": ""],
            "media": [
                ["path": "/tmp/x.png", "name": "x.png", "mediaType": "image/png"], ["name": "lost", "error": "404"],
            ],
        ]
        let turn = Turn(head: try #require(DeliveryHead(delivery.serialized)), delivery: delivery.serialized)
        let reply = try await EchoAgent().answer(turn)
        #expect(
            reply == AgentReply(text: "", files: [ReplyFile(path: "/tmp/x.png", name: "x.png", mediaType: "image/png")])
        )
        #expect(try await EchoAgent().answer(self.turn("hi"))?.text == "echo: hi")
        #expect(try await EchoAgent().answer(self.turn("")) == nil)
    }
}
