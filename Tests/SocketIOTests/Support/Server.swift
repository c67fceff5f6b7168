import Foundation
import Locking

@testable import SocketIO

/// A server process of a test; it dies with its standard input, or by ``kill()``.
final class Server: Sendable {
    let port: Int
    /// What it prints, line by line.
    let lines: Mailbox<String>
    private let process: Process
    private let input: Pipe

    static func script(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Servers/\(name)").path
    }

    init(_ script: String, _ arguments: [String] = []) async throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = [Self.script(script)] + arguments
        let input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        let lines = Mailbox<String>()
        let rest = Locked(Data())
        output.fileHandleForReading.readabilityHandler = { handle in
            let data = handle.availableData
            if data.isEmpty {
                handle.readabilityHandler = nil
                return
            }
            rest.withLock { rest in
                rest += data
                while let end = rest.firstIndex(of: 10) {
                    lines.put(String(decoding: rest[rest.startIndex..<end], as: UTF8.self))
                    rest = Data(rest[(end + 1)...])
                }
            }
        }
        try process.run()
        self.process = process
        self.input = input
        self.lines = lines
        guard let port = Int(try await lines.next()) else { throw NothingCame() }
        self.port = port
    }

    func tell(_ command: String) {
        input.fileHandleForWriting.write(Data((command + "\n").utf8))
    }

    /// The rest of the next line that begins with `word`.
    func line(_ word: String) async throws -> String {
        try await lines.first { $0.hasPrefix(word) ? String($0.dropFirst(word.count + 1)) : nil }
    }

    /// As by `kill -9`; returns when it is gone.
    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    deinit {
        try? input.fileHandleForWriting.close()
        if process.isRunning { process.terminate() }
    }
}

/// A loop, a server, and a client of it, with short times.
func withClient(
    of server: Server, scheme: String = "http", host: String = "127.0.0.1",
    onEvent: (@Sendable (SocketIOClient, borrowing SocketIOEvent) -> Void)? = nil,
    auth: @escaping SocketIOClient.Auth = { _ in nil },
    configure: (inout SocketIOClient.Configuration) -> Void = { _ in },
    _ body: (SocketIOClient, Recorder) async throws -> Void
) async throws {
    let loop = try RealtimeLoop()
    defer { loop.shutdown() }
    var configuration = try SocketIOClient.Configuration(url: "\(scheme)://\(host):\(server.port)")
    configuration.backoff.initial = .milliseconds(20)
    configuration.backoff.maximum = .milliseconds(200)
    configure(&configuration)
    let recorder = Recorder(onEvent: onEvent)
    let client = SocketIOClient(configuration: configuration, loop: loop, auth: auth, delegate: recorder)
    await client.connect()
    try await body(client, recorder)
}
