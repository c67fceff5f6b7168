import Foundation
import Testing
import channel_store_process

@testable import ChannelStore

@Suite struct CrashTests {
    /// On the disk, where the log is synced and written back for real.
    @Test func whatWasReportedSurvivesBeingKilled() async throws {
        let scene = Scene(in: NSTemporaryDirectory())
        var expected: [String: StoredAccount] = [:]
        var last = 0
        var lostWithoutHavingBeenReported = 0
        var random = SeededNumbers(7)
        for round in 0..<60 {
            let process = try StoreProcess(path: scene.path)
            try process.tell("stream \(last + 1)")
            // After some commits, and then at any moment of the following ones.
            try process.read(until: "\(last + Int.random(in: 1...400, using: &random))")
            usleep(UInt32.random(in: 0...30_000, using: &random))
            process.kill()
            try process.readToEnd()
            let reported = process.lines.compactMap { Int($0) }
            #expect(reported == Array(last + 1..<last + 1 + reported.count), "completed once each, in order")

            let store = scene.store()
            var found: [String: StoredAccount] = [:]
            for account in ["agent-0", "agent-1", "agent-2"] { found[account] = try await store.load(account) }
            store.close(within: .seconds(60))
            // All commits went through one sequence, so what is there is a beginning of it.
            let reached = Int(found.values.flatMap(\.cursors.values).max() ?? 0)
            try #require(reached >= reported.last ?? 0, "round \(round): \(reported.last ?? 0) was reported")
            for number in stride(from: last + 1, through: reached, by: 1) {
                for change in StreamChanges.changes(number) {
                    expected[StreamChanges.account(number), default: StoredAccount()].apply(change)
                }
            }
            try #require(found == expected, "round \(round): commits up to \(reached), each whole")
            if reached > reported.last ?? 0 { lostWithoutHavingBeenReported += 1 }
            last = reached
        }
        #expect(last > 60 * 10, "it was killed at work")
        #expect(scene.log(.error).isEmpty && scene.log(.warning).isEmpty)
        #expect(try scene.files() == ["channel.db"])
    }
}
