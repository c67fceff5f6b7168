import FabricSimulator
import Foundation
import JSONBytes
import Testing

/// What is sent by hand, and what could not be sent.
@Suite(.timeLimit(.minutes(5))) struct LettersTests {
    /// Dead letters are answers of agents that the guild refused. They are listed for people and for programs, outlive the
    /// account, and go when they are dropped.
    @Test func deadLettersAreListedUntilTheyAreDropped() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let human = try await sim.createUser(name: "human")
            let room = try await sim.createChannel(name: "general", members: [agent.id, human.id])
            let desk = try Desk()
            let go = desk.path + "/go"
            let script = "cat > /dev/null; while test ! -e '\(go)'; do sleep 0.02; done; echo private words"
            try desk.configure(
                "{\"centerApiBase\":\"\(sim.centerBase)\"}",
                agents: "{\"echo\":{\"command\":[\"/bin/sh\",\"-c\",\"\(script)\"]}}")
            try await desk.run("fabric-setup", ["bind", "--agent-id", "echo"], input: agent.apiKey)
            let gateway = try await desk.withGateway { _ in
                try await sim.waitForSockets(user: agent.id, joined: room.id, timeout: .seconds(60))
                try await sim.post(as: human.id, in: room.id, content: "a question")
                try await desk.status("a turn") { $0["turns"]?["running"]?.int == 1 }
                await sim.close(channel: room.id)

                // Whoever sends by hand is told, and that is all.
                let send = try await desk.run(
                    "gateway", ["send", "--account", "echo", "--to", "#general", "--text", "by hand"])
                #expect(send.code == 1 && send.errors.contains("channel_closed"), "\(send.all)")
                #expect(send.errors.contains("send it again"), "\(send.all)")
                let none = try await desk.run("gateway", ["deadletters", "list"])
                #expect(none.code == 0 && none.output == "no dead letters\n", "\(none.all)")
                #expect(try await desk.run("gateway", ["status"]).code == 0)

                try desk.write("", to: "go")
                try await desk.status("the dead letter") { $0["deadLetters"]?.int == 1 }
                let list = try await desk.run("gateway", ["deadletters"])
                #expect(list.output.hasPrefix("1 dead letter\n"), "\(list.all)")
                #expect(list.output.contains("account echo, to fabric:sim-guild-1/\(room.id), never sent: "))
                #expect(list.output.contains("channel_closed") && list.output.contains("“private words”"))
                #expect(list.output.contains("\(products)/gateway deadletters resubmit ID --config \(desk.file)"))
                let json = try await desk.run("gateway", ["deadletters", "list", "--json"])
                let letter = try #require(json.json["deadLetters"]?.array?.first?["id"]?.string)
                let status = try await desk.run("gateway", ["status"])
                #expect(status.code == 1 && status.output.contains("could never be sent"), "\(status.all)")
                let doctor = try await desk.run("fabric-setup", ["doctor", "--offline"])
                #expect(doctor.code == 1 && doctor.output.contains("1 message could not be sent"), "\(doctor.all)")
                #expect(!doctor.all.contains("private"))

                // The account is unbound: what was kept of it goes, but not this.
                try await desk.run("fabric-setup", ["unbind", "--agent-id", "echo"])
                try await sim.waitForNoSockets(user: agent.id, timeout: .seconds(60))
                try await gatewayLog("what was kept of it is removed", desk)
                let left = try await desk.run("gateway", ["deadletters", "list", "--json"])
                #expect(left.json == json.json, "\(left.all)")
                let again = try await desk.run("gateway", ["deadletters", "resubmit", letter])
                #expect(again.code == 1 && again.errors.contains("its account does not run"), "\(again.all)")
                let nobody = try await desk.run("gateway", ["deadletters", "drop", "nobody"])
                #expect(nobody.code == 1 && nobody.errors.contains("there is no dead letter nobody"), "\(nobody.all)")
                let drop = try await desk.run("gateway", ["deadletters", "drop", "--all"])
                #expect(drop.code == 0 && drop.output == "dropped 1\n", "\(drop.all)")
                let empty = try await desk.run("fabric-setup", ["doctor", "--offline"])
                #expect(empty.output.contains("no dead letters") && empty.output.contains("0 accounts"), "\(empty.all)")
            }
            #expect(gateway.code == 0)
        }
    }

    /// The gateway's log is only in its pipe; what it says is waited for there.
    private func gatewayLog(_ text: String, _ desk: Desk) async throws {
        try await desk.running.withLock { $0 }?.wait(for: text)
    }

    @Test func channelsHaveNames() async throws {
        try await withSimulator(guilds: ["east", "west"]) { sim in
            let agent = try await sim.createUser(name: "echo")
            let only = try await sim.createChannel(guild: "east", name: "Only here", members: [agent.id])
            let east = try await sim.createChannel(guild: "east", name: "general", members: [agent.id])
            let west = try await sim.createChannel(guild: "west", name: "general", members: [agent.id])
            let desk = try Desk()
            try desk.configure(
                "{\"centerApiBase\":\"\(sim.centerBase)\",\"accounts\":{\"echo\":{\"fabricApiKey\":\"\(agent.apiKey)\"}}}",
                agents: #"{"echo":{"builtin":"echo"}}"#)
            _ = try await desk.withGateway { _ in
                try await desk.status("ready") { $0["connected"]?.bool == true }
                let list = try await desk.run("gateway", ["channels", "--account", "echo"])
                #expect(list.code == 0 && list.output.contains("guild east\n"), "\(list.all)")
                #expect(list.output.contains("   #Only here  fabric:east/\(only.id)  general\n"), "\(list.all)")
                let json = try await desk.run("gateway", ["channels", "--account", "echo", "--json"])
                let addresses = (json.json["channels"]?.array ?? []).compactMap { $0["to"]?.string }
                #expect(
                    Set(addresses) == [only, east, west].reduce(into: []) { $0.insert("fabric:\($1.guild)/\($1.id)") })
                #expect(try await desk.run("gateway", ["channels", "--account", "nobody"]).code == 1)

                func send(_ to: String) async throws -> RunningCommand {
                    try await desk.run("gateway", ["send", "--account", "echo", "--to", to, "--text", to])
                }
                for to in ["#only HERE", "fabric:#Only here", "east/#Only here", "fabric:east/\(only.id)"] {
                    let sent = try await send(to)
                    #expect(sent.code == 0 && sent.json["messageId"] != nil, "\(sent.all)")
                }
                #expect(await sim.history(only.id).count == 4)
                let two = try await send("#general")
                #expect(two.code == 1 && two.errors.contains("2 channels are called #general"), "\(two.all)")
                #expect(two.errors.contains("fabric:east/\(east.id), fabric:west/\(west.id)"), "\(two.all)")
                #expect(try await send("west/#general").code == 0)
                #expect(await sim.history(west.id).count == 1)
                let none = try await send("#nowhere")
                #expect(none.code == 1 && none.errors.contains("in no channel called #nowhere"), "\(none.all)")
                #expect(none.errors.contains("\(products)/gateway channels --account echo --config \(desk.file)"))
                let guild = try await send("north/#general")
                #expect(guild.errors.contains("not a member of a guild north"), "\(guild.all)")
                #expect(guild.errors.contains("east") && guild.errors.contains("west"), "\(guild.all)")
                #expect(try await desk.run("gateway", ["status"]).code == 0, "nothing is left of what was refused")
            }
        }
    }
}

/// Runs `body` with a Fabric on loopback.
func withSimulator(
    guilds: [String] = ["sim-guild-1"], _ body: (FabricSimulator) async throws -> Void
) async throws {
    let sim = try await FabricSimulator.start(.init(guilds: guilds))
    do {
        try await body(sim)
        await sim.stop()
    } catch {
        await sim.stop()
        throw error
    }
}
