import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

extension GatewayEndToEnd {
    /// `gateway stop` in every state an account can be in.
    @Suite struct Stopping {
        struct State: Sendable, CustomTestStringConvertible {
            var testDescription: String
            /// Before the gateway starts.
            var prepare: @Sendable (Room) async throws -> Void = { _ in }
            /// After: returns when the account is in the state.
            var reach: @Sendable (Room) async throws -> Void
        }

        /// On an idle machine it takes less than five seconds. What this must catch, a stop that waits for what it should not,
        /// takes half a minute and more.
        static let soon = Duration.seconds(20)

        static let states = [
            State(
                testDescription: "connecting to a Center that never answers",
                prepare: { room in await room.sim.faults.update { $0.blackhole = ["center"] } },
                reach: { room in
                    try await room.sim.waitForCounters(timeout: .seconds(60)) {
                        $0.connections["center", default: 0] > 0
                    }
                }),
            State(
                testDescription: "upgrading at a guild that never answers",
                prepare: { room in await room.sim.faults.update { $0.blackhole = [Stage.guild] } },
                reach: { room in
                    try await room.sim.waitForCounters(timeout: .seconds(60)) {
                        $0.connections[Stage.guild, default: 0] > 0
                    }
                }),
            State(
                testDescription: "waiting for the Engine.IO open packet",
                prepare: { room in await room.sim.faults.update { $0.silence = .beforeOpen } },
                reach: { room in
                    _ = try await room.sim.wait(for: "a socket", timeout: .seconds(60)) {
                        $0.sockets().isEmpty ? nil : true
                    }
                }),
            State(
                testDescription: "authenticating: CONNECT is never answered",
                prepare: { room in await room.sim.faults.update { $0.silence = .beforeConnect } },
                reach: { room in
                    _ = try await room.sim.wait(for: "a socket", timeout: .seconds(60)) {
                        $0.sockets().isEmpty ? nil : true
                    }
                }),
            State(
                testDescription: "joining: the channel list never comes",
                prepare: { room in
                    await room.sim.faults.add(
                        .init(server: Stage.guild, method: "GET", path: "/api/channels", drop: .never))
                },
                reach: { room in
                    try await room.sim.waitForCounters(timeout: .seconds(60)) {
                        $0.requests["GET /api/channels", default: 0] > 0
                    }
                }),
            State(
                testDescription: "downloading an attachment that never ends",
                reach: { room in
                    try await room.connected()
                    let file = await room.sim.putFile(
                        name: "endless.bin", generated: .init(size: 80_000_000, seed: 1))
                    await room.sim.faults.add(.init(server: Stage.guild, method: "GET", path: file.url, drop: .never))
                    try await room.post("look", attachments: [file.attachment])
                    try await room.sim.waitForCounters(timeout: .seconds(60)) {
                        $0.requests["GET /api/files/:id", default: 0] > 0
                    }
                }),
            State(
                testDescription: "uploading without an answer",
                reach: { room in
                    try await room.connected()
                    await room.sim.faults.add(
                        .init(server: Stage.guild, method: "POST", path: "/api/files", drop: .never))
                    let file = await room.sim.putFile(name: "small.bin", bytes: Array(repeating: 7, count: 100_000))
                    try await room.post("send it back", attachments: [file.attachment])
                    _ = try await room.sim.wait(for: "the upload", timeout: .seconds(60)) { sim in
                        sim.counters.requests.contains { $0.key.hasPrefix("POST /api/files") } ? true : nil
                    }
                }),
            State(
                testDescription: "posting without an answer",
                reach: { room in
                    try await room.connected()
                    await room.sim.faults.add(
                        .init(
                            server: Stage.guild, method: "POST", path: "/api/channels", suffix: "/messages",
                            drop: .never))
                    try await room.post("answer me")
                    _ = try await room.sim.wait(for: "the post", timeout: .seconds(60)) { sim in
                        sim.counters.requests.contains { $0.key.hasPrefix("POST /api/channels") } ? true : nil
                    }
                }),
            State(
                testDescription: "backing off from a guild that is down",
                reach: { room in
                    try await room.connected()
                    try await room.sim.stopGuild(Stage.guild)
                    _ = try await eventually("a second attempt") {
                        let account = try await room.stage.status()["accounts"]?.array?.first
                        let attempts = account?["guilds"]?.array?.first?["reconnectAttempts"]?.int ?? 0
                        return attempts > 1 ? true : nil
                    }
                }),
            State(
                testDescription: "backing off from a Center that is down",
                prepare: { room in await room.sim.stopCenter() },
                reach: { room in
                    _ = try await eventually("an account that recovers") {
                        let account = try await room.stage.status()["accounts"]?.array?.first
                        return account?["lifecycle"]?.string == "recovering" ? true : nil
                    }
                }),
            State(
                testDescription: "blocked: the key is refused",
                prepare: { room in _ = try await room.sim.rotateKey(of: room.agent.id) },
                reach: { room in
                    _ = try await eventually("a blocked account") {
                        let account = try await room.stage.status()["accounts"]?.array?.first
                        return account?["lifecycle"]?.string == "blocked" ? true : nil
                    }
                }),
            State(
                testDescription: "idle",
                reach: { room in
                    try await room.connected()
                    try await room.ask("hello")
                }),
        ]

