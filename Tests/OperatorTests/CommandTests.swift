import FabricSimulator
import Foundation
import HTTPTestServer
import JSONBytes
import Testing

/// What an operator does, with the built commands against a Fabric on loopback.
@Suite(.timeLimit(.minutes(5))) struct OperatorTests {
    private func withSimulator(_ body: (FabricSimulator) async throws -> Void) async throws {
        let sim = try await FabricSimulator.start(.init(guilds: ["sim-guild-1"]))
        do {
            try await body(sim)
            await sim.stop()
        } catch {
            await sim.stop()
            throw error
        }
    }

    /// `centerApiBase` set and nothing bound: the gateway stays up, starts nothing and connects nowhere.
    @Test func nothingBoundConnectsNowhere() async throws {
        try await withSimulator { sim in
            let desk = try Desk()
            try desk.configure("{\"centerApiBase\":\"\(sim.centerBase)\"}")
            let gateway = try await desk.withGateway { gateway in
                let status = try await desk.run("gateway", ["status", "--json"])
                #expect(status.json["accounts"] == [], "\(status.all)")
                #expect(status.json["plugins"]?.array?.first?["id"] == "fabric")
                let reload = try await desk.run("gateway", ["reload"])
                #expect(reload.code == 0, "\(reload.all)")
                let inspect = try await desk.run("fabric-setup", ["inspect", "--json"])
                #expect(inspect.code == 0 && inspect.json["configured"] == false)
                #expect(gateway.code == nil)
            }
            #expect(gateway.code == 0)
            let counters = await sim.counters
            #expect(counters.connections.values.allSatisfy { $0 == 0 }, "\(counters.connections)")
            #expect(counters.logins.isEmpty && counters.refusedLogins == 0 && counters.requests.isEmpty)
        }
    }

    /// Bound, seen by the running gateway, unbound again.
    @Test func bindingReachesARunningGateway() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let room = try await sim.createChannel(name: "general", members: [agent.id])
            let desk = try Desk()
            try desk.configure("{\"centerApiBase\":\"\(sim.centerBase)\"}", agents: #"{"echo":{"builtin":"echo"}}"#)
            let gateway = try await desk.withGateway { _ in
                let bind = try await desk.run(
                    "fabric-setup", ["bind", "--agent-id", "echo"], input: agent.apiKey + "\n")
                #expect(bind.code == 0 && bind.output.contains("The running gateway has taken it up."), "\(bind.all)")
                try await sim.waitForSockets(user: agent.id, joined: room.id, timeout: .seconds(60))
                let doctor = try await desk.run("fabric-setup", ["doctor", "--json"])
                let findings = doctor.json["findings"]?.array ?? []
                #expect(findings.contains { $0["what"]?.string?.contains("runs on it") == true }, "\(doctor.all)")
                #expect(findings.contains { $0["what"] == "no dead letters" && $0["level"] == "good" })
                #expect(findings.allSatisfy { $0["level"] != "error" }, "\(doctor.all)")
                let unbind = try await desk.run("fabric-setup", ["unbind", "--agent-id", "echo"])
                #expect(unbind.code == 0, "\(unbind.all)")
                try await sim.waitForNoSockets(user: agent.id, timeout: .seconds(60))
            }
            #expect(gateway.code == 0)
        }
    }

    @Test func aRefusedKeyWritesNothing() async throws {
        try await withSimulator { sim in
            let desk = try Desk()
            let before = desk.names
            let bind = try await desk.run(
                "fabric-setup", ["bind", "--agent-id", "echo", "--center", sim.centerBase], input: "fak_wrong\n")
            #expect(bind.code == 1 && desk.names == before)
            #expect(bind.errors.contains("Nothing was written") && bind.errors.contains("401"), "\(bind.all)")
            #expect(!bind.all.contains("fak_wrong"))
        }
    }

    /// `/api` forgotten: `bind` names the right address, and so do `doctor` and `inspect --probe`.
    @Test func aForgottenPrefixIsNamed() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let desk = try Desk()
            let bare = String(sim.centerBase.dropLast("/api".count))
            let bind = try await desk.run(
                "fabric-setup", ["bind", "--agent-id", "echo", "--center", bare], input: agent.apiKey + "\n")
            #expect(bind.code == 3 && bind.errors.contains("Center is at \(sim.centerBase):"), "\(bind.all)")
            try desk.configure(
                "{\"centerApiBase\":\"\(bare)\",\"accounts\":{\"echo\":{\"fabricApiKey\":\"\(agent.apiKey)\"}}}",
                agents: #"{"echo":{"builtin":"echo"}}"#)
            for arguments in [["doctor", "--json"], ["inspect", "--probe"]] {
                let answer = try await desk.run("fabric-setup", arguments)
                #expect(answer.code != 0 && answer.all.contains("Center is at"), "\(answer.all)")
            }
        }
    }

    /// A guild's address in Center's place: nobody is told to look at the key, and no account is blocked for it.
    @Test func aGuildInCentersPlaceIsNamed() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let desk = try Desk()
            let guild = (sim.endpoints["sim-guild-1"] ?? "") + "/api"
            let bind = try await desk.run(
                "fabric-setup", ["bind", "--agent-id", "echo", "--center", guild], input: agent.apiKey + "\n")
            #expect(bind.code == 3 && bind.errors.contains("is a guild"), "\(bind.all)")
            try desk.configure(
                "{\"centerApiBase\":\"\(guild)\",\"accounts\":{\"echo\":{\"fabricApiKey\":\"\(agent.apiKey)\"}}}",
                agents: #"{"echo":{"builtin":"echo"}}"#)
            for arguments in [["doctor", "--json"], ["inspect", "--probe"]] {
                let answer = try await desk.run("fabric-setup", arguments)
                #expect(answer.code != 0 && answer.all.contains("is a guild"), "\(answer.all)")
            }
            _ = try await desk.withGateway { _ in
                let status = try await desk.statusText("the reason") { $0.contains("is a guild") }
                #expect(status.code == 1 && !status.output.contains("blocked"), "\(status.all)")
            }
            // Whoever asked is told to try again; nobody else does.
            let closed = try await Desk().run(
                "fabric-setup", ["bind", "--agent-id", "echo", "--center", "http://127.0.0.1:1/api"],
                input: agent.apiKey)
            #expect(!closed.all.contains("It is tried again") && closed.all.contains("Try it again"), "\(closed.all)")
        }
    }

    /// However early or late it is interrupted, no process and no directory remains.
    @Test(arguments: [("state ", SIGINT), ("ok: agent", SIGTERM), ("2. a message", SIGINT), ("3. a file", SIGHUP)])
    func anInterruptedDemoLeavesNothing(_ moment: String, _ signal: Int32) async throws {
        let demo = try RunningCommand("\(products)/fabric-demo", ["--bin", products])
        try await demo.wait(for: moment)
        let line = demo.output.split(separator: "\n").first ?? ""
        let directory = try #require(line.split(separator: " ").last.map(String.init))
        #expect(directory.contains("/fabric-demo-"), "\(demo.all)")
        kill(demo.pid, signal)
        #expect(try await demo.ended().code != 0)
        #expect(!FileManager.default.fileExists(atPath: directory), "\(demo.all)")
        let commands = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap {
            try? String(contentsOfFile: "/proc/\($0)/cmdline", encoding: .utf8)
        }
        #expect(!commands.contains { $0.contains(directory) })
    }

    /// Relative paths are taken from where it is called; where nothing was built it says so at once, and leaves nothing.
    @Test func theDemoFindsItsPrograms() async throws {
        let desk = try Desk()
        let link = desk.path + "/products"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: products)
        let demo = try RunningCommand(
            "/bin/sh", ["-c", "cd '\(desk.path)' && exec ./products/fabric-demo --bin products"])
        try await demo.wait(for: "ok: agent")
        kill(demo.pid, SIGINT)
        #expect(try await demo.ended().code != 0)
        let lost = try await RunningCommand("\(products)/fabric-demo", ["--bin", desk.path]).ended()
        #expect(lost.code != 0 && lost.errors.contains("there is no gateway in"), "\(lost.all)")
        #expect(!lost.all.contains("state /"), "\(lost.all)")
    }

    /// What follows the program is the program's: an option that is meant for `bind` is not swallowed.
    @Test func optionsBehindTheProgramAreNotSwallowed() async throws {
        let desk = try Desk()
        let before = desk.names
        for arguments in [
            ["--agent-id", "echo", "--command", "/bin/cat", "--config", "other.json"],
            ["--config", "other.json", "--command", "/bin/cat", "--agent-id=echo"],
        ] {
            let bind = try await RunningCommand("\(products)/fabric-setup", ["bind"] + arguments).ended()
            #expect(bind.code == 2 && bind.errors.contains("stands after --command"), "\(bind.all)")
        }
        #expect(desk.names == before)
    }

    /// A command that cannot be understood ends as the README says.
    @Test(arguments: [["bind", "--agent", "echo"], ["inspect", "--bogus"], ["unbind"], ["bogus"]])
    func aWrongCommand(_ arguments: [String]) async throws {
        let wrong = try await Desk().run("fabric-setup", arguments)
        #expect(wrong.code == 2 && wrong.output.isEmpty && wrong.errors.contains("Error: "), "\(wrong.all)")
        let help = try await Desk().run("fabric-setup", ["bind", "--help"])
        #expect(help.code == 0 && help.output.contains("FABRIC_API_KEY"), "\(help.all)")
    }

    @Test func anUnreachableCenterWritesNothing() async throws {
        let desk = try Desk()
        let before = desk.names
        let bind = try await desk.run(
            "fabric-setup", ["bind", "--agent-id", "echo", "--center", "http://127.0.0.1:1/api"],
            environment: ["FABRIC_API_KEY": "fak_any"])
        #expect(bind.code == 3 && desk.names == before && bind.errors.contains("Nothing was written"), "\(bind.all)")
    }

    /// A Center that says the key back does not get it onto the screen.
    @Test func aCenterThatRepeatsTheKey() async throws {
        let key = "fak_SECRETKEY0123456789abcdefghijklmnop"
        let center = try TestServer { request, connection in
            connection.respond(401, ["Content-Type: application/json"], body: #"{"message":"no such key: \#(key)"}"#)
        }
        defer { center.stop() }
        let desk = try Desk()
        let bind = try await desk.run(
            "fabric-setup", ["bind", "--agent-id", "echo", "--center", center.url + "/api"], input: key)
        #expect(bind.code == 1 && bind.errors.contains("no such key"), "\(bind.all)")
        #expect(!bind.all.contains("SECRETKEY"))
        #expect(center.requests.contains { $0.text.contains(key) })
    }

    /// A clock that differs from Center's is found by Center's own `Date`.
    @Test func aWrongClock() async throws {
        let center = try TestServer { request, connection in
            connection.respond(404, ["Date: Sun, 06 Nov 1994 08:49:37 GMT"], body: "{}")
        }
        defer { center.stop() }
        let desk = try Desk()
        try desk.configure("{\"centerApiBase\":\"\(center.url)/api\"}")
        let doctor = try await desk.run("fabric-setup", ["doctor", "--json"])
        #expect(doctor.code == 2)
        let clock = doctor.json["findings"]?.array?.first { $0["what"]?.string?.contains("ahead of Center's") == true }
        #expect(clock?["level"] == "error" && clock?["remedy"]?.string?.contains("NTP") == true, "\(doctor.all)")
    }

    @Test func probing() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let room = try await sim.createChannel(name: "general", members: [agent.id])
            let desk = try Desk()
            try desk.configure(
                """
                {"centerApiBase":"\(sim.centerBase)","accounts":{"echo":{"fabricApiKey":"\(agent.apiKey)"},
                 "stranger":{"fabricApiKey":"fak_unknown"}}}
                """)
            let spoken = try await desk.run("fabric-setup", ["inspect", "--probe"])
            #expect(
                spoken.output.contains("#general (general)  fabric:sim-guild-1/\(room.id)"),
                "what gateway send --to takes: \(spoken.all)")
            await sim.resetCounters()
            let probe = try await desk.run("fabric-setup", ["inspect", "--probe", "--json"])
            let accounts = probe.json["accounts"]?.array ?? []
            let guild = accounts.first?["probe"]?["guilds"]?.array?.first
            #expect(guild?["channels"]?.array?.first?["name"] == "general", "\(probe.all)")
            #expect(guild?["socket"] == ["works": true, "joined": "general", "acknowledged": true])
            #expect(accounts.last?["probe"]?["login"] == "failed")
            #expect(accounts.last?["probe"]?["remedy"]?.string?.isEmpty == false)
            let counters = await sim.counters
            #expect(counters.connects == ["sim-guild-1": 1] && counters.joins == 1)
            try await sim.waitForNoSockets(user: agent.id)

            try await sim.stopGuild("sim-guild-1")
            let words = try await desk.run("fabric-setup", ["inspect", "--probe"])
            #expect(words.code == 1 && words.output.contains("guild sim-guild-1: failed"), "\(words.all)")
        }
    }

    /// No command shows the key or a token, however much it says.
    @Test func noSecretAnywhere() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let room = try await sim.createChannel(name: "general", members: [agent.id])
            let desk = try Desk()
            var written = ""
            let bind = try await desk.run(
                "fabric-setup", ["bind", "--agent-id", "echo", "--center", sim.centerBase], input: agent.apiKey)
            #expect(bind.code == 0, "\(bind.all)")
            written += bind.all
            let gateway = try await desk.withGateway { _ in
                try await sim.waitForSockets(user: agent.id, joined: room.id, timeout: .seconds(60))
                // Every way a token may go wrong, so that the log tells of it.
                await sim.expireTokens()
                await sim.dropSockets(guild: "sim-guild-1")
                try await sim.waitForSockets(user: agent.id, joined: room.id, timeout: .seconds(60))
                let commands = [
                    ["inspect"], ["inspect", "--json"], ["inspect", "--probe"], ["inspect", "--probe", "--json"],
                    ["doctor"], ["doctor", "--json"], ["bind", "--agent-id", "echo"],
                ]
                for command in commands {
                    written += try await desk.run("fabric-setup", command, input: agent.apiKey).all
                }
                for command in [
                    ["status"], ["status", "--json"], ["reload"], ["reload", "--module"], ["deadletters"],
                    ["channels", "--account", "echo"],
                    ["send", "--account", "echo", "--to", "#general", "--text", "x"],
                ] {
                    written += try await desk.run("gateway", command).all
                }
                // A key that is no longer good, while everything runs.
                _ = try await sim.rotateKey(of: agent.id)
                written += try await desk.run("fabric-setup", ["bind", "--agent-id", "echo"], input: agent.apiKey).all
                written += try await desk.run("fabric-setup", ["doctor"]).all
                await sim.expireTokens()
                written += try await desk.run("gateway", ["unblock", "--account", "echo"]).all
                written += try await desk.run("fabric-setup", ["unbind", "--agent-id", "echo"]).all
            }
            written += gateway.all
            #expect(written.contains("401") && gateway.all.contains("debug"))
            #expect(!written.contains(agent.apiKey.dropFirst(8)))
            // Every token of the simulator begins so; eight characters of it may be shown.
            #expect(!written.contains("eyJhbGciO"))
        }
    }
}
