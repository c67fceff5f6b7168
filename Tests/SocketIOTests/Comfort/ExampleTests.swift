import Foundation
import Testing

/// Examples/SocketIO, as built, against python-socketio; and the articles show nothing that is not in them.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ExampleTests {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../..").standardizedFileURL

    static var program: URL {
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return tests.deletingLastPathComponent().appendingPathComponent("socketio-example")
    }

    @Test(arguments: [
        ("started", "me: hello"), ("authentication", "bad token"), ("acknowledgements", "no answer within 0.1 seconds"),
        ("binary", "[1, 2, 3] [4]"), ("reconnection", "over: disconnected on request"), ("delegate", "done"),
        ("namespaces", "room again"), ("readme", "answered: 41\n"),
    ])
    func examplesRun(_ name: String, _ words: String) async throws {
        let server = try await Server("conformance.py")
        let process = Process()
        process.executableURL = Self.program
        process.arguments = [name, "http://127.0.0.1:\(server.port)"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let deadline = DispatchWorkItem { process.terminate() }
        DispatchQueue.global().asyncAfter(deadline: .now() + 30, execute: deadline)
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        deadline.cancel()
        #expect(process.terminationStatus == 0, "\(text)")
        #expect(text.contains(words), "\(text)")
    }

    @Test func theArticlesShowWhatIsBuilt() throws {
        let folder = Self.root.appendingPathComponent("Sources/SocketIO/SocketIO.docc")
        let examples = Self.root.appendingPathComponent("Examples/SocketIO")
        func words(_ text: some StringProtocol) -> String {
            text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
                .filter { !$0.isEmpty }.joined(separator: "\n")
        }
        var built = ""
        for file in try FileManager.default.contentsOfDirectory(at: examples, includingPropertiesForKeys: nil) {
            built += words(try String(contentsOf: file, encoding: .utf8)) + "\n"
        }
        var blocks = 0
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
            let parts = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "```")
            for block in stride(from: 1, to: parts.count, by: 2).map({ parts[$0] }) where block.hasPrefix("swift\n") {
                blocks += 1
                #expect(built.contains(words(block.dropFirst(6))), "\(file.lastPathComponent): \(block)")
            }
        }
        #expect(blocks >= 5)
    }
}
