import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

@Suite struct CommandAgentTests {
    let log = LogLines()
    let scratch: Scratch
    let directories: TurnDirectories
    init() throws {
        scratch = try Scratch()
        directories = try TurnDirectories(stateDirectory: scratch.path)
    }

    func turn(_ text: String = "hello", account: String = "a") throws -> Turn {
        let delivery: JSONValue = [
            "delivery": "d1", "account": .string(account), "wake": true, "conversation": ["id": "test:g/c"],
            "message": ["text": .string(text)],
        ]
        return Turn(head: try #require(DeliveryHead(delivery.serialized)), delivery: delivery.serialized)
    }

    func agent(
        _ script: String, timeout: Duration = .seconds(120), output: Int = 1 << 20, hidden: Set<String> = [],
        slots: CommandSlots = CommandSlots(8), form: CommandSettings.Output = .text
    ) -> CommandAgent {
        var configuration = CommandSettings(command: ["/bin/sh", "-c", script])
        configuration.timeout = timeout
        configuration.maximumOutput = output
        configuration.hiddenVariables = hidden
        configuration.output = form
        return CommandAgent(
            name: "helper", configuration: configuration, slots: slots, directories: directories,
            tools: tools, reserve: DescriptorReserve(), logger: log.logger())
    }

    var tools: TurnTools {
        TurnTools(capabilities: Capabilities(), executable: "/bin/true", stateDirectory: scratch.path)
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
            directories: directories, tools: tools, reserve: DescriptorReserve(),
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

    /// However late somebody looks.
    @Test func whatHasEndedDidNotTakeTooLong() {
        let late = Duration.seconds(-5)
        #expect(CommandProcess.verdict(nil, hasEnded: true, left: late) == nil)
        #expect(CommandProcess.verdict(nil, hasEnded: false, left: late) == .timedOut)
        #expect(CommandProcess.verdict(nil, hasEnded: false, left: .seconds(1)) == nil)
        #expect(CommandProcess.verdict(.flooded, hasEnded: true, left: late) == .flooded)
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

    @Test func anAnswerMayBringFilesFromTheTurnsDirectory() async throws {
        let script = """
            cat > /dev/null; cd "$GATEWAY_TURN_DIRECTORY" && printf blue > blue.txt && stat -c %a . > mode
            printf '{"text":"here","media":[{"path":"blue.txt"},{"path":"%s/mode","name":"m"}],"replyTo":"m7"}' "$PWD"
            """
        var reply = try await agent(script, form: .json).answer(turn())
        let files = try #require(reply?.files)
        #expect(reply?.text == "here" && reply?.replyTo == "m7")
        #expect(files.map(\.name) == ["blue.txt", "m"])
        #expect(try files.map { String(decoding: try Files.read($0.path), as: UTF8.self) } == ["blue", "700\n"])
        // They live as long as the answer, and not longer.
        reply = nil
        try await eventually("the directory is gone") { Files.names(in: scratch.path + "/turns").isEmpty }
    }

    @Test(arguments: [
        ("echo plain", "not one JSON object"), ("echo '[1]'", "no object"),
        ("echo '{\"txt\":\"x\"}'", "unknown key “txt”"),
        ("echo '{\"text\":1}'", "“text” in its output is not a string"),
        ("echo '{\"media\":[{\"path\":\"nothing\"}]}'", "cannot be read"),
        ("echo '{\"media\":[{\"path\":\"/\"}]}'", "no regular file"), ("echo '{\"media\":[{}]}'", "“media[0].path”"),
    ])
    func aBadObjectIsAFailedTurnThatSaysWhy(script: String, words: String) async throws {
        let failure = try await failure(agent(script, form: .json))
        #expect(failure.contains(words), "\(failure)")
    }

    @Test func nothingInAnObjectIsNoAnswer() async throws {
        for script in ["true", "echo; echo", "echo '{}'", "echo '{\"text\":\" \",\"media\":[]}'"] {
            #expect(try await agent(script, form: .json).answer(turn()) == nil, "\(script)")
        }
    }

    @Test func oneAccountsTurnsLeaveAPlaceForAnothers() async throws {
        let slots = CommandSlots(4)
        let fifo = scratch.path + "/never"
        #expect(mkfifo(fifo, 0o600) == 0)
        let stuck = (0..<6).map { _ in Task { try await agent("cat \(fifo)", slots: slots).answer(turn()) } }
        try await eventually("its turns wait for places") { slots.waitingSince("a") != nil }
        #expect(try await agent("echo through", slots: slots).answer(turn(account: "b"))?.text == "through")
        for task in stuck { task.cancel() }
        for task in stuck { _ = await task.result }
        #expect(slots.waitingSince("a") == nil)
    }
}
