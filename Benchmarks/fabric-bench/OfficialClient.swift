import ArgumentParser
import CBench
import Foundation

/// The official JavaScript client on Node, as `Scripts/official-client` laid it down: counts the same messages.
struct OfficialClient {
    private let folder: String
    private let script: String
    private var node: String { folder + "/playwright/driver/node" }

    /// Nil if it is not there.
    init?(repository: String) {
        folder = URL(fileURLWithPath: repository + "/.build/official-client").standardizedFileURL.path
        script = repository + "/Benchmarks/OfficialClient/client.cjs"
        guard FileManager.default.isExecutableFile(atPath: folder + "/playwright/driver/node"),
            FileManager.default.fileExists(atPath: script)
        else { return nil }
    }

    /// CPU seconds of its main thread, from the first to the last message.
    func measure(_ run: Run) throws -> Double {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: node)
        process.arguments = [script, folder, "\(run.stream.port)", "\(run.count)"]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        // The feed has a lock of its own; it is stopped by the caller, after this.
        nonisolated(unsafe) let feed = run.feed
        Thread { feed_go(feed) }.start()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0, let seconds = Double(text.trimmingCharacters(in: .whitespacesAndNewlines))
        else { throw ValidationError("the official client failed: \(text)") }
        return seconds
    }
}
