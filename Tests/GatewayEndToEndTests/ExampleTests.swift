import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

extension GatewayEndToEnd {
    /// The contract without any Swift on the host's side: the examples, as they are, against the built module.
    @Suite(.enabled(if: !Sanitizer.isThere)) struct Examples {
        /// A room and the section a host of another make reads.
        private func room(_ stage: Stage) async throws -> (room: Room, section: String) {
            let room = try await Room("agent", on: stage)
            let section: JSONValue = ["centerApiBase": .string(stage.sim.centerBase), "accounts": ["agent": room.key]]
            return (room, try stage.write(section.line, to: "section.json"))
        }

        private func compile(_ source: String, _ flags: [String] = [], on stage: Stage) async throws -> String {
            let program = stage.directory + "/" + UUID().uuidString
            let cc = try stage.spawn(
                "/usr/bin/cc",
                ["-O1", "-Wall", "-Wextra", "-Werror"] + flags
                    + [
                        "-I", Products.package + "/Sources/GatewayABI/include", "-o", program,
                        Products.package + "/" + source, "-ldl", "-lpthread",
                    ])
            try #require(try await cc.end() == 0, "\(cc.errors.value)")
            return program
        }

        @Test func theHostInCHearsAndAnswers() async throws {
            try await Stage.play { stage in
                let host = try await compile("Examples/CHost/host.c", on: stage)
                let (room, section) = try await room(stage)
                let child = try stage.spawn(host, [Products.module, section, stage.directory + "/state", "agent", "2"])
                try await room.connected()
                try await room.ask("hello")
                try await room.ask("a \"quoted\" word, a \\ and\na line: {[é]}")
                #expect(try await child.end() == 0, "\(child.errors.value)")
                let to = "fabric:\(Stage.guild)/\(room.channel.id)\n"
                #expect(child.output.value == to + to)
                #expect(!child.errors.value.contains(room.agent.apiKey))
            }
        }

        @Test func theHostInPythonHearsAnswersAndSendsFilesBack() async throws {
            try await Stage.play { stage in
                let (room, section) = try await room(stage)
                let child = try stage.spawn(
                    "/usr/bin/env",
                    [
                        "python3", Products.package + "/Examples/PythonHost/host.py", Products.module, section,
                        stage.directory + "/state", "agent",
                    ], environment: ["PYTHONDONTWRITEBYTECODE": "1"])
                try await room.connected()
                try await room.ask("hello")
                let bytes = (0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                let file = await stage.sim.putFile(guild: Stage.guild, name: "blue.bin", bytes: bytes)
                try await room.post("look", attachments: [file.attachment])
                let back = try await room.answer("echo: look")
                #expect(back.attachments.map(\.name) == ["blue.bin"] && back.attachments.map(\.size) == [70_000])
                child.signal(SIGTERM)
                #expect(try await child.end() == 0, "\(child.errors.value)")
                #expect(child.output.value.split(separator: "\n").count == 2)
                #expect(!child.errors.value.contains(room.agent.apiKey))
            }
        }

        @Test func theModuleTakesALaterHostAndRefusesLessThanVersionOne() async throws {
            try await Stage.play { stage in
                var header = try String(
                    contentsOfFile: Products.package + "/Sources/GatewayABI/include/gateway_channel.h", encoding: .utf8)
                header = header.replacingOccurrences(
                    of: "} gateway_host;", with: "void (*later)(void *context, int32_t number);\n} gateway_host;")
                header = header.replacingOccurrences(
                    of: "} gateway_channel;", with: "int32_t (*later)(void *instance);\n} gateway_channel;")
                try FileManager.default.createDirectory(
                    atPath: stage.directory + "/grown", withIntermediateDirectories: true)
                try stage.write(header, to: "grown/gateway_channel.h")
                let source = "Tests/GatewayHostTests/TestModule/host.c"
                let later = try stage.spawn(
                    try await compile(source, ["-DGROWN", "-I", stage.directory + "/grown"], on: stage),
                    [Products.module])
                #expect(try await later.end() == 0, "\(later.output.value)\(later.errors.value)")
                #expect(later.output.value == "id fabric\nhas 112 of 120\nlater -1\ncommand 1\n")
                let host = try await compile(source, on: stage)
                for (shortened, what) in [(["1", "0"], "function table has 47 bytes"), (["0", "8"], "has 104 bytes")] {
                    let child = try stage.spawn(host, [Products.module] + shortened)
                    #expect(try await child.end() == 0, "\(child.output.value)")
                    #expect(child.output.value.hasPrefix("refused: ") && child.output.value.contains(what))
                }
            }
        }
    }
}
