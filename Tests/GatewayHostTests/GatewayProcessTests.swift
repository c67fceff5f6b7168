import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

/// The built executable, beside the test runner.
let executable: String = {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    let candidates = [own] + CommandLine.arguments
    return candidates.map { Files.parent(of: $0) + "/gateway" }.first { access($0, X_OK) == 0 } ?? ""
}()

@Suite(.enabled(if: !executable.isEmpty)) struct GatewayProcessTests {
    final class Child: Sendable {
        let pid: pid_t
        let ended = Once<Int32>()
        let log: String

        init(_ scratch: Scratch, _ arguments: [String]) throws {
            log = scratch.path + "/log-\(UUID().uuidString)"
            _ = FileManager.default.createFile(atPath: log, contents: nil)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: executable)
            process.arguments = arguments
            process.currentDirectoryURL = URL(fileURLWithPath: scratch.path)
            process.standardError = FileHandle(forWritingAtPath: log)
            process.standardOutput = FileHandle.nullDevice
            let ended = ended
            process.terminationHandler = {
                ended.decide($0.terminationReason == .exit ? $0.terminationStatus : -$0.terminationStatus)
            }
            try process.run()
            pid = process.processIdentifier
        }

        var lines: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

        func says(_ text: String) async throws {
            try await eventually("\(text) in \(lines)") { lines.contains(text) }
        }

        func end() async -> Int32 { await ended.value(within: .seconds(60), or: Int32.max) }
    }

    @Test func signalsLocksAndWhatAKillLeavesBehind() async throws {
        let scratch = try Scratch()
        try TestModule.build(to: scratch.path + "/module.so")
        try TestBench.write(scratch, accounts: ["a": "1"])
        let first = try Child(scratch, ["run"])
        try await first.says("gateway runs")
        let second = try Child(scratch, ["run"])
        #expect(await second.end() == 1)
        #expect(second.lines.contains("belongs to another gateway, process \(first.pid)"))

        kill(first.pid, SIGHUP)
        try await first.says("settings reloaded")
        _ = try scratch.write("{ nonsense", to: "gateway.json")
        kill(first.pid, SIGHUP)
        try await first.says("the reload was refused")
        try TestBench.write(scratch, accounts: ["a": "1"])
        kill(first.pid, SIGKILL)
        #expect(await first.end() == -SIGKILL)
        #expect(Files.names(in: scratch.path + "/state/modules").count == 1, "a kill leaves its copy")

        let third = try Child(scratch, ["run"])
        try await third.says("gateway runs")
        #expect(third.lines.contains("removed 1 module copies"))
        #expect(Files.names(in: scratch.path + "/state/modules").count == 1)
        // The account is started behind that line.
        try await eventually("all is well") { try await Child(scratch, ["status"]).end() == 0 }
        #expect(try await Child(scratch, ["send", "--account", "a", "--to", "test:g/c", "--text", "x"]).end() == 0)
        kill(third.pid, SIGTERM)
        #expect(await third.end() == 0)
        #expect(Files.names(in: scratch.path + "/state/modules").isEmpty)
        #expect(try await Child(scratch, ["status"]).end() == 3)
        for line in third.lines.split(separator: "\n") { #expect(JSONValue.parsed(Array(line.utf8)) != nil, "\(line)") }
    }
}
