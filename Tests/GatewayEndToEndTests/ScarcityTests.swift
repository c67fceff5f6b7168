import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

extension GatewayEndToEnd {
    /// A gateway that lacks what it needs, or is not let run.
    @Suite struct Scarcity {
        /// More agents than descriptors: those that are connected are served all the same, and the operator is told.
        @Test func aFullTableOfDescriptorsCostsNoTurnAndNoAnswerOfStatus() async throws {
            try await Stage.play { stage in
                let first = try await Room("worker", on: stage)
                var accounts: [String: JSONValue] = ["worker": first.key]
                try stage.configure(
                    accounts: accounts,
                    agents: ["worker": ["command": ["/bin/sh", "-c", "cat > /dev/null; echo fine"]]])
                let limit = 140
                let gateway = try stage.spawn(
                    "/bin/sh",
                    [
                        "-c", "ulimit -n \(limit) && exec \"$0\" \"$@\"", Products.gateway, "run", "--config",
                        stage.configurationPath,
                    ])
                try await gateway.says("gateway runs")
                try await first.connected()
                // Then far more than there is room for.
                for index in 0..<limit {
                    let user = try await stage.sim.createUser(name: "agent-\(index)")
                    accounts["agent-\(index)"] = ["fabricApiKey": .string(user.apiKey)]
                }
                try stage.configure(
                    accounts: accounts,
                    agents: ["worker": ["command": ["/bin/sh", "-c", "cat > /dev/null; echo fine"]]])
                _ = try await stage.reload()
                let directory = "/proc/\(gateway.pid)/fd"
                _ = try await eventually("the table is nearly full") {
                    try FileManager.default.contentsOfDirectory(atPath: directory).count >= limit - limit / 8 - 4
                        ? true : nil
                }
                // One that connects to the control socket and says nothing: neither does it spin nor does it keep others out.
                let address = try ControlAddress(stateDirectory: stage.stateDirectory)
                let idle = try ControlAddress.socket()
                defer { close(idle) }
                try #require(address.lend { connect(idle, $0, $1) } == 0)
                let (begun, before) = (ContinuousClock.now, try controlSeconds(gateway.pid))
                for number in 0..<5 {
                    try await first.post("question \(number)")
                    _ = try await stage.sim.wait(for: "answer \(number)", timeout: .seconds(60)) { sim in
                        sim.history(first.channel.id).count { $0.author == first.agent.id } > number ? true : nil
                    }
                }
                _ = try await eventually("the status says it") {
                    let status = try await stage.command("status")
                    return status.code == 1 && status.output.contains("descriptors are in use") ? true : nil
                }
                let busy = try controlSeconds(gateway.pid) - before
                #expect(busy < 0.3 * ((.now - begun) / .seconds(1)) + 0.1, "the control thread was busy for \(busy) s")
                #expect(await first.answers == Array(repeating: "fine", count: 5))
                #expect(try await stage.stop(gateway).code == 0)
            }
        }

        /// What the gateway's control thread has used of a processor.
        private func controlSeconds(_ pid: pid_t) throws -> Double {
            let tasks = "/proc/\(pid)/task"
            for task in try FileManager.default.contentsOfDirectory(atPath: tasks) {
                guard let bytes = try? Files.read("\(tasks)/\(task)/stat") else { continue }
                let text = String(decoding: bytes, as: UTF8.self)
                guard text.contains("(control)"), let end = text.lastIndex(of: ")") else { continue }
                let fields = text[text.index(after: end)...].split(separator: " ")
                let ticks = [11, 12].compactMap { Double(fields[$0]) }.reduce(0, +)
                return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
            }
            throw TestFailure("process \(pid) has no control thread")
        }

