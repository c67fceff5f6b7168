import JSONBytes
import Testing

@testable import GatewayHost

/// The protocol with an agent whose process stays, as a value.
@Suite struct ACPClientTests {
    private let start = ContinuousClock.now
    private typealias Key = ACPClient.Key

    private struct Bench {
        var client: ACPClient
        var now = ContinuousClock.now
        var written: [JSONValue] = []
        var finished: [UInt64: ACPClient.Outcome] = [:]
        var starts = 0
        var kills = 0
        var notes: [String] = []

        init(_ policy: ACPPolicy = ACPPolicy(), limits: ACPClient.Limits = .init()) {
            client = ACPClient(name: "helper", settings: policy, limits: limits)
        }

        mutating func take(_ actions: [ACPClient.Action]) {
            for action in actions {
                switch action {
                case .start: starts += 1
                case .kill: kills += 1
                case .write(let message): written.append(message)
                case .finish(let id, let outcome): finished[id] = outcome
                case .note(let text): notes.append(text)
                }
            }
        }

        /// The last request of that method that was written, and takes it away.
        mutating func asked(_ method: String) -> JSONValue? {
            guard let index = written.lastIndex(where: { $0["method"]?.string == method }) else { return nil }
            return written.remove(at: index)
        }

        mutating func says(_ message: JSONValue) { take(client.received(message.serialized, at: now)) }

        mutating func answers(_ request: JSONValue?, _ result: JSONValue) {
            says(["jsonrpc": "2.0", "id": request?["id"] ?? .null, "result": result])
        }

        mutating func refuses(_ request: JSONValue?, _ error: JSONValue) {
            says(["jsonrpc": "2.0", "id": request?["id"] ?? .null, "error": error])
        }

        mutating func chunk(_ session: String, _ text: String) {
            says([
                "jsonrpc": "2.0", "method": "session/update",
                "params": [
                    "sessionId": .string(session),
                    "update": [
                        "sessionUpdate": "agent_message_chunk", "content": ["type": "text", "text": .string(text)],
                    ],
                ],
            ])
        }

        mutating func up(_ abilities: JSONValue = [:]) {
            take(client.begin(at: now))
            answers(asked("initialize"), ["protocolVersion": 1, "agentCapabilities": abilities])
        }

        mutating func submit(_ id: UInt64, _ conversation: String = "c") {
            let wanted = ACPClient.Wanted(
                key: Key(account: "a", conversation: conversation), prompt: [["type": "text", "text": "hi"]],
                servers: [["name": "s"]])
            take(client.submit(id, wanted, at: now))
        }

        /// A turn that is with the agent.
        mutating func prompted(_ id: UInt64, _ conversation: String, session: String) -> JSONValue? {
            submit(id, conversation)
            if let new = asked("session/new") { answers(new, ["sessionId": .string(session)]) }
            return asked("session/prompt")
        }

        mutating func passes(_ time: Duration) {
            now = now.advanced(by: time)
            take(client.tick(now))
        }
    }

    @Test func aTurnFromTheStartToItsAnswer() {
        var bench = Bench()
        bench.submit(1)
        #expect(bench.starts == 1)
        let initialize = bench.asked("initialize")
        #expect(initialize?["params"]?["protocolVersion"]?.int == 1)
        #expect(initialize?["params"]?["clientCapabilities"]?["fs"]?["readTextFile"] == false)
        #expect(bench.asked("session/new") == nil, "not before it is up")
        bench.answers(initialize, ["protocolVersion": 1])
        let new = bench.asked("session/new")
        #expect(new?["params"]?["mcpServers"] == [["name": "s"]] && new?["params"]?["cwd"] == "/")
        bench.answers(new, ["sessionId": "S"])
        let prompt = bench.asked("session/prompt")
        #expect(prompt?["params"]?["sessionId"] == "S")
        bench.chunk("S", "Let me ")
        bench.chunk("other", "not mine")
        bench.chunk("S", "look.")
        let update: JSONValue = [
            "jsonrpc": "2.0", "method": "session/update",
            "params": ["sessionId": "S", "update": ["sessionUpdate": "tool_call", "toolCallId": "1"]],
        ]
        bench.says(update)
        bench.says([
            "jsonrpc": "2.0", "method": "session/update",
            "params": ["sessionId": "S", "update": ["sessionUpdate": "something_new"]],
        ])
        bench.chunk("S", "Done.")
        #expect(bench.finished.isEmpty)
        bench.answers(prompt, ["stopReason": "end_turn"])
        #expect(bench.finished[1] == .said("Let me look.\n\nDone."))
        // The next turn of the conversation is in the same session.
        bench.submit(2)
        #expect(bench.asked("session/new") == nil)
        bench.answers(bench.asked("session/prompt"), ["stopReason": "end_turn"])
        #expect(bench.finished[2] == .said(""))
    }

