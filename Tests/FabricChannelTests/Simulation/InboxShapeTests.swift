import Foundation
import Testing

@testable import FabricChannel

/// An inbox that is told anything never traps, and stays bounded: what is kept of the fuzzer's findings, and bytes at random.
/// `Fuzz/run SECONDS inbox` looks for more.
@Suite struct InboxShapeTests {
    #if DEBUG
        private static let seeds: UInt64 = 300
    #else
        private static let seeds: UInt64 = 1000
    #endif

    @Test func noShapeHurts() {
        for seed in 1...Self.seeds as ClosedRange<UInt64> {
            var random = SplitMix64(state: seed)
            var shape = InboxShape((0..<3000).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            shape.play()
            if let problem = shape.problem { Issue.record("seed \(seed): \(problem)") }
        }
    }

    @Test func theCorpusHolds() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../../Fuzz/inbox-corpus").standardizedFileURL.path
        let files = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(files.count >= 50)
        for file in files.sorted() {
            var shape = InboxShape(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(file)")))
            shape.play()
            if let problem = shape.problem { Issue.record("\(file): \(problem)") }
        }
    }
}