        @Test(arguments: states)
        func endsSoonAndLeavesNothing(_ state: State) async throws {
            try await Stage.play { stage in
                let room = try await stage.echoRoom()
                try await state.prepare(room)
                let gateway = try await stage.startGateway()
                try await state.reach(room)
                let stopped = try await stage.stop(gateway)
                #expect(stopped.code == 0, "\(gateway.errors.value)")
                #expect(stopped.took < Self.soon, "\(state.testDescription): \(stopped.took)")
                #expect(stage.leftovers() == [], "\(state.testDescription)")
                print("stop while \(state.testDescription): \(stopped.took)")
            }
        }

        /// A command that ignores SIGTERM and has a child that does too: only a SIGKILL to the group ends both.
        @Test func aRunningCommandEndsWithItsWholeGroup() async throws {
            try await Stage.play { stage in
                let room = try await Room("worker", on: stage)
                let script = try stage.write(
                    """
                    #!/bin/sh
                    trap '' TERM INT HUP
                    sh -c "trap '' TERM INT HUP; echo \\$\\$ > \(stage.directory)/child; sleep 1000" &
                    echo $$ > \(stage.directory)/leader
                    while :; do sleep 1000; done
                    """, to: "worker.sh", mode: 0o700)
                try stage.configure(
                    accounts: ["worker": room.key], agents: ["worker": ["command": [.string(script)]]])
                let gateway = try await stage.startGateway()
                try await room.connected()
                let file = await room.sim.putFile(name: "kept.bin", bytes: [1, 2, 3])
                try await room.post("work", attachments: [file.attachment])
                let processes = try await eventually("the command to run") {
                    try? ["leader", "child"].map { name -> pid_t in
                        let text = try String(contentsOfFile: stage.directory + "/" + name, encoding: .utf8)
                        guard let pid = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
                            throw TestFailure("no number yet")
                        }
                        return pid
                    }
                }
                #expect(processes.allSatisfy { kill($0, 0) == 0 })
                let stopped = try await stage.stop(gateway)
                #expect(stopped.code == 0 && stopped.took < Self.soon, "\(stopped)")
                #expect(stage.leftovers() == [])
                // The group is killed before the gateway ends; whoever adopted the child may still have to reap it.
                _ = try await eventually("the group to be gone", within: .seconds(60)) {
                    processes.allSatisfy(isGone) ? true : nil
                }
                print("stop while a command runs: \(stopped.took)")
            }
        }

        private func isGone(_ pid: pid_t) -> Bool {
            if kill(pid, 0) != 0 { return true }
            let stat = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
            return stat.split(separator: ")").last?.hasPrefix(" Z") ?? true
        }

        @Test func sigtermLetsARunningTurnFinish() async throws {
            try await Stage.play { stage in
                let room = try await Room("worker", on: stage)
                try #require(mkfifo(stage.directory + "/gate", 0o600) == 0)
                let script = try stage.write(
                    """
                    #!/bin/sh
                    echo running > \(stage.directory)/running
                    read line < \(stage.directory)/gate
                    echo "done: $line"
                    """, to: "worker.sh", mode: 0o700)
                try stage.configure(
                    accounts: ["worker": room.key], agents: ["worker": ["command": [.string(script)]]])
                let (gate, running) = (stage.directory + "/gate", stage.directory + "/running")
                // It has three seconds. Where the machine stood still for as long the turn was cut short, and comes again.
                for attempt in 1...5 {
                    unlink(running)
                    let gateway = try await stage.startGateway()
                    if attempt == 1 {
                        try await room.connected()
                        try await room.post("work")
                    }
                    _ = try await eventually("the command to run") {
                        if FileManager.default.fileExists(atPath: running) { return true }
                        return await room.answers.isEmpty ? nil : true
                    }
                    gateway.signal(SIGTERM)
                    try await gateway.says("stopping")
                    // Open at both ends: nobody waits for a command that is gone.
                    let end = open(gate, O_RDWR | O_CLOEXEC)
                    try #require(end >= 0)
                    #expect(write(end, "well\n", 5) == 5)
                    #expect(try await gateway.end() == 0)
                    close(end)
                    if await !room.answers.isEmpty { break }
                }
                #expect(await room.answers == ["done: well"])
                #expect(stage.leftovers() == [])
            }
        }
    }
}
