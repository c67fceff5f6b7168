import Foundation
import Testing

@testable import FabricSimulator

/// An independent client in a Python process; lines of JSON both ways.
final class PythonClient: Sendable {
    struct Event: Sendable {
        let name: String
        /// The whole line.
        let text: String

        var object: [String: Any] { JSONText.object(Array(text.utf8)) ?? [:] }
        var data: [String: Any] { object["data"] as? [String: Any] ?? [:] }
    }

    struct TooLate: Error, CustomStringConvertible {
        let description: String
    }

    private let process: Process
    private let input: FileHandle
    private let inbox = Inbox()

    init(_ script: String, _ arguments: [String]) throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Clients")
        let process = Process()
        // Debian's Python: python3-socketio and python3-aiohttp are packages of the system.
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = [folder.appendingPathComponent(script).path] + arguments
        let (stdin, stdout) = (Pipe(), Pipe())
        process.standardInput = stdin
        process.standardOutput = stdout
        self.process = process
        input = stdin.fileHandleForWriting
        let inbox = inbox
        let output = stdout.fileHandleForReading
        try process.run()
        Thread.detachNewThread {
            var rest: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            // Not FileHandle's read, which waits until the count is full.
            while case let count = read(output.fileDescriptor, &buffer, buffer.count), count > 0 {
                for piece in buffer[0..<count].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
                    .enumerated()
                {
                    if piece.offset > 0 {
                        inbox.add(String(decoding: rest, as: UTF8.self))
                        rest.removeAll()
                    }
                    rest.append(contentsOf: piece.element)
                }
            }
            inbox.finish()
        }
    }

    func send(_ object: [String: any Sendable]) throws { try send(line: JSONText.bytes(object)) }

    func send(line: [UInt8]) throws { try input.write(contentsOf: Data(line + [UInt8(ascii: "\n")])) }

    func endInput() throws { try input.close() }

    /// The next line from the process; nil once it has ended.
    func nextLine(timeout: Duration = .seconds(60)) async throws -> String? { try await inbox.next(timeout) }

    func next(timeout: Duration = .seconds(60)) async throws -> Event {
        guard let line = try await nextLine(timeout: timeout) else { throw TooLate(description: "the client ended") }
        let name = JSONText.object(Array(line.utf8))?["event"] as? String
        return Event(name: name ?? "?", text: line)
    }

    func expect(_ name: String, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Event {
        let event = try await next()
        #expect(event.name == name, "got \(event.text)", sourceLocation: sourceLocation)
        return event
    }

    func stop() {
        // SIGTERM would do nothing: a child started from one of Swift concurrency's threads inherits their signal mask,
        // in which everything is blocked. Foundation reaps it.
        kill(process.processIdentifier, SIGKILL)
    }

    /// Lines in order, with a deadline for the one who waits.
    private actor Lines {
        var lines: [String?] = []
        var waiter: CheckedContinuation<String?, any Error>?

        func add(_ line: String?) {
            if let waiter {
                self.waiter = nil
                waiter.resume(returning: line)
            } else {
                lines.append(line)
            }
        }

        func next() async throws -> String? {
            if !lines.isEmpty { return lines[0] == nil ? nil : lines.removeFirst() }
            return try await withCheckedThrowingContinuation { waiter = $0 }
        }

        func giveUp(_ error: any Error) {
            waiter?.resume(throwing: error)
            waiter = nil
        }
    }

    private struct Inbox: Sendable {
        let lines = Lines()
        private let stream: AsyncStream<String?>.Continuation

        init() {
            let (stream, continuation) = AsyncStream.makeStream(of: String?.self)
            self.stream = continuation
            let lines = lines
            Task { for await line in stream { await lines.add(line) } }
        }

        func add(_ line: String) { stream.yield(line) }

        func finish() {
            stream.yield(nil)
            stream.finish()
        }

        func next(_ timeout: Duration) async throws -> String? {
            let deadline = Task {
                try await Task.sleep(for: timeout)
                await lines.giveUp(TooLate(description: "nothing from the client within \(timeout)"))
            }
            defer { deadline.cancel() }
            return try await lines.next()
        }
    }
}

/// One HTTP exchange made by Python's standard library.
struct Exchange: Sendable {
    var url: String
    var method = "GET"
    var bearer: String?
    var headers: [String: String] = [:]
    var json: String?
    var upload: [String: any Sendable]?
    var timeout = 20.0
    /// Answer the length of the body instead of the body.
    var counts = false

    struct Answer: Sendable {
        let status: Int
        let headers: [String: String]
        let body: String
        let error: String?

        var object: [String: Any] { JSONText.object(Array(body.utf8)) ?? [:] }
        var array: [[String: Any]] {
            (try? JSONSerialization.jsonObject(with: Data(body.utf8))) as? [[String: Any]] ?? []
        }
    }

    static func run(_ exchanges: [Exchange]) async throws -> [Answer] {
        let client = try PythonClient("http_exchange.py", [])
        defer { client.stop() }
        let rows = exchanges.map { exchange in
            var headers = exchange.headers
            if let bearer = exchange.bearer { headers["Authorization"] = "Bearer \(bearer)" }
            var row: [String: any Sendable] = [
                "url": exchange.url, "method": exchange.method, "timeout": exchange.timeout, "count": exchange.counts,
            ]
            if let json = exchange.json {
                headers["Content-Type"] = "application/json"
                row["body"] = json
            }
            if let upload = exchange.upload { row["upload"] = upload }
            row["headers"] = headers
            return row
        }
        try client.send(line: JSONText.bytes(rows))
        try client.endInput()
        let line = try await client.nextLine(timeout: .seconds(60)) ?? "[]"
        let answers = (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [[String: Any]] ?? []
        try #require(answers.count == exchanges.count)
        return answers.map {
            Answer(
                status: $0["status"] as? Int ?? 0, headers: $0["headers"] as? [String: String] ?? [:],
                body: $0["body"] as? String ?? "", error: $0["error"] as? String)
        }
    }

    static func run(_ exchange: Exchange) async throws -> Answer { try await run([exchange])[0] }
}

/// A simulator that is stopped whatever the test does.
func withSimulator(
    _ configuration: FabricSimulator.Configuration = .init(), _ body: (FabricSimulator) async throws -> Void
) async throws {
    let simulator = try await FabricSimulator.start(configuration)
    do {
        try await body(simulator)
    } catch {
        await simulator.stop()
        throw error
    }
    await simulator.stop()
}
