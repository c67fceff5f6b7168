import Foundation
import JSONBytes
import Locking

/// The built products, beside the test's own executable.
let products = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path

/// The root of the package.
let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A process, and what it wrote so far.
final class RunningCommand: Sendable {
    private struct State {
        var output: [UInt8] = []
        var errors: [UInt8] = []
        var openPipes = 2
        var code: Int32?
        var waiters: [@Sendable () -> Void] = []
    }

    private let state = Locked(State())
    private let title: String
    let pid: Int32

    /// - Parameter environment: added to the test's own.
    init(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], input: String = "",
        directory: String? = nil
    ) throws {
        title = ([program] + arguments).joined(separator: " ")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        let (standardInput, output, errors) = (Pipe(), Pipe(), Pipe())
        process.standardInput = standardInput
        process.standardOutput = output
        process.standardError = errors
        let (ends, end) = AsyncStream.makeStream(of: Int32.self)
        process.terminationHandler = { ended in
            end.yield(ended.terminationReason == .exit ? ended.terminationStatus : 1000 + ended.terminationStatus)
            end.finish()
        }
        try process.run()
        pid = process.processIdentifier
        // One that has ended already does not want it.
        try? standardInput.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try? standardInput.fileHandleForWriting.close()
        read(output) { $0.output += $1 }
        read(errors) { $0.errors += $1 }
        Task {
            for await code in ends { self.change { $0.code = code } }
        }
    }

    private func read(_ pipe: Pipe, _ take: @escaping @Sendable (inout State, [UInt8]) -> Void) {
        Thread.detachNewThread { [self] in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = Foundation.read(pipe.fileHandleForReading.fileDescriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                let piece = Array(buffer[..<count])
                change { take(&$0, piece) }
            }
            // Not left to its end: a test that looks again and again would have all of them open.
            try? pipe.fileHandleForReading.close()
            change { $0.openPipes -= 1 }
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let waiters = state.withLock { state in
            body(&state)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter() }
    }

    var output: String { state.withLock { String(decoding: $0.output, as: UTF8.self) } }
    var errors: String { state.withLock { String(decoding: $0.errors, as: UTF8.self) } }
    var all: String { output + errors }
    var json: JSONValue { (try? JSONValue(parsing: output)) ?? .null }
    /// nil while it runs.
    var code: Int32? { state.withLock { $0.openPipes == 0 ? $0.code : nil } }

    /// Waits until it wrote `text`.
    func wait(for text: String) async throws {
        try await wait(for: "\"\(text)\"") { $0.all.contains(text) ? true : $0.code.map { _ in false } }
    }

    /// Waits until what it wrote so far is as wanted; `false` if it ended, or never was.
    func shows(_ isWanted: (String) -> Bool) async -> Bool {
        do {
            try await wait(for: "what is wanted") { isWanted($0.all) ? true : $0.code.map { _ in false } }
            return true
        } catch {
            return false
        }
    }

    /// Waits until it ended.
    func ended() async throws -> RunningCommand {
        try await wait(for: "the end") { $0.code != nil ? true : nil }
        return self
    }

    /// - Parameter condition: nil: not yet; false: never.
    private func wait(for what: String, _ condition: (RunningCommand) -> Bool?) async throws {
        let deadline = ContinuousClock.now.advanced(by: .seconds(60))
        while true {
            let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
            state.withLock { $0.waiters.append { continuation.finish() } }
            if let answer = condition(self) {
                if answer { return }
                throw Failure("\(title) ended without \(what):\n\(all)")
            }
            guard ContinuousClock.now < deadline else { throw Failure("\(title): no \(what) in time:\n\(all)") }
            let alarm = Task {
                try await Task.sleep(until: deadline, clock: .continuous)
                continuation.finish()
            }
            for await _ in stream {}
            alarm.cancel()
        }
    }
}

/// A directory of an operator's, with a configuration and the built plugin.
final class Desk: Sendable {
    let path = NSTemporaryDirectory() + "operator-\(UUID().uuidString.lowercased())"
    var file: String { path + "/gateway.json" }
    var identities: String { path + "/fabric-identity.json" }

    init() throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try write(
            """
            {"id":"fabric","version":"0.0.0-test","kind":"channel","abiVersion":1,
             "module":"\(products)/libFabricModule.so","channels":["fabric"]}
            """, to: "plugin.json")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String) throws {
        let file = path + "/" + name
        try text.write(toFile: file, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
    }

    /// A gateway's configuration with this channel section.
    func configure(_ section: String, agents: String = "{}") throws {
        try write(
            """
            {"plugins":{"fabric":{"manifest":"./plugin.json"}},"agents":\(agents),"channels":{"fabric":\(section)}}
            """, to: "gateway.json")
    }

    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }

    /// Runs one of the built commands to its end.
    @discardableResult
    func run(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], input: String = ""
    ) async throws -> RunningCommand {
        try await start(program, arguments, environment: environment, input: input).ended()
    }

    func start(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], input: String = ""
    ) throws -> RunningCommand {
        try RunningCommand(
            "\(products)/\(program)", arguments + ["--config", file], environment: environment, input: input)
    }

    /// The gateway that runs now.
    let running: Locked<RunningCommand?> = Locked(nil)

    /// Asks for the status until the first account's is as wanted.
    @discardableResult
    func status(
        _ what: String, within limit: Duration = .seconds(60), _ isWanted: (JSONValue) -> Bool
    ) async throws -> RunningCommand {
        try await again(what, within: limit, ["status", "--json"]) {
            $0.json["accounts"]?.array?.first.map(isWanted) ?? false
        }
    }

    /// Asks for the status as people see it until it says what is wanted.
    func statusText(
        _ what: String, within limit: Duration = .seconds(60), _ isWanted: (String) -> Bool
    ) async throws -> RunningCommand {
        try await again(what, within: limit, ["status"]) { isWanted($0.output) }
    }

    /// Asks the gateway the same until its answer is as wanted: what it says changes by itself, in its own time.
    func again(
        _ what: String, within limit: Duration = .seconds(60), _ arguments: [String],
        _ isWanted: (RunningCommand) throws -> Bool
    ) async throws -> RunningCommand {
        let end = ContinuousClock.now.advanced(by: limit)
        while true {
            let answer = try await run("gateway", arguments)
            if try isWanted(answer) { return answer }
            guard ContinuousClock.now < end else { throw Failure("no \(what): \(answer.all)") }
            try await ContinuousClock().sleep(for: .milliseconds(50))
        }
    }

    /// A gateway that runs while `body` does.
    func withGateway(
        _ environment: [String: String] = [:], _ body: (RunningCommand) async throws -> Void
    ) async throws -> RunningCommand {
        let gateway = try start("gateway", ["run", "--log-level", "trace"], environment: environment)
        running.withLock { $0 = gateway }
        do {
            try await gateway.wait(for: "gateway runs")
            try await body(gateway)
            try await run("gateway", ["stop"])
            return try await gateway.ended()
        } catch {
            kill(gateway.pid, SIGKILL)
            throw error
        }
    }
}