    @Test func twoConversationsAtOnceAndOneTurnEach() {
        var bench = Bench()
        bench.up()
        let first = bench.prompted(1, "c", session: "S")
        let second = bench.prompted(2, "d", session: "T")
        #expect(first != nil && second != nil)
        bench.submit(3, "c")
        #expect(bench.asked("session/prompt") == nil, "a session has one turn at a time")
        bench.chunk("T", "two")
        bench.chunk("S", "one")
        bench.answers(second, ["stopReason": "end_turn"])
        #expect(bench.finished == [2: .said("two")])
        bench.answers(first, ["stopReason": "end_turn"])
        #expect(bench.finished[1] == .said("one") && bench.asked("session/prompt")?["params"]?["sessionId"] == "S")
    }

    @Test func sessionsAreBoundedAndTheOldestGoes() {
        var limits = ACPClient.Limits()
        limits.sessions = 2
        var bench = Bench(limits: limits)
        bench.up(["sessionCapabilities": ["close": [:]]])
        bench.answers(bench.prompted(1, "c", session: "S"), ["stopReason": "end_turn"])
        let busy = bench.prompted(2, "d", session: "T")
        let third = bench.prompted(3, "e", session: "U")
        #expect(bench.asked("session/close")?["params"]?["sessionId"] == "S")
        bench.submit(4, "f")
        #expect(bench.asked("session/new") == nil, "both are busy")
        bench.answers(busy, ["stopReason": "end_turn"])
        #expect(bench.asked("session/close")?["params"]?["sessionId"] == "T" && bench.asked("session/new") != nil)
        #expect(bench.client.sessions.count == 2)
        bench.answers(third, ["stopReason": "end_turn"])
    }

