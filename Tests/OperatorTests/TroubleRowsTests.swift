import FabricSimulator
import Foundation
import HTTPTestServer
import JSONBytes
import Testing

/// Every row of Documentation/Troubles.md: the trouble is made, and the command that the page names shows it.
@Suite(.timeLimit(.minutes(5))) struct TroubleRowsTests {
    /// Rows whose trouble takes a minute, another file system or a process of its own: the test that makes it.
    static let elsewhere: [String: (file: String, test: String)] = [
        "`a turn has waited": ("GatewayHostTests/OperatorViewTests", "has waited"),
        "`a turn waits for resources`": ("GatewayEndToEndTests/ScarcityTests", "aFullTableOfDescriptorsCostsNoTurn"),
        "`… of … descriptors are in use`": ("GatewayEndToEndTests/ScarcityTests", "descriptors are in use"),
        "`a message has waited": ("GatewayHostTests/OperatorViewTests", "whatTheModuleSaysOfItsQueuesIsShown"),
        "`… could never be sent": ("OperatorTests/LettersTests", "could never be sent"),
        "`given up after repeated crashes`": ("GatewayHostTests/GatewayTests", "exhausted"),
        "`… messages missing in history`": ("EndToEndTests/GapTests", "whatHistoryNeverShowsIsToldInTheStatus"),
        "`the guild's log went back`": ("EndToEndTests/RestoredGuildTests", "went back"),
        "`nothing can be recorded": ("GatewayEndToEndTests/FullDiskTests", "recorded"),
        "`redelivered` in a delivery": (
            "GatewayEndToEndTests/ScarcityTests", "aTurnThatDiedWithTheGatewayComesAgainMarked"
        ),
        "`did not answer within": ("GatewayEndToEndTests/ScarcityTests", "aFrozenGatewayIsCalledThat"),
    ].merging(shared.map { ($0, ("OperatorTests/SharedTroublesTests", "trouble(\"\($0)")) }) { first, _ in first }

    /// Those about many gateways need a database.
    private static let shared = [
        "`does not check who answers`", "the database cannot be reached", "`the database does not answer …`",
        "`has no right to what it needs`", "`the tables have version …, and this build knows`",
        "`it has not been heard for …`", "`it has other settings than this one: …`", "`gateways call themselves so`",
        "`its share is 0 accounts`", "`no gateway runs it`", "`the account is on standby here: …`",
        "`no other gateway is there to take the accounts`", "`the database refuses this gateway …`",
        "`calls itself gateway … too`",
    ]

    @Test func everyRowIsTried() throws {
        let page = try TroublePage()
        let source = try String(contentsOfFile: #filePath, encoding: .utf8)
        let starts = source.matches(of: /try (?:await )?trouble\(\s*"((?:[^"\\]|\\")+)"/).map { String($0.output.1) }
        #expect(page.rows.count > 40)
        for row in page.rows {
            let isHere = starts.contains { row.symptom.hasPrefix($0) }
            let isElsewhere = Self.elsewhere.keys.contains { row.symptom.hasPrefix($0) }
            #expect(isHere != isElsewhere, "the row “\(row.symptom)” is tried by no test, or by two")
        }
        for (start, place) in Self.elsewhere {
            _ = try page.row(start)
            let test = try String(contentsOfFile: "\(package)/Tests/\(place.file).swift", encoding: .utf8)
            #expect(test.contains(place.test), "\(place)")
        }
    }

    private func account(_ center: String, _ key: String) -> String {
        "{\"centerApiBase\":\"\(center)\",\"accounts\":{\"echo\":{\"fabricApiKey\":\"\(key)\"}}}"
    }
    private let echo = #"{"echo":{"builtin":"echo"}}"#
    private let nowhere = "http://127.0.0.1:1/api"

    // MARK: Setting up

    @Test func nothingIsBoundAndNobodyRuns() async throws {
        let desk = try Desk()
        try desk.configure("{\"centerApiBase\":\"\(nowhere)\"}")
        for arguments in [["status"], ["stop"], ["reload"], ["deadletters"]] {
            let answer = try await desk.run("gateway", arguments)
            #expect(answer.code == 3)
            try trouble("`no gateway runs here`", in: answer.errors)
        }
        for arguments in [["inspect"], ["doctor", "--offline"]] {
            try trouble("`no account is bound`", in: try await desk.run("fabric-setup", arguments).all)
        }
        _ = try await desk.withGateway { _ in
            try await trouble("`no account is bound`", asking: desk)
            let second = try await desk.run("gateway", ["run"])
            #expect(second.code == 1)
            try trouble("`the state directory belongs to another gateway", in: second.all)
        }
    }

    @Test func bindingThatFails() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let desk = try Desk()
            func bind(_ name: String, _ center: String?, _ key: String) async throws -> RunningCommand {
                try await desk.run(
                    "fabric-setup", ["bind", "--agent-id", name] + (center.map { ["--center", $0] } ?? []), input: key)
            }
            let refused = try await bind("echo", sim.centerBase, "fak_wrong")
            #expect(refused.code == 1)
            try trouble("`Nothing was written. …`, exit code 1", in: refused.errors)
            let unreachable = try await bind("echo", nowhere, agent.apiKey)
            #expect(unreachable.code == 3)
            try trouble("`Nothing was written. …`, exit code 3", in: unreachable.errors)
            let bare = try await bind("echo", String(sim.centerBase.dropLast("/api".count)), agent.apiKey)
            try trouble("`Center is at …:", in: bare.errors)
            let guild = try await bind("echo", (sim.endpoints["sim-guild-1"] ?? "") + "/api", agent.apiKey)
            #expect(guild.code == 3)
            try trouble("`… is a guild", in: guild.errors)
            try desk.configure("{\"centerApiBase\":\"\(sim.centerBase)\"}")
            let alone = try await bind("echo", nil, agent.apiKey)
            #expect(alone.code == 0, "\(alone.all)")
            try trouble("`nobody answers for the account …`", in: alone.all, quote: 0)
            let twin = try await bind("twin", nil, agent.apiKey)
            #expect(twin.code == 2)
            try trouble("`The key is that of the account …`", in: twin.errors, quote: 0)
        }
    }

    @Test func accountsThatAreWrong() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let lonely = try await sim.createUser(name: "lonely", guilds: [])
            let desk = try Desk()
            try desk.configure(
                """
                {"centerApiBase":"\(sim.centerBase)","accounts":{
                 "twice":{"fabricApiKey":"fak_one"},"unset":{"fabricApiKey":{"env":"SURELY_NOT_SET_X"}},
                 "wrong":{"fabricApiKey":"fak_unknown"},"lonely":{"fabricApiKey":"\(lonely.apiKey)"},
                 "mute":{"fabricApiKey":"\(agent.apiKey)"},"twin":{"fabricApiKey":"\(agent.apiKey)"}}}
                """,
                agents: #"{"lonely":{"builtin":"echo"},"gone":{"command":["/nowhere/at-all"]}}"#)
            try desk.write(#"{"entries":[{"agentId":"twice","fabricApiKey":"fak_two"}]}"#, to: "fabric-identity.json")
            chmod(desk.file, 0o644)
            let inspect = try await desk.run("fabric-setup", ["inspect"])
            let doctor = try await desk.run("fabric-setup", ["doctor"])
            for text in [inspect.all, doctor.all] {
                try trouble("`the environment variable …", in: text)
                try trouble("`bound twice with different keys`", in: text)
            }
            try trouble("`The key is that of the account …`", in: doctor.all, quote: 1)
            try trouble("`nobody answers for the account …`", in: doctor.all, quote: 0)
            try trouble("`others than its owner may use it", in: doctor.all)
            try trouble("`the account is a member of no guild`", in: doctor.all)
            let gateway = try await desk.withGateway { gateway in
                let status = try await desk.statusText("all of them") {
                    $0.contains("blocked: ") && $0.contains("member of no guild")
                }
                #expect(status.code == 1)
                try trouble("`bound twice with different keys`", in: status.output)
                try trouble("`blocked: …`", in: status.output)
                try trouble("`the account is a member of no guild`", in: status.output)
                #expect(status.output.contains("/nowhere/at-all does not exist"), "\(status.all)")
                // Said of those that are connected, which the two with the good key are when they are.
                try await trouble("`nobody answers for the account …`", asking: desk, quote: 1)
                try await trouble("`an agent cannot be run`", in: gateway)
            }
            #expect(gateway.code == 0)
        }
    }

    @Test func anIdentityFileThatIsGoneAndAReloadThatIsRefused() async throws {
        let desk = try Desk()
        try desk.configure("{\"centerApiBase\":\"\(nowhere)\"}")
        try desk.write(#"{"entries":[{"agentId":"echo","fabricApiKey":"fak_x"}]}"#, to: "fabric-identity.json")
        _ = try await desk.withGateway { gateway in
            for content in [nil, #"{"entries":[{"agentId":"echo""#] as [String?] {
                if let content { try desk.write(content, to: "fabric-identity.json") } else { unlink(desk.identities) }
                let reload = try await desk.run("gateway", ["reload"])
                #expect(reload.code == 1 && reload.errors.contains(desk.identities), "\(reload.all)")
                try trouble("the identity file does not exist, or is broken", in: reload.all)
                try await trouble("`the reload was refused`", in: gateway)
                let status = try await desk.run("gateway", ["status", "--json"])
                #expect(status.json["accounts"]?.array?.count == 1, "the account goes on: \(status.all)")
            }
            let doctor = try await desk.run("fabric-setup", ["doctor", "--offline"])
            #expect(doctor.code == 2 && doctor.output.contains(desk.identities), "\(doctor.all)")
        }
    }

    @Test func centersThatDoNotAnswerAsTheyShould() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let room = try await sim.createChannel(name: "general", members: [agent.id])
            let desk = try Desk()
            let bare = String(sim.centerBase.dropLast("/api".count))
            try desk.configure(account(bare, agent.apiKey), agents: echo)
            try trouble("`Center is at …:", in: try await desk.run("fabric-setup", ["doctor"]).all)
            _ = try await desk.withGateway { _ in
                try await desk.status("the reason") { $0["reason"]?.string?.contains("Center is at") == true }
                try await trouble("`Center is at …:", asking: desk)
                // A firewall's page in Center's place.
                let page = RouteFault(server: "center", path: "/api/auth", status: 403, body: "<html>Blocked</html>")
                await sim.faults.add(page)
                try desk.configure(account(sim.centerBase, agent.apiKey), agents: echo)
                try await desk.run("gateway", ["reload"])
                try await desk.status("the firewall") { $0["reason"]?.string?.contains("403") == true }
                let status = try await desk.statusText("the firewall") {
                    $0.contains("not connected, ") && $0.contains("403")
                }
                try trouble("a login fails with 403 or an HTML page", in: status.output)
                #expect(status.code == 1, "\(status.all)")
                await sim.faults.clear()
                try await sim.waitForSockets(user: agent.id, joined: room.id, timeout: .seconds(60))
            }
            // A proxy that lets HTTP through, WebSockets not.
            await sim.faults.add(RouteFault(server: "sim-guild-1", path: "/socket.io", status: 403))
            let probe = try await desk.run("fabric-setup", ["inspect", "--probe"])
            #expect(probe.code == 1 && probe.output.contains("logged in"), "\(probe.all)")
            #expect(probe.output.contains("socket: failed"), "\(probe.all)")
            try trouble("`logged in`, but the socket fails", in: probe.output)
        }
        let center = try TestServer { _, connection in
            connection.respond(404, ["Date: Sun, 06 Nov 1994 08:49:37 GMT"], body: "{}")
        }
        defer { center.stop() }
        let desk = try Desk()
        try desk.configure("{\"centerApiBase\":\"\(center.url)/api\"}")
        try trouble("`this machine's clock is …`", in: try await desk.run("fabric-setup", ["doctor"]).all)
    }

    @Test func aModuleThatCannotBeLoaded() async throws {
        let desk = try Desk()
        try desk.write(
            "int missing_everywhere(void); int gateway_channel_open(void) { return missing_everywhere(); }", to: "m.c")
        let made = try await RunningCommand(
            "/usr/bin/cc", ["-shared", "-fPIC", "-o", "\(desk.path)/m.so", "\(desk.path)/m.c"]
        ).ended()
        #expect(made.code == 0, "\(made.all)")
        try desk.write(
            #"{"id":"fabric","version":"1","kind":"channel","abiVersion":1,"module":"./m.so","channels":["fabric"]}"#,
            to: "plugin.json")
        try desk.configure("{}")
        let gateway = try await desk.run("gateway", ["run"])
        #expect(gateway.code == 1 && gateway.all.contains("missing_everywhere"), "\(gateway.all)")
        try trouble("`the loader refused it: …`", in: gateway.all)
    }

    // MARK: Starting and stopping

    @Test func stateDirectoriesOfOthers() async throws {
        let desk = try Desk()
        try desk.configure("{}")
        let (state, lock) = (desk.path + "/state", desk.path + "/state/gateway.lock")
        func run() async throws -> String {
            let gateway = try await desk.run("gateway", ["run"])
            #expect(gateway.code == 1)
            return gateway.all
        }
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
        chmod(state, 0o777)
        try trouble("`others may write to the state directory`", in: try await run())
        chmod(state, 0o700)
        symlink(desk.file, lock)
        try trouble("`… is a symbolic link`", in: try await run(), quote: 0)
        unlink(lock)
        link(desk.file, lock)
        try trouble("`… is a symbolic link`", in: try await run(), quote: 1)
    }

    @Test func tooFewDescriptors() async throws {
        let desk = try Desk()
        let accounts = (0..<120).map { "\"a\($0)\":{\"fabricApiKey\":\"fak_\($0)\"}" }.joined(separator: ",")
        try desk.configure("{\"centerApiBase\":\"\(nowhere)\",\"accounts\":{\(accounts)}}")
        let gateway = try RunningCommand(
            "/bin/sh",
            [
                "-c", "ulimit -n 128 && exec \"$0\" run --config \"$1\"", "\(products)/gateway", desk.file,
            ])
        defer { kill(gateway.pid, SIGKILL) }
        try await gateway.wait(for: "gateway runs")
        try await trouble("`too few descriptors for so many accounts`", in: gateway)
        let stop = try await desk.run("gateway", ["stop"])
        #expect(stop.code == 0, "\(stop.all)")
    }

    // MARK: Running, and not answering

    /// One that stays, and never answers `initialize` in the time it has.
    @Test func anAgentThatDoesNotComeUp() async throws {
        let desk = try Desk()
        try desk.configure(
            account(nowhere, "key"),
            agents: #"{"echo":{"acp":{"command":["/bin/sleep","600"],"startSeconds":0.2}}}"#)
        _ = try await desk.withGateway { _ in
            let status = try await desk.again("it was started twice", ["status"]) {
                $0.output.contains("does not come up")
            }
            try trouble("`the agent … does not come up", in: status.output)
            #expect(status.code == 1 && status.output.contains("see agents.echo.acp.startSeconds"), "\(status.all)")
        }
    }

    @Test func connectedAndNotAnswering() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let human = try await sim.createUser(name: "human")
            let room = try await sim.createChannel(name: "general", members: [agent.id, human.id])
            let desk = try Desk()
            try desk.configure(
                "{\"channelSyncSeconds\":0.3," + account(sim.centerBase, agent.apiKey).dropFirst(),
                agents: #"{"echo":{"command":["/bin/sh","-c","exit 3"]}}"#)
            _ = try await desk.withGateway { gateway in
                try await sim.waitForSockets(user: agent.id, joined: room.id, timeout: .seconds(60))
                // To somebody else.
                try await sim.post(as: human.id, in: room.id, content: "<@user:\(human.id)> a word to myself")
                try await gateway.wait(for: "fate")
                let recent = try await desk.again("a silent one", ["status", "--account", "echo", "--recent"]) {
                    $0.output.contains("none since the gateway runs")
                }
                try trouble("connected, but silent", in: recent.output)
                // To the agent, whose command fails.
                try await sim.post(as: human.id, in: room.id, content: "and to you")
                try await desk.status("a failure") { $0["turns"]?["failuresInRow"]?.int == 1 }
                let failing = try await desk.run("gateway", ["status", "--account", "echo", "--recent"])
                #expect(failing.code == 1 && failing.output.contains("failed"), "\(failing.all)")
                try trouble("`the agent … fails: …`", in: failing.output)
                // What cannot be, and a socket that brings nothing.
                await sim.sendRaw(
                    #"42/realtime,["message.created",{"id":"x","channelId":"\#(room.id)","guildId":"sim-guild-1","#
                        + #""seq":9223372036854775807,"content":"x","authorUserId":"\#(human.id)","xType":"general","wakeup":true}]"#
                )
                try await desk.status("the error") {
                    $0["guilds"]?.array?.first?["protocolErrors"]?.int ?? 0 > 0
                }
                try await trouble("`… protocol errors`", asking: desk)
                await sim.deafen(guild: "sim-guild-1")
                try await sim.post(as: human.id, in: room.id, content: "do you hear me?")
                try await trouble("`the socket was deaf`", in: gateway)
                try await sim.stopGuild("sim-guild-1")
                try await trouble("`not connected, …`", asking: desk)
            }
        }
    }

    @Test func agentsThatAnswerEachOther() async throws {
        try await withSimulator { sim in
            let human = try await sim.createUser(name: "human")
            let agents = [try await sim.createUser(name: "one"), try await sim.createUser(name: "two")]
            let room = try await sim.createChannel(name: "general", members: agents.map(\.id) + [human.id])
            let desk = try Desk()
            let accounts = agents.map { "\"\($0.name)\":{\"fabricApiKey\":\"\($0.apiKey)\"}" }.joined(separator: ",")
            try desk.configure(
                """
                {"centerApiBase":"\(sim.centerBase)","agentTalk":{"messages":1},"accounts":{\(accounts)}}
                """,
                agents:
                    #"{"one":{"command":["/bin/sh","-c","cat >/dev/null; echo yes"]},"two":{"command":["/bin/sh","-c","cat >/dev/null; echo no"]}}"#
            )
            _ = try await desk.withGateway { gateway in
                for agent in agents {
                    try await sim.waitForSockets(user: agent.id, joined: room.id, timeout: .seconds(60))
                }
                try await sim.post(as: human.id, in: room.id, content: "talk")
                try await trouble("`agents answer each other: …`", in: gateway)
            }
        }
    }

    // MARK: Something may have been lost

    @Test func gapsAndTurnsThatAreCut() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let human = try await sim.createUser(name: "human")
            let room = try await sim.createChannel(name: "general", members: [agent.id, human.id])
            let desk = try Desk()
            try desk.configure(
                #"{"catchUp":{"maximumMessages":1},"# + account(sim.centerBase, agent.apiKey).dropFirst(),
                agents: #"{"echo":{"command":["/bin/sh","-c","exec sleep 1000"]}}"#)
            let first = try await desk.withGateway { _ in
                try await sim.waitForSockets(user: agent.id, joined: room.id, timeout: .seconds(60))
                try await sim.post(as: human.id, in: room.id, content: "a turn that lasts")
                try await desk.status("the turn") { $0["turns"]?["running"]?.int == 1 }
            }
            try trouble("`a turn was cut short by the stop`", in: first.all)
            for number in 0..<4 { try await sim.post(as: human.id, in: room.id, content: "missed \(number)") }
            try desk.configure(
                #"{"catchUp":{"maximumMessages":1},"channelSyncSeconds":0.5,"#
                    + account(sim.centerBase, agent.apiKey).dropFirst(), agents: echo)
            let fault = RouteFault(method: "GET", path: "/api/channels", suffix: "/messages", status: 500)
            await sim.faults.add(fault)
            _ = try await desk.withGateway { gateway in
                try await sim.waitForSockets(user: agent.id, joined: room.id, timeout: .seconds(60))
                try await sim.post(as: human.id, in: room.id, content: "live")
                try await trouble("`… gaps being read`", asking: desk)
                await sim.faults.clear()
                try await trouble("`… messages skipped`", asking: desk)
                try await trouble("`… messages skipped`", in: gateway)
            }
        }
    }

    @Test func aFileThatCannotBeUsed() async throws {
        let desk = try Desk()
        try desk.configure(account(nowhere, "fak_x"), agents: echo)
        let file = desk.path + "/state/channel.db"
        try FileManager.default.createDirectory(
            atPath: desk.path + "/state", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try desk.write(String(repeating: "no database ", count: 1000), to: "state/channel.db")
        _ = try await desk.withGateway { gateway in
            try await trouble("`… is damaged (…). It was moved to …`", in: gateway)
        }
        // SQLite keeps the version of the tables at byte 60.
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        bytes.replaceSubrange(60..<64, with: [0, 0, 0, 99])
        try bytes.write(to: URL(fileURLWithPath: file))
        _ = try await desk.withGateway { gateway in
            try await trouble("`the file has version …`", in: gateway)
        }
        let doctor = try await desk.run("fabric-setup", ["doctor", "--offline"])
        #expect(doctor.code == 2 && doctor.output.contains("the file has version 99"), "\(doctor.all)")
    }
}
