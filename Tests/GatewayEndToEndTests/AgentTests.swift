import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

extension GatewayEndToEnd {
    /// Commands that misbehave cost their own turn.
    @Suite struct Agents {
        @Test func crashHangFloodAndInvalidTextCostTheirOwnTurnOnly() async throws {
            try await Stage.play { stage in
                let room = try await Room("worker", on: stage)
                let other = try await Room("echo", on: stage)
                let script = try stage.write(
                    """
                    #!/bin/sh
                    turn=$(cat)
                    case "$turn" in
                    *'"text":"crash"'*) kill -SEGV $$ ;;
                    *'"text":"exit"'*) echo half an answer; echo reasons >&2; exit 3 ;;
                    *'"text":"hang"'*) sleep 1000 & sleep 1000 ;;
                    *'"text":"flood"'*) exec yes ;;
                    *'"text":"errors"'*) exec yes >&2 ;;
                    *'"text":"bytes"'*) printf 'ab\\377\\376\\300cd' ;;
                    *'"text":"silence"'*) ;;
                    *'"text":"deaf"'*) ;;
                    *) echo "fine" ;;
                    esac
                    """, to: "worker.sh", mode: 0o700)
                try stage.configure(
                    accounts: ["worker": room.key, "echo": other.key],
                    agents: [
                        "worker": [
                            "command": [.string(script)], "timeoutSeconds": 5, "maximumOutputBytes": 100_000,
                        ], "echo": ["builtin": "echo"],
                    ])
                let gateway = try await stage.startGateway()
                let sid = try await room.connected()
                try await other.connected()
                let turns: [(text: String, said: String?, log: String?)] = [
                    ("crash", nil, "was ended by signal 11"), ("exit", nil, "ended with exit code 3"),
                    ("hang", nil, "took longer than"), ("flood", nil, "wrote more than 100000 bytes"),
                    ("errors", nil, "took longer than"), ("bytes", "ab\u{FFFD}\u{FFFD}\u{FFFD}cd", "not valid UTF-8"),
                    ("silence", nil, nil),
                ]
                var expected: [String] = []
                for turn in turns {
                    try await room.post(turn.text)
                    // The other account is served meanwhile, and this one's next message afterwards.
                    try await other.ask("beside \(turn.text)")
                    try await room.post("good after \(turn.text)")
                    if let said = turn.said { expected.append(said) }
                    expected.append("fine")
                    let (count, agent) = (expected.count, room.agent.id)
                    _ = try await stage.sim.wait(for: "the turn after \(turn.text)", timeout: .seconds(60)) { sim in
                        sim.history(room.channel.id).count { $0.author == agent } >= count ? true : nil
                    }
                    if let log = turn.log { try await gateway.says(log) }
                }
                #expect(await room.answers == expected)
                // Its standard error is in the log.
                try await gateway.says("reasons")
                #expect(try await room.connected() == sid)
                let stopped = try await stage.stop(gateway)
                #expect(stopped.code == 0)
                #expect(stage.leftovers() == [])
            }
        }

        @Test func aCommandThatIsNotThereCostsItsTurnAndIsNamed() async throws {
            try await Stage.play { stage in
                let room = try await Room("worker", on: stage)
                try stage.configure(
                    accounts: ["worker": room.key], agents: ["worker": ["command": ["/nowhere/at-all"]]])
                let gateway = try await stage.startGateway()
                try await room.connected()
                try await room.post("one")
                // The start has named the command already; this is about the turn.
                try await gateway.says("an agent's turns fail: ")
                let failure = gateway.errors.value.split(separator: "\n").first { $0.contains("turns fail: ") } ?? ""
                #expect(failure.contains("/nowhere/at-all") && failure.contains("agents.worker.command"), "\(failure)")
                try stage.configure(accounts: ["worker": room.key], agents: ["worker": ["builtin": "echo"]])
                _ = try await stage.reload()
                try await room.ask("two")
                #expect(await room.answers == ["echo: two"])
                #expect(try await stage.stop(gateway).code == 0)
            }
        }
    }
}
