import FabricAccounts
import Foundation
import JSONBytes
import Settings
import Testing

@Suite struct CrashTests {
    /// The built command, beside the test's own executable.
    static var command: URL {
        URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appendingPathComponent(
            "fabric-setup")
    }

    @Test func aKilledWriterLeavesTheOldOrTheNewFile() throws {
        let bench = try Bench()
        try bench.write("{\"channels\":{\"fabric\":{\"centerApiBase\":\"http://c/api\"}}}")
        let count = 60
        for number in 0..<count {
            let binding = IdentityBinding(agentId: "agent-\(number)", apiKey: Secret(key), userId: "u\(number)")
            _ = try IdentityWriter(path: bench.identities).bind(binding)
        }
        var expected = Set((0..<count).map { "agent-\($0)" })
        var killed = 0
        for number in 0..<count {
            let process = Process()
            process.executableURL = Self.command
            process.arguments = ["unbind", "--agent-id", "agent-\(number)", "--config", bench.file]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            let start = ContinuousClock.now
            try process.run()
            // Spread over the few milliseconds the command lives, so that some die in the middle of writing.
            let moment = start.advanced(by: .microseconds(300 * number))
            while ContinuousClock.now < moment, process.isRunning {}
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            if process.terminationReason == .uncaughtSignal { killed += 1 }
            let found = IdentityFile.read(bench.identities)
            #expect(found.problems.isEmpty && found.entries.allSatisfy { $0.problems.isEmpty })
            let agents = Set(found.entries.map(\.agentId))
            #expect(agents == expected || agents == expected.subtracting(["agent-\(number)"]))
            expected = agents
        }
        #expect(killed > 0)
        _ = try IdentityWriter(path: bench.identities).bind(IdentityBinding(agentId: "last", apiKey: Secret(key)))
        #expect(bench.names == ["fabric-identity.json", "fabric-identity.json.lock", "gateway.json"])
    }

    @Test func noSecretInAnyOutput() throws {
        let bench = try Bench()
        let commands = [
            ["inspect"], ["inspect", "--json", "--probe"], ["doctor"], ["doctor", "--json"],
            ["bind", "--agent-id", "x"],
            ["unbind", "--agent-id", "x"],
        ]
        try bench.write(
            """
            {"channels":{"fabric":{"centerApiBase":"http://127.0.0.1:1/api","accounts":{"a":{"fabricApiKey":"\(key)"},
             "b":{"fabricApiKey":{"env":"\(key.count)"}}}}}}
            """)
        for command in commands {
            let process = Process()
            process.executableURL = Self.command
            process.arguments = command + ["--config", bench.file]
            process.environment = ["FABRIC_API_KEY": key]
            let pipe = Pipe()
            process.standardOutput = pipe
            process.standardError = pipe
            try process.run()
            let output = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            process.waitUntilExit()
            #expect(!output.contains("SECRETKEY") && !output.isEmpty, "\(command)")
            if command[0] == "bind" { #expect(process.terminationStatus == 3) }
        }
        #expect(bench.names == ["gateway.json"])
    }
}
