import Foundation
import GatewayControl
import JSONBytes
import Locking
import Logging
import Testing

@testable import GatewayHost

/// A private directory that goes with the object.
final class Scratch: Sendable {
    let path: String
    init() throws {
        path = NSTemporaryDirectory() + "gateway-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
    func write(_ text: String, to name: String) throws -> String {
        let target = path + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: target))
        return target
    }
}

/// Compiles the C test module.
enum TestModule {
    /// The folder Tests.
    static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    static let package = URL(fileURLWithPath: tests).deletingLastPathComponent().path

    /// What was compiled, by its flags: nearly every test wants the same, and a compiler takes longer than most tests.
    /// In arrays: the address sanitizer takes a large Data that is kept for lost, for there is more in its pointer than the address.
    private static let built = Locked<[[String]: [UInt8]]>([:])

    /// - Parameter before: flags that stand before the folder of the header.
    static func build(_ flags: [String] = [], before: [String] = [], to path: String) throws {
        let arguments =
            ["-shared", "-fPIC", "-O1"] + before + ["-I", package + "/Sources/GatewayABI/include"] + flags
            + [tests + "/GatewayHostTests/TestModule/module.c", "-lpthread"]
        if let bytes = built.withLock({ $0[arguments] }) {
            try Data(bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
        } else {
            try run("/usr/bin/cc", ["-o", path] + arguments)
            let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
            built.withLock { $0[arguments] = bytes }
        }
    }

    /// The host in C that only opens a module.
    static func buildHost(_ before: [String] = [], to path: String) throws {
        try run(
            "/usr/bin/cc",
            ["-Wall", "-Wextra", "-Werror", "-O1"] + before
                + [
                    "-I", package + "/Sources/GatewayABI/include", "-o", path,
                    tests + "/GatewayHostTests/TestModule/host.c", "-ldl",
                ])
    }

    /// What a program that ends well printed, line by line.
    static func output(_ program: String, _ arguments: [String]) throws -> [String] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let text = String(decoding: bytes, as: UTF8.self)
        try #require(process.terminationStatus == 0, "\(program) \(arguments): \(text)")
        return text.split(separator: "\n").map(String.init)
    }

    /// Runs a program and requires it to end well.
    static func run(_ program: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(program) \(arguments)")
    }
}

/// Log lines in memory.
final class LogLines: Sendable {
    private let state = Locked<[String]>([])
    var all: [String] { state.withLock { $0 } }
    func logger(level: Logger.Level = .debug) -> Logger {
        GatewayLog(format: .human) { [self] line in state.withLock { $0.append(line) } }.logger(level: level)
    }
    func contains(_ text: String) -> Bool { all.contains { $0.contains(text) } }
}

/// Asks again and again, with a pause for those who do the work, until it is true; the deadline only ends a failed test.
func eventually(
    _ what: String, within limit: Duration = .seconds(60), _ condition: () async throws -> Bool,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let end = ContinuousClock.now.advanced(by: limit)
    while .now < end {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(3))
    }
    Issue.record("never happened: \(what)", sourceLocation: sourceLocation)
}

/// A gateway on the test module.
final class TestBench: Sendable {
    let scratch: Scratch
    let log = LogLines()
    let gateway: Gateway

    init(
        accounts: [String: String], agents: JSONValue = ["a": ["builtin": "echo"]], bindings: JSONValue = [],
        settings: [String: JSONValue] = [:], options: Gateway.Options? = nil, scratch: Scratch? = nil
    ) throws {
        let scratch = try scratch ?? Scratch()
        self.scratch = scratch
        if !FileManager.default.fileExists(atPath: scratch.path + "/module.so") {
            try TestModule.build(to: scratch.path + "/module.so")
        }
        try Self.write(scratch, accounts: accounts, agents: agents, bindings: bindings, settings: settings)
        var quick = Gateway.Options()
        quick.supervisor.firstRestart = .milliseconds(5)
        quick.supervisor.longestRestart = .milliseconds(20)
        gateway = Gateway(
            configurationFile: scratch.path + "/gateway.json", options: options ?? quick, logger: log.logger())
    }

    static func write(
        _ scratch: Scratch, accounts: [String: String], agents: JSONValue = ["a": ["builtin": "echo"]],
        bindings: JSONValue = [], settings: [String: JSONValue] = [:]
    ) throws {
        _ = try scratch.write(
            #"{"id":"test","name":"Test","version":"1","kind":"channel","abiVersion":1,"module":"module.so","channels":["test"]}"#,
            to: "plugin.json")
        var channel = settings
        channel["accounts"] = .object(accounts.mapValues { .string($0) })
        let file: JSONValue = [
            "stateDirectory": "./state", "plugins": ["test": ["manifest": "./plugin.json", "enabled": true]],
            "channels": ["test": .object(channel)], "agents": agents, "bindings": bindings,
        ]
        _ = try scratch.write(file.line, to: "gateway.json")
    }

    /// Starts it, and waits until every account runs or does not come to run. The gateway's start does not wait for them, and
    /// what is sent for an account that has not started is kept for later.
    func start() async throws {
        try await gateway.start()
        try await eventually("the starts of the accounts are over") {
            let accounts = await gateway.status()["accounts"]?.array ?? []
            return accounts.allSatisfy { !["idle", "starting"].contains($0["supervision"]?["phase"]?.string) }
        }
    }

    func rewrite(
        accounts: [String: String], agents: JSONValue = ["a": ["builtin": "echo"]], bindings: JSONValue = [],
        settings: [String: JSONValue] = [:]
    ) throws {
        try Self.write(scratch, accounts: accounts, agents: agents, bindings: bindings, settings: settings)
    }

    func journal() async throws -> [String] {
        let text = try await gateway.command("journal", channel: nil, [:])["journal"]?.string ?? ""
        return text.split(separator: "\n").map { String($0).trimmingCharacters(in: .whitespaces) }
    }

    @discardableResult
    func tell(_ command: String, _ account: String = "") async throws -> JSONValue {
        try await gateway.command(command, channel: nil, ["accountId": .string(account)])
    }

    /// Lets the module deliver; returns what the host answered.
    @discardableResult
    func deliver(
        _ id: String, account: String = "a", text: String = "hello", wake: Bool = true, media: JSONValue = [],
        command: String? = nil, byAgent: Bool = false, room: String = "c"
    ) async throws -> Int64? {
        var delivery: [String: JSONValue] = [
            "delivery": .string(id), "account": .string(account), "channel": "test", "wake": .bool(wake),
            "caughtUp": false, "redelivered": false,
            "conversation": ["id": .string("test:g/\(room)"), "guild": "g", "channel": .string(room), "type": "group"],
            "message": ["id": "m", "seq": 1, "text": .string(text), "author": ["id": "u", "isAgent": .bool(byAgent)]],
            "media": media,
        ]
        delivery["command"] = command.map { ["name": .string($0), "arguments": ""] }
        return try await gateway.command("deliver", channel: nil, ["raw": .string(JSONValue.object(delivery).line)])[
            "answer"]?.int
    }

    func account(_ id: String) async -> JSONValue {
        let status = await gateway.status()
        return status["accounts"]?.array?.first { $0["accountId"]?.string == id } ?? .null
    }
}
