import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

extension GatewayEndToEnd {
    /// The process as an operator meets it: locks, signals, settings that are wrong, a crash.
    @Suite struct Processes {
        @Test func aSecondGatewayOnOneStateDirectoryIsRefusedAndToldWhoHoldsIt() async throws {
            try await Stage.play { stage in
                let room = try await stage.echoRoom()
                let first = try await stage.startGateway()
                let sid = try await room.connected()
                let second = try stage.spawn(Products.gateway, ["run", "--config", stage.configurationPath])
                #expect(try await second.end() == 1)
                #expect(second.errors.value.contains("belongs to another gateway, process \(first.pid)"))
                try await room.ask("unharmed")
                #expect(try await room.connected() == sid)
                #expect(try await stage.stop(first).code == 0)
                // Now the directory is free.
                let third = try await stage.startGateway()
                #expect(try await stage.stop(third).code == 0)
                #expect(stage.leftovers() == [])
            }
        }

        /// The module's times are whole ones, which the health check reads.
        @Test func theHealthCheckReadsTheTimesOfTheModule() async throws {
            try await Stage.play { stage in
                let room = try await stage.echoRoom()
                let gateway = try await stage.startGateway()
                try await room.connected()
                try await room.ask("hello")
                // The guild has the answer before the plugin hears that it has.
                let account = try await eventually("the time of the answer") {
                    let account = try await stage.status()["accounts"]?.array?.first
                    return account?["lastOutboundAt"].flatMap(WallTime.seconds) == nil ? nil : account
                }
                let now = WallTime.now()
                let report = AccountReport(status: account, takenAt: now)
                let activity = try #require(report.guilds.first?.activityAt, "\(account.line)")
                #expect(abs(now - activity) < 60)
                #expect(!report.isStale(after: .seconds(60)))
                #expect(AccountReport(status: account, takenAt: now + 3600).isStale(after: .seconds(1800)))
                for key in ["startedAt", "lastInboundAt", "lastOutboundAt", "tokenExpiresAt"] {
                    let time = try #require(account[key].flatMap(WallTime.seconds), "\(key): \(account.line)")
                    #expect(abs(now - time) < 3600, "\(key)")
                }
                #expect(try await stage.stop(gateway).code == 0)
            }
        }

