import ArgumentParser
import Foundation

/// Another process of this program, so that what is measured is measured alone.
final class Child {
    private let process = Process()
    private let output = Pipe()
    private let input = Pipe()

    init(_ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = arguments
        process.standardOutput = output
        process.standardInput = input
        try process.run()
    }

    var processIdentifier: Int32 { process.processIdentifier }

    /// Its next line.
    func line() throws -> String {
        var bytes: [UInt8] = []
        while true {
            guard let byte = try output.fileHandleForReading.read(upToCount: 1)?.first else {
                throw ValidationError("\(process.arguments?.first ?? "a child") ended without an answer")
            }
            if byte == 0x0A { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(byte)
        }
    }

    func stop() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

/// Prints a line at once.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

/// Until whoever started this closes its end, or is gone.
func waitForEnd() {
    _ = FileHandle.standardInput.readDataToEndOfFile()
    exit(0)
}

/// Resident memory of this process.
func residentKilobytes() -> Double { processStatus("VmRSS") }

/// The most memory this process ever had.
func peakKilobytes() -> Double { processStatus("VmHWM") }

private func processStatus(_ key: String) -> Double {
    let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    for line in text.split(separator: "\n") where line.hasPrefix(key + ":") {
        return line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Double($0) } ?? 0
    }
    return 0
}
