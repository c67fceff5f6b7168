import FabricSimulator
import Foundation
import JSONBytes
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct SlowFileTests {
    /// Files that come byte by byte have half the turn's time, all of them together; then the message goes without them.
    @Test func filesThatTrickleDoNotSilenceTheAgent() async throws {
        try await withWorld { world in
            let scene = try await world.scene(["turnTimeoutSeconds": 12])
            world.echo()
            var files: [SimulatedAttachment] = []
            for number in 0..<5 {
                files.append(
                    await world.sim.putFile(
                        name: "slow \(number).bin", bytes: [UInt8](repeating: 1, count: 10_000)
                    ).attachment)
            }
            await world.sim.faults.add(RouteFault(method: "GET", path: "/api/files", trickle: 0.05))
            let began = ContinuousClock.now
            try await world.sim.post(
                as: scene.human.id, in: scene.channel.id, content: "look at these", attachments: files)
            let delivery = try await world.gateway.delivery("the message") { $0.text == "look at these" }
            #expect(began.duration(to: .now) < .seconds(12), "before the turn's time is over")
            let failed = delivery.json["mediaFailed"]?.array ?? []
            #expect(delivery.media.isEmpty && failed.count == 5)
            #expect(failed.allSatisfy { $0["error"]?.string?.isEmpty == false })
            #expect(failed.last?["error"]?.string?.contains("no time was left") == true, "\(failed)")
            // The conversation goes on.
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "next")
            _ = try await world.sim.waitForMessage(in: scene.channel.id) { $0.content == "echo: next" }
        }
    }

    /// The token has expired when the file is fetched: with the next one it is there.
    @Test func anExpiredTokenAtADownloadIsReplaced() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let file = await world.sim.putFile(name: "plan.txt", mediaType: "text/plain", bytes: Array("plan".utf8))
            await world.sim.expireTokens()
            try await world.sim.post(
                as: scene.human.id, in: scene.channel.id, content: "read this", attachments: [file.attachment])
            let delivery = try await world.gateway.delivery("the message") { $0.text == "read this" }
            let path = try #require(delivery.media.first?["path"]?.string)
            #expect(FileManager.default.contents(atPath: path).map(Array.init) == Array("plan".utf8))
            #expect(await world.sim.counters.logins[scene.agent.id] == 2)
        }
    }
}
