import Foundation

/// Clients and agents that nobody here wrote; `Scripts/agents` installs them, where they can be had.
enum Foreign {
    private static func folder(_ name: String) -> String { Products.package + "/.build/agents/" + name }

    static func has(_ name: String) -> Bool {
        FileManager.default.fileExists(atPath: folder(name) + "/.package")
    }

    static func program(_ program: String, of name: String) -> String { folder(name) + "/bin/" + program }

    static let missing = "it is not installed here; ./setup test says why"

    /// The client of the official library: `mcp` of both eras, `mcp1` of the earlier.
    static let client = Products.package + "/Tests/GatewayEndToEndTests/Clients/mcp_client.py"
}

/// A program that takes lines and gives lines.
final class Conversation: Sendable {
    private let lines = Watched<[String]>([])
    private let input: FileHandle
    private let process: Process

    init(_ program: String, _ arguments: [String]) throws {
        process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        self.input = input.fileHandleForWriting
        let (lines, reader) = (lines, output.fileHandleForReading)
        try process.run()
        Thread.detachNewThread {
            var rest = ""
            while true {
                // What there is; `read(upToCount:)` waits for all of it.
                let data = reader.availableData
                guard !data.isEmpty else { break }
                rest += String(decoding: data, as: UTF8.self)
                let parts = rest.components(separatedBy: "\n")
                rest = parts.last ?? ""
                lines.change { $0 += parts.dropLast().filter { !$0.isEmpty } }
            }
        }
    }

    deinit {
        try? input.close()
        if process.isRunning { process.terminate() }
    }

    /// The next line.
    func next(within limit: Duration = .seconds(60)) async throws -> String {
        let line = try await lines.wait(for: "a line of the client's", within: limit) { $0.first }
        lines.change { $0.removeFirst() }
        return line
    }

    /// Says something, and waits for the answer to it.
    func ask(_ line: String) async throws -> String {
        try input.write(contentsOf: Data((line + "\n").utf8))
        return try await next()
    }
}
