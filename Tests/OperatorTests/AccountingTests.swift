import FabricSimulator
import Foundation
import JSONBytes
import Testing

/// "Why did it not answer?" has an answer in the log.
@Suite(.timeLimit(.minutes(3))) struct AccountingTests {
    /// At debug a line for each message with what became of it and why, for each turn, and for what was posted; with guild,
    /// channel and position, and never the text.
    @Test func everyMessageIsAccountedFor() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let human = try await sim.createUser(name: "human")
            let room = try await sim.createChannel(name: "general", members: [agent.id, human.id])
            let desk = try Desk()
            try desk.configure(
                "{\"centerApiBase\":\"\(sim.centerBase)\",\"accounts\":{\"echo\":{\"fabricApiKey\":\"\(agent.apiKey)\"}}}",
                agents: #"{"echo":{"builtin":"echo"}}"#)
            let gateway = try await desk.withGateway { gateway in
                try await sim.waitForSockets(user: agent.id, joined: room.id, timeout: .seconds(30))
                // The guild knows of the join before the account has compared what it missed: that would be read twice.
                try await desk.status("ready") { $0["connected"]?.bool == true }
                try await sim.post(as: human.id, in: room.id, content: "<@\(human.id)> hush-hush, to myself")
                try await sim.post(as: human.id, in: room.id, content: "hush-hush")
                try await sim.waitForMessage(in: room.id) { $0.content == "echo: hush-hush" }
                var faults = Faults()
                faults.repeats = 2
                await sim.setFaults(faults)
                try await sim.post(as: human.id, in: room.id, content: "hush-hush twice")
                try await sim.waitForMessage(in: room.id) { $0.content == "echo: hush-hush twice" }
                // The guild has the answer before the gateway knows.
                #expect(await gateway.shows { $0.components(separatedBy: "turn ended").count > 2 })
            }
            let lines = gateway.errors.split(separator: "\n").compactMap { try? JSONValue(parsing: String($0)) }
            func facts(_ message: String, _ key: String, seq: Int) -> [String] {
                lines.filter { line in
                    let facts = line["metadata"]
                    return line["message"]?.string == message && facts?["guild"]?.string == "sim-guild-1"
                        && facts?["channel"]?.string == room.id && facts?["seq"]?.string == "\(seq)"
                }.compactMap { $0["metadata"]?[key]?.string }
            }
            #expect(facts("message", "fate", seq: 1) == ["for the record: the guild does not wake the agent"])
            #expect(facts("message", "fate", seq: 2) == ["wakes the agent"])
            #expect(facts("message", "fate", seq: 3) == ["its own"])
            #expect(facts("message", "fate", seq: 4) == ["wakes the agent", "seen before"], "\(gateway.errors)")
            for (asked, answered) in [(2, 3), (4, 5)] {
                #expect(facts("turn begun", "attempt", seq: asked) == ["1"])
                #expect(facts("posted", "message", seq: answered).count == 1, "\(gateway.errors)")
                let ends = lines.filter {
                    $0["message"]?.string == "turn ended"
                        && $0["metadata"]?["delivery"]?.string?.hasSuffix("/\(asked)") == true
                }
                #expect(ends.map { $0["metadata"]?["outcome"]?.string } == ["finished"])
                #expect(ends.first?["metadata"]?["seconds"]?.string.flatMap { Double($0) } != nil)
            }
            #expect(!gateway.errors.contains("hush-hush"))
        }
    }
}