    @Test func whatIsCancelledEndsAndSoDoesWhatTakesTooLong() {
        var limits = ACPClient.Limits()
        limits.turn = .seconds(10)
        limits.grace = .seconds(3)
        var bench = Bench(limits: limits)
        bench.up()
        let first = bench.prompted(1, "c", session: "S")
        bench.take(bench.client.cancel(1, at: bench.now))
        #expect(bench.asked("session/cancel")?["params"]?["sessionId"] == "S")
        #expect(bench.finished == [1: .cancelled], "who gave it up does not wait for the agent")
        // The next turn of the conversation does.
        bench.submit(9, "c")
        #expect(bench.asked("session/prompt") == nil)
        bench.chunk("S", "too late")
        // It asks for permission in between: that is over too.
        bench.says([
            "jsonrpc": "2.0", "id": "p", "method": "session/request_permission",
            "params": ["sessionId": "S", "options": []],
        ])
        #expect(bench.written.last?["result"]?["outcome"]?["outcome"] == "cancelled")
        bench.answers(first, ["stopReason": "cancelled"])
        bench.answers(bench.asked("session/prompt"), ["stopReason": "end_turn"])
        #expect(bench.finished == [1: .cancelled, 9: .said("")])
        // One that takes too long, and does not end by being asked to.
        _ = bench.prompted(2, "c", session: "S")
        bench.passes(.seconds(10))
        #expect(bench.asked("session/cancel") != nil)
        bench.submit(3, "c")
        #expect(bench.asked("session/new") == nil)
        bench.passes(.seconds(3))
        guard case .failed(let reason)? = bench.finished[2] else { return #expect(Bool(false), "it did not fail") }
        #expect(reason.contains("agents.helper.timeoutSeconds"))
        // Its conversation begins anew.
        #expect(bench.asked("session/new") != nil)
        // One that waits for the session ends at once.
        bench.take(bench.client.cancel(3, at: bench.now))
        #expect(bench.finished[3] == .cancelled)
    }

    @Test func aProcessThatDiesIsStartedAgainAndLater() {
        var bench = Bench()
        bench.up(["loadSession": true])
        _ = bench.prompted(1, "c", session: "S")
        bench.submit(2, "c")
        bench.take(bench.client.ended("it was ended by signal 9", at: bench.now))
        #expect(bench.finished == [1: .failed("it was ended by signal 9")], "the other waits for the next")
        #expect(bench.starts == 1 && bench.notes.last?.contains("started again in 1 s") == true)
        bench.passes(.milliseconds(900))
        #expect(bench.starts == 1)
        bench.passes(.milliseconds(200))
        #expect(bench.starts == 2)
        bench.answers(bench.asked("initialize"), ["protocolVersion": 1, "agentCapabilities": ["loadSession": true]])
        // The session is asked for again; while it is told what was, nothing of that is an answer.
        let load = bench.asked("session/load")
        #expect(load?["params"]?["sessionId"] == "S" && load?["params"]?["mcpServers"] == [["name": "s"]])
        bench.chunk("S", "of before")
        bench.answers(load, .null)
        let prompt = bench.asked("session/prompt")
        bench.chunk("S", "now")
        bench.answers(prompt, ["stopReason": "end_turn"])
        #expect(bench.finished[2] == .said("now"))
        // Each end in a row doubles the pause, to its bound; a good time makes it forget.
        var pauses: [Duration] = []
        for _ in 0..<9 {
            bench.take(bench.client.ended("it ended", at: bench.now))
            guard case .down(let until?) = bench.client.phase else { continue }
            pauses.append(until - bench.now)
            bench.passes(until - bench.now)
        }
        #expect(pauses == [2, 4, 8, 16, 32, 60, 60, 60, 60].map { .seconds($0) })
        bench.answers(bench.asked("initialize"), ["protocolVersion": 1])
        bench.now = bench.now.advanced(by: .seconds(61))
        bench.take(bench.client.ended("it ended", at: bench.now))
        #expect(bench.client.phase == .down(until: bench.now.advanced(by: .seconds(1))))
    }

    @Test func aSessionThatCannotBeLoadedIsANewOne() {
        var bench = Bench()
        bench.up(["loadSession": true])
        bench.answers(bench.prompted(1, "c", session: "S"), ["stopReason": "end_turn"])
        bench.take(bench.client.ended("it ended", at: bench.now))
        bench.passes(.seconds(1))
        bench.answers(bench.asked("initialize"), ["protocolVersion": 1, "agentCapabilities": ["loadSession": true]])
        bench.submit(2, "c")
        bench.refuses(bench.asked("session/load"), ["code": -32002, "message": "unknown"])
        #expect(bench.asked("session/new") != nil && bench.finished[2] == nil)
    }

    @Test func whatDoesNotComeUpFailsItsTurns() {
        var bench = Bench()
        bench.submit(1)
        bench.take(bench.client.ended("starting /nowhere: No such file", at: bench.now))
        #expect(bench.finished == [1: .failed("starting /nowhere: No such file")])
        // Another version, a refusal, silence.
        bench.submit(2)
        bench.passes(.seconds(1))
        bench.answers(bench.asked("initialize"), ["protocolVersion": 2])
        #expect(bench.kills == 1)
        guard case .failed(let reason)? = bench.finished[2] else { return #expect(Bool(false), "it did not fail") }
        #expect(reason.contains("version 2 of the Agent Client Protocol"))
        bench.take(bench.client.ended("it ended", at: bench.now))
        bench.submit(3)
        bench.passes(.seconds(2))
        #expect(bench.starts == 3)
        bench.passes(.seconds(60))
        #expect(bench.kills == 2 && bench.notes.contains { $0.contains("did not answer initialize") })
        bench.take(bench.client.ended("it ended", at: bench.now))
        // Why it was ended, and what to do about it, not how.
        let slow = "it did not answer initialize within 60.0 s; see agents.helper.acp.startSeconds"
        #expect(bench.finished[3] == .failed(slow))
        let standing = bench.client.standing(at: bench.now)
        #expect(standing.state == "down" && standing.problem == slow && standing.pause == .seconds(4))
        #expect(
            standing.warning
                == "the agent helper does not come up, 3 times in a row: \(slow); it is started again in 4 s")
        #expect(standing.json["problem"]?.string == slow && standing.json["failuresInRow"] == 3)
        bench.passes(.seconds(4))
        #expect(bench.client.standing(at: bench.now).warning?.hasSuffix("startSeconds") == true, "it is starting")
        bench.answers(bench.asked("initialize"), ["protocolVersion": 1])
        let ready = bench.client.standing(at: bench.now)
        #expect(ready.state == "ready" && ready.problem == nil && ready.warning == nil)
    }

    @Test func whoMustLogInIsToldHow() {
        var bench = Bench()
        bench.take(bench.client.begin(at: bench.now))
        bench.answers(
            bench.asked("initialize"), ["protocolVersion": 1, "authMethods": [["id": "key", "name": "By key"]]])
        bench.submit(1)
        bench.refuses(bench.asked("session/new"), ["code": -32000, "message": "Authentication required"])
        guard case .failed(let reason)? = bench.finished[1] else { return #expect(Bool(false), "it did not fail") }
        #expect(reason.contains("agents.helper.acp.authMethod to one of key"))
        var policy = ACPPolicy()
        policy.authMethod = "key"
        var other = Bench(policy)
        other.take(other.client.begin(at: other.now))
        other.answers(other.asked("initialize"), ["protocolVersion": 1, "authMethods": [["id": "key"]]])
        let authenticate = other.asked("authenticate")
        #expect(authenticate?["params"]?["methodId"] == "key")
        other.submit(1)
        #expect(other.asked("session/new") == nil)
        other.answers(authenticate, [:])
        #expect(other.asked("session/new") != nil)
    }

    @Test(
        arguments: [
            (false, [], "edit", "reject_once"), (true, [], "edit", "allow_once"),
            (false, ["read"], "read", "allow_once"),
            (false, ["read"], "edit", "reject_once"), (false, [], nil, "reject_once"),
        ] as [(Bool, [String], String?, String)]) func permissionIsWhatTheSettingsSay(
            all: Bool, kinds: [String], kind: String?, expected: String
        )
    {
        var policy = ACPPolicy()
        policy.allowsAll = all
        policy.allowedKinds = Set(kinds)
        let options = ["allow_always", "allow_once", "reject_once", "reject_always"].map { kind -> JSONValue in
            ["optionId": .string(kind), "kind": .string(kind), "name": "x"]
        }
        var call: [String: JSONValue] = ["toolCallId": "1"]
        call["kind"] = kind.map { .string($0) }
        let outcome = policy.outcome(of: ["options": .array(options), "toolCall": .object(call)])
        #expect(outcome == ["outcome": "selected", "optionId": .string(expected)])
        #expect(policy.outcome(of: ["options": []]) == ["outcome": "cancelled"])
    }

    @Test func nonsenseIsNoHarm() {
        var bench = Bench()
        bench.up()
        let prompt = bench.prompted(1, "c", session: "S")
        for line in [
            "hello", "[]", "{}", "{\"id\":99,\"result\":{}}", "{\"method\":\"session/update\"}", "{\"id\":{}}",
        ] {
            bench.take(bench.client.received(Array(line.utf8), at: bench.now))
        }
        bench.says(["jsonrpc": "2.0", "id": 7, "method": "fs/read_text_file", "params": ["path": "/etc/passwd"]])
        #expect(bench.written.last?["error"]?["code"]?.int == -32601)
        #expect(bench.finished.isEmpty)
        bench.refuses(prompt, ["code": 1, "message": "no\u{1b}[31m model"])
        guard case .failed(let reason)? = bench.finished[1] else { return #expect(Bool(false), "it did not fail") }
        #expect(reason.hasPrefix("the agent failed: no") && !reason.contains("\u{1b}"))
    }

    @Test func tooMuchIsCutOff() {
        var limits = ACPClient.Limits()
        limits.output = 10
        var bench = Bench(limits: limits)
        bench.up()
        let prompt = bench.prompted(1, "c", session: "S")
        bench.chunk("S", "0123456789")
        #expect(bench.asked("session/cancel") == nil)
        bench.chunk("S", "x")
        #expect(bench.asked("session/cancel") != nil)
        bench.answers(prompt, ["stopReason": "cancelled"])
        guard case .failed(let reason)? = bench.finished[1] else { return #expect(Bool(false), "it did not fail") }
        #expect(reason.contains("agents.helper.maximumOutputBytes"))
    }

    @Test func renewingAndRetiring() {
        var bench = Bench()
        bench.up()
        bench.answers(bench.prompted(1, "c", session: "S"), ["stopReason": "end_turn"])
        let renewed = bench.client.renew(Key(account: "a", conversation: "c"), at: bench.now)
        bench.take(renewed.actions)
        #expect(renewed.had)
        let second = bench.prompted(2, "c", session: "T")
        #expect(second?["params"]?["sessionId"] == "T")
        // One that is replaced ends its turn first; one that is stopped does not.
        bench.take(bench.client.retire(at: bench.now, atOnce: false))
        #expect(bench.kills == 0 && bench.finished[2] == nil)
        bench.submit(3)
        #expect(bench.finished[3] == .failed("the agent helper is no more"))
        bench.answers(second, ["stopReason": "end_turn"])
        #expect(bench.kills == 1 && bench.client.phase == .over && bench.finished[2] == .said(""))
        bench.take(bench.client.ended("it ended", at: bench.now))
        bench.passes(.seconds(100))
        #expect(bench.starts == 1 && bench.client.nextTick == nil)

        var other = Bench()
        other.up()
        _ = other.prompted(1, "c", session: "S")
        other.take(other.client.retire(at: other.now, atOnce: true))
        #expect(other.kills == 1 && other.finished == [1: .cancelled])
    }
}