        @Test func invalidSettingsChangeNothingAndTheCallerHearsEveryFinding() async throws {
            try await Stage.play { stage in
                let room = try await stage.echoRoom()
                let gateway = try await stage.startGateway()
                let sid = try await room.connected()
                let agents: JSONValue = ["echo": ["builtin": "echo"]]
                let wrong: [(write: () throws -> Void, told: [String])] = [
                    ({ try stage.write("{ \"stateDirectory\": ", to: "gateway.json") }, ["gateway.json"]),
                    (
                        {
                            try stage.configure(
                                accounts: ["echo": room.key], settings: ["coalesc": true, "channelSyncSeconds": "x"],
                                agents: agents)
                        },
                        [
                            "channels.fabric.coalesc: this key is not known. Did you mean \"coalesce\"?",
                            "channels.fabric.channelSyncSeconds: ",
                        ]
                    ),
                    (
                        {
                            try stage.configure(
                                accounts: ["echo": room.key], agents: agents,
                                bindings: [["agentId": "eko", "match": ["channel": "fabric"]]])
                        }, ["eko", "echo"]
                    ),
                    (
                        { try stage.configure(accounts: ["echo": room.key], agents: agents, state: "./elsewhere") },
                        ["stateDirectory"]
                    ),
                ]
                for (number, (write, told)) in wrong.enumerated() {
                    try write()
                    // The fourth file names another state directory, where no gateway listens: that one is asked directly.
                    var words = ""
                    if number < 3 {
                        let reload = try await stage.command("reload")
                        // A file that is no JSON does not tell the state directory either.
                        #expect(reload.code != 0)
                        words = reload.errors
                    } else {
                        do {
                            _ = try await stage.reload()
                            Issue.record("accepted")
                        } catch {
                            words = "\(error)"
                        }
                    }
                    for expected in told { #expect(words.contains(expected), "\(words)") }
                    try await room.ask("still here \(number)")
                    #expect(try await room.connected() == sid)
                }
                // SIGHUP has no caller: the log is told.
                gateway.signal(SIGHUP)
                try await gateway.says("the reload was refused")
                try await room.ask("still here")

                try stage.configure(accounts: ["echo": room.key], agents: agents)
                let reload = try await stage.command("reload")
                #expect(reload.code == 0 && reload.output == "nothing changed\n", "\(reload)")
                #expect(try await room.connected() == sid)
                #expect(try await stage.stop(gateway).code == 0)
            }
        }

        @Test func sighupFollowsAccountsThatComeChangeAndGo() async throws {
            try await Stage.play { stage in
                let rooms = [
                    try await Room("stays", on: stage), try await Room("goes", on: stage),
                    try await Room("comes", on: stage),
                ]
                let agents: JSONValue = .object(
                    Dictionary(uniqueKeysWithValues: rooms.map { ($0.account, ["builtin": "echo"]) }))
                try stage.configure(accounts: ["stays": rooms[0].key, "goes": rooms[1].key], agents: agents)
                let gateway = try await stage.startGateway()
                let sid = try await rooms[0].connected()
                try await rooms[1].connected()

                try stage.configure(accounts: ["stays": rooms[0].key, "comes": rooms[2].key], agents: agents)
                gateway.signal(SIGHUP)
                try await rooms[2].connected()
                try await stage.sim.waitForNoSockets(user: rooms[1].agent.id)
                try await rooms[2].ask("welcome")
                #expect(try await rooms[0].connected() == sid, "the untouched one keeps its socket")

                // The identity file alone changes.
                let identity: JSONValue = [
                    "entries": [["agentId": "goes", "fabricApiKey": .string(rooms[1].agent.apiKey)]]
                ]
                try stage.write(identity.line, to: "fabric-identity.json")
                gateway.signal(SIGHUP)
                try await rooms[1].connected()
                try await rooms[1].ask("back again")
                #expect(try await rooms[0].connected() == sid)
                _ = try await eventually("a good status") {
                    let status = try await stage.command("status")
                    return status.code == 0 && status.output.contains("3 accounts, all well") ? true : nil
                }

                // A key that does not work is a problem of that account alone.
                let refused: JSONValue = ["entries": [["agentId": "goes", "fabricApiKey": "fak_wrong"]]]
                try stage.write(refused.line, to: "fabric-identity.json")
                gateway.signal(SIGHUP)
                let shown = try await eventually("the refusal in the status") {
                    let status = try await stage.command("status")
                    return status.output.contains("blocked") ? status : nil
                }
                #expect(shown.code == 1 && shown.output.contains("3 accounts, 1 with problems"), "\(shown)")
                #expect(!shown.output.contains("fak_"))
                try await rooms[0].ask("I am well")
                #expect(try await rooms[0].connected() == sid)
                gateway.signal(SIGTERM)
                #expect(try await gateway.end() == 0)
                #expect(stage.leftovers() == [])
                #expect(!gateway.errors.value.contains(rooms[0].agent.apiKey))
            }
        }

        /// The accounts of an identity file that is broken at a start are shown with the reason, those of the configuration run,
        /// and a reload that finds it whole again starts them.
        @Test func aBrokenIdentityFileAtAStartIsSeen() async throws {
            try await Stage.play { stage in
                let room = try await stage.echoRoom()
                let other = try await Room("other", on: stage)
                let whole: JSONValue = [
                    "entries": [["agentId": "other", "fabricApiKey": .string(other.agent.apiKey)]]
                ]
                try stage.write(whole.line, to: "fabric-identity.json")
                let first = try await stage.startGateway()
                try await other.connected()
                #expect(try await stage.stop(first).code == 0)
                try stage.write(String(whole.line.prefix(30)), to: "fabric-identity.json")
                let second = try await stage.startGateway()
                try await room.connected()
                try await room.ask("and you?")
                let status = try await stage.command("status")
                #expect(status.code == 1 && status.output.contains("!! other"), "\(status)")
                #expect(status.output.contains("fabric-identity.json"), "\(status)")
                try stage.write(whole.line, to: "fabric-identity.json")
                _ = try await stage.reload()
                try await other.connected()
                #expect(try await stage.stop(second).code == 0)
            }
        }

        /// The turn that ran when the process died runs again, what was posted meanwhile is heard, and nothing of the dead
        /// one is left lying about.
        @Test func afterACrashEverythingIsAnsweredOnce() async throws {
            try await Stage.play { stage in
                let room = try await Room("worker", on: stage)
                // The first run of the command waits for ever; later ones answer at once.
                let script = try stage.write(
                    """
                    #!/bin/sh
                    test -e \(stage.directory)/leader && { echo answered; exit; }
                    echo $$ > \(stage.directory)/leader
                    exec sleep 1000
                    """, to: "worker.sh", mode: 0o700)
                try stage.configure(
                    accounts: ["worker": room.key], agents: ["worker": ["command": [.string(script)]]])
                let first = try await stage.startGateway()
                try await room.connected()
                let file = await room.sim.putFile(name: "kept.bin", bytes: [1, 2, 3])
                try await room.post("interrupted", attachments: [file.attachment])
                let leader = try await eventually("the command to run") {
                    pid_t(
                        ((try? String(contentsOfFile: stage.directory + "/leader", encoding: .utf8)) ?? "")
                            .trimmingCharacters(in: .whitespacesAndNewlines))
                }
                first.signal(SIGKILL)
                #expect(try await first.end() == -SIGKILL)
                // Nobody is left to end the command: it is an orphan now, and this test's to end.
                kill(-leader, SIGKILL)
                #expect(stage.leftovers().contains { $0.hasPrefix("modules/") })
                #expect(stage.leftovers().contains { $0.hasPrefix("media/") })
                try await stage.sim.waitForNoSockets(user: room.agent.id)
                try await room.post("while it was dead")

                let second = try await stage.startGateway()
                try await room.connected()
                try await second.says("removed 1 module copies")
                try await room.post("afterwards")
                _ = try await stage.sim.wait(for: "three answers", timeout: .seconds(60)) { sim in
                    sim.history(room.channel.id).count { $0.author == room.agent.id } >= 3 ? true : nil
                }
                #expect(try await stage.stop(second).code == 0)
                #expect(await room.answers == ["answered", "answered", "answered"])
                #expect(stage.leftovers() == [], "what the dead one left is swept")
            }
        }
    }
}
