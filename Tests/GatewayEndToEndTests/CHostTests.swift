import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

extension GatewayEndToEnd {
    /// The contract without any Swift on the host's side.
    @Suite(.enabled(if: !Sanitizer.isThread)) struct CHost {
        @Test func aHostInCLoadsTheModuleHearsAndAnswers() async throws {
            try await Stage.play { stage in
                let host = stage.directory + "/host"
                let cc = try stage.spawn(
                    "/usr/bin/cc",
                    [
                        "-O1", "-Wall", "-Werror", "-I", Products.package + "/Sources/GatewayABI/include", "-o", host,
                        Products.package + "/Tests/CHost/host.c", "-ldl", "-lpthread",
                    ])
                try #require(try await cc.end() == 0, "\(cc.errors.value)")
                let room = try await Room("agent", on: stage)
                let section: JSONValue = [
                    "centerApiBase": .string(stage.sim.centerBase), "accounts": ["agent": room.key],
                ]
                let file = try stage.write(section.line, to: "section.json")
                let child = try stage.spawn(host, [Products.module, file, stage.directory + "/state", "agent"])
                try await room.connected()
                try await room.post("hello")
                try await room.answer("hello from C")
                #expect(try await child.end() == 0, "\(child.errors.value)")
                #expect(child.output.value == "fabric:\(Stage.guild)/\(room.channel.id)\n")
                #expect(!child.errors.value.contains(room.agent.apiKey))
                #expect(stage.leftovers() == [])
            }
        }
    }
}
