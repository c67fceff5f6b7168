import Foundation
import Testing
import channel_store_process

@testable import ChannelStore

@Suite struct FullDiskTests {
    private func expectAll(_ count: Int, in scene: Scene, at path: String) async throws {
        let store = SQLiteChannelStore(path: path) { _, _ in }
        defer { store.close(within: .seconds(60)) }
        var expected: [String: StoredAccount] = [:]
        for number in 0..<count {
            for change in StreamChanges.changes(number) {
                expected[StreamChanges.account(number), default: StoredAccount()].apply(change)
            }
        }
        for (account, stored) in expected { #expect(try await store.load(account) == stored) }
    }

    /// A limit on the size of files stops writing as a full disk does, for whoever runs the tests.
    @Test func whatDoesNotFitWaitsInOrderAndIsWrittenWhenThereIsRoom() async throws {
        let scene = Scene()
        let process = try StoreProcess(path: scene.path)
        try process.tell("commit 0 1")
        try process.read(until: "done 0")
        try process.tell("limit 40000")
        try process.read(until: "limited")
        let committed = 2001
        try process.tell("commit 1 \(committed)")
        let reason = try process.read(until: "health failing")
        #expect(reason.contains(scene.path) && reason.contains("free space"), "\(reason)")
        // Answered from the file and what waits.
        try process.tell("load agent-0")
        #expect(try process.read(until: "loaded ") == "2 20")
        try process.tell("limit none")
        try process.read(until: "health good")
        while !process.lines.contains("done \(committed - 1)") { try process.read(until: "done ") }
        #expect(
            process.lines.filter { $0.hasPrefix("done ") } == (0..<committed).map { "done \($0)" },
            "each completed once, in order")
        #expect(process.lines.filter { $0.hasPrefix("health") }.count == 2, "told once per change")
        try process.tell("close 20")
        try process.read(until: "closed")
        #expect(try process.end() == 0)
        try await expectAll(committed, in: scene, at: scene.path)
    }

    static let mayMount = getuid() == 0

    @Test(.enabled(if: mayMount, "mounting takes root"))
    func aSmallDiskThatFillsUpAndIsFreed() async throws {
        let scene = Scene()
        let disk = scene.directory + "/disk"
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
        // Where even root may not mount (a container), the test above stands alone.
        guard mount("tmpfs", disk, "tmpfs", 0, "size=2m") == 0 else { return }
        defer { umount2(disk, Int32(MNT_DETACH)) }
        let process = try StoreProcess(path: disk + "/channel.db")
        try process.tell("commit 0 10")
        try process.read(until: "done 9")
        // Somebody else's file takes what room there is.
        let filler = disk + "/filler"
        #expect(FileManager.default.createFile(atPath: filler, contents: nil))
        let handle = try #require(FileHandle(forWritingAtPath: filler))
        while (try? handle.write(contentsOf: Data(count: 4096))) != nil {}
        try process.tell("commit 10 2000")
        let reason = try process.read(until: "health failing")
        #expect(reason.contains("free space"), "\(reason)")
        try handle.close()
        try FileManager.default.removeItem(atPath: filler)
        try process.read(until: "health good")
        while !process.lines.contains("done 1999") { try process.read(until: "done ") }
        #expect(process.lines.filter { $0.hasPrefix("done ") } == (0..<2000).map { "done \($0)" })
        try process.tell("close 20")
        try process.read(until: "closed")
        #expect(try process.end() == 0)
        try await expectAll(2000, in: scene, at: disk + "/channel.db")
    }

    @Test func aReadOnlyDirectoryIsSaidAndRecoversByItself() async throws {
        let scene = Scene()
        // Somebody else's, for a process that root starts.
        chmod(scene.directory, 0o555)
        let process = try StoreProcess(path: scene.path)
        try process.tell("user")
        try process.read(until: "user ")
        try process.tell("load agent-0")
        #expect(try process.read(until: "loaded ") == "0 0", "where no file is, nothing was kept")
        try process.tell("commit 0 100")
        while !process.lines.contains(where: { $0.hasPrefix("health failing") }) { try process.read(until: "") }
        let reason = try #require(process.lines.first { $0.hasPrefix("health failing") })
        #expect(reason.contains(scene.path) && reason.contains("writable"), "\(reason)")
        chmod(scene.directory, 0o777)
        try process.read(until: "health good")
        while !process.lines.contains("done 99") { try process.read(until: "done ") }
        // The file itself, and what is written to beside it, made unwritable while in use.
        try process.tell("close 20")
        try process.read(until: "closed")
        #expect(try process.end() == 0)
        try await expectAll(100, in: scene, at: scene.path)
    }

    @Test func aReadOnlyFileIsSaidAndRecoversByItself() async throws {
        let scene = Scene()
        chmod(scene.directory, 0o777)
        let first = try StoreProcess(path: scene.path)
        try first.tell("user")
        try first.tell("commit 0 10")
        try first.read(until: "done 9")
        try first.tell("close 20")
        try first.read(until: "closed")
        _ = try first.end()
        chmod(scene.path, 0o400)
        let process = try StoreProcess(path: scene.path)
        try process.tell("user")
        try process.tell("commit 10 20")
        let reason = try process.read(until: "health failing")
        #expect(reason.contains("writable"), "\(reason)")
        chmod(scene.path, 0o600)
        try process.read(until: "health good")
        while !process.lines.contains("done 19") { try process.read(until: "done ") }
        try process.tell("close 20")
        try process.read(until: "closed")
        #expect(try process.end() == 0)
        try await expectAll(20, in: scene, at: scene.path)
    }
}
