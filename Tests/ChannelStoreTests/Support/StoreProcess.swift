import Foundation
import Locking
import Testing

/// A store in a process of its own.
final class StoreProcess {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var buffer: [UInt8] = []
    /// Every line it said so far.
    private(set) var lines: [String] = []

    init(path: String) throws {
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent("channel-store-process")
        process.arguments = [path]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    deinit { kill() }

    func tell(_ command: String) throws {
        try input.fileHandleForWriting.write(contentsOf: Data((command + "\n").utf8))
    }

    /// Reads until a line begins with `start`, and returns the rest of it.
    @discardableResult func read(until start: String) throws -> String {
        while true {
            let line = try #require(try next(), "it ended without \"\(start)\"; it said \(lines.suffix(5))")
            if line.hasPrefix(start) { return String(line.dropFirst(start.count)) }
        }
    }

    /// Everything it still says until it is gone.
    func readToEnd() throws {
        while try next() != nil {}
    }

    private func next() throws -> String? {
        while true {
            if let end = buffer.firstIndex(of: 0x0A) {
                let line = String(decoding: buffer[..<end], as: UTF8.self)
                buffer.removeSubrange(...end)
                lines.append(line)
                return line
            }
            var more = [UInt8](repeating: 0, count: 1 << 16)
            let count = Foundation.read(output.fileHandleForReading.fileDescriptor, &more, more.count)
            if count <= 0 { return nil }
            buffer.append(contentsOf: more[..<count])
        }
    }

    func kill() {
        guard process.isRunning else { return }
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    func end() throws -> Int32 {
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
        return process.terminationStatus
    }
}