        @Test func aFrozenGatewayIsCalledThat() async throws {
            try await Stage.play { stage in
                _ = try await stage.echoRoom()
                let gateway = try await stage.startGateway()
                gateway.signal(SIGSTOP)
                let begun = ContinuousClock.now
                async let status = stage.command("status")
                async let stop = stage.command("stop")
                async let reload = stage.command("reload")
                for answer in try await [status, stop, reload] {
                    #expect(answer.code == 1)
                    #expect(
                        answer.errors.contains("process \(gateway.pid)") && answer.errors.contains("frozen"),
                        "\(answer.errors)")
                }
                // The deadline is ten seconds; one that waited for the gateway would never end.
                #expect(ContinuousClock.now - begun < .seconds(60))
                gateway.signal(SIGCONT)
                try await gateway.says("stopped")
                #expect(try await gateway.end() == 0, "it does what it was told when it goes on")
            }
        }

        /// What the first process had in hand when it was killed comes again in the second, marked.
        @Test func aTurnThatDiedWithTheGatewayComesAgainMarked() async throws {
            try await Stage.play { stage in
                let room = try await Room("worker", on: stage)
                let (log, go) = (stage.directory + "/turns.log", stage.directory + "/go")
                let script = try stage.write(
                    """
                    #!/bin/sh
                    cat >> \(log); echo >> \(log)
                    test -e \(go) || sleep 1000
                    echo done
                    """, to: "worker.sh", mode: 0o700)
                try stage.configure(accounts: ["worker": room.key], agents: ["worker": ["command": [.string(script)]]])
                let first = try await stage.startGateway()
                try await room.connected()
                try await room.post("survive")
                func turns() -> [JSONValue] {
                    let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
                    return text.split(separator: "\n").compactMap { JSONValue.parsed(Array($0.utf8)) }
                }
                _ = try await eventually("the turn runs") { turns().count == 1 ? true : nil }
                first.signal(SIGKILL)
                #expect(try await first.end() == -SIGKILL)
                _ = FileManager.default.createFile(atPath: go, contents: nil)
                let second = try await stage.startGateway()
                try await room.answer("done")
                let both = turns()
                #expect(both.map { $0["redelivered"]?.bool } == [false, true])
                #expect(both.first?["delivery"]?.string == both.last?["delivery"]?.string)
                #expect(both.map { $0["attempt"]?.int } == [1, 2])
                let recent = try await stage.command("status", "--account", "worker", "--recent")
                #expect(recent.output.contains("redelivered") && recent.output.contains("answered"), "\(recent.output)")
                #expect(try await stage.stop(second).code == 0)
                #expect(await room.answers == ["done"])
            }
        }

        /// The turn in hand and what is posted meanwhile are answered when the plugin is there again.
        @Test func aPluginThatIsDisabledAndEnabledLosesNothing() async throws {
            try await Stage.play { stage in
                let room = try await Room("worker", on: stage)
                let go = stage.directory + "/go"
                let script =
                    "turn=$(cat); test -e \(go) || sleep 1000; echo \"$turn\" | sed 's/.*\"text\":\"\\([^\"]*\\)\".*/re: \\1/'"
                let agents: JSONValue = ["worker": ["command": ["/bin/sh", "-c", .string(script)]]]
                try stage.configure(accounts: ["worker": room.key], agents: agents)
                let gateway = try await stage.startGateway()
                try await room.connected()
                try await room.post("one")
                _ = try await eventually("the turn runs") {
                    let turns = try await stage.status()["accounts"]?.array?.first?["turns"]
                    return turns?["running"]?.int == 1 ? true : nil
                }
                let whole = try String(contentsOfFile: stage.configurationPath, encoding: .utf8)
                try stage.write(
                    whole.replacingOccurrences(
                        of: #""manifest":"./plugin.json""#, with: #""manifest":"./plugin.json","enabled":false"#),
                    to: "gateway.json")
                let off = try await stage.command("reload")
                #expect(off.code == 0 && off.output.contains("plugins removed: fabric"), "\(off)")
                _ = FileManager.default.createFile(atPath: go, contents: nil)
                try await room.post("two")
                try stage.write(whole, to: "gateway.json")
                let on = try await stage.command("reload")
                #expect(on.code == 0 && on.output.contains("plugins added: fabric"), "\(on)")
                try await room.answer("re: one")
                try await room.answer("re: two")
                #expect(await room.answers == ["re: one", "re: two"])
                #expect(try await stage.stop(gateway).code == 0)
            }
        }
    }
}
