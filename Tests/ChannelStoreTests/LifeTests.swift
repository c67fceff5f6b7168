import CSQLite
import Foundation
import Locking
import Testing

@testable import ChannelStore

@Suite(.serialized) struct LifeTests {
    private func threads() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").compactMap {
            try? String(contentsOfFile: "/proc/self/task/\($0)/comm", encoding: .utf8)
        }.filter { $0.hasPrefix("store-") }
    }

    private func descriptors(of scene: Scene) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
        }.filter { $0.hasPrefix(scene.directory) }
    }

    /// A link in the place of its log leads nowhere.
    @Test(arguments: ["-wal", "-shm"]) func aLinkBesideItIsNotFollowed(_ suffix: String) async throws {
        let scene = Scene()
        let first = scene.store()
        await first.write([.running(true)])
        first.close(within: .seconds(60))
        let victim = scene.directory + "/victim"
        try Data("precious".utf8).write(to: URL(fileURLWithPath: victim))
        chmod(victim, 0o644)
        unlink(scene.path + suffix)
        #expect(symlink(victim, scene.path + suffix) == 0)
        let store = scene.store()
        await #expect(throws: StoreError.self) { try await store.load("a") }
        store.close(within: .seconds(60))
        #expect(try Data(contentsOf: URL(fileURLWithPath: victim)) == Data("precious".utf8))
        var facts = stat()
        #expect(stat(victim, &facts) == 0 && facts.st_mode & 0o777 == 0o644)
    }

    @Test func filesAreTheOwnersAndNothingIsLeftOpen() async throws {
        let scene = Scene()
        let store = scene.store()
        #expect(!FileManager.default.fileExists(atPath: scene.directory + "/state"), "nothing before it is needed")
        #expect(try await store.load("a") == StoredAccount())
        await store.write([.outbox(outgoing("o")), .running(true)])
        _ = try await store.load("a")
        for suffix in ["", "-wal", "-shm"] { #expect(try scene.mode(suffix) == 0o600) }
        let attributes = try FileManager.default.attributesOfItem(atPath: scene.directory + "/state")
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o700)
        #expect(try threads().contains("store-write\n"))
        #expect(try !descriptors(of: scene).isEmpty)
        store.close(within: .seconds(60))
        #expect(try descriptors(of: scene).isEmpty)
        #expect(try scene.files() == ["channel.db"], "the log is written back")
        chmod(scene.path, 0o644)
        let again = scene.store()
        #expect(try await again.load("a").outbox == [outgoing("o")])
        #expect(try scene.mode() == 0o600)
        again.close(within: .seconds(60))
        again.close(within: .seconds(60))
        await again.write([.running(false)])
        await #expect(throws: StoreError.self) { _ = try await again.load("a") }
        // One that nobody closed ends too.
        var forgotten: SQLiteChannelStore? = scene.store()
        // Written, so that its thread and its file are there before they are waited to be gone.
        await forgotten?.write([.cursor(general, sequence: 5)])
        forgotten = nil
        let isGone = await eventually {
            (try? threads().isEmpty) == true && (try? descriptors(of: scene).isEmpty) == true
        }
        #expect(isGone)
        let last = scene.store()
        #expect(try await last.load("a").cursors == [general: 5])
        last.close(within: .seconds(60))
    }

    @Test func twoStoresWriteToOneFileAtTheSameTime() async throws {
        let scene = Scene()
        let stores = [scene.store(), scene.store()]
        await withTaskGroup(of: Void.self) { group in
            for (number, store) in stores.enumerated() {
                group.addTask {
                    for step in 0..<300 {
                        await store.write(
                            [.cursor(general, sequence: Int64(step)), .delivery(delivery("d\(step)"))], "s\(number)")
                    }
                }
            }
        }
        // A reload's hand-over: the other one goes on with the account.
        for (number, store) in stores.reversed().enumerated() {
            await store.write([.settled(delivery: "d0"), .delivery(delivery("d299", "[]"))], "s\(number)")
        }
        for (number, store) in stores.enumerated() {
            let stored = try await store.load("s\(number)")
            #expect(stored.cursors == [general: 299] && stored.deliveries.count == 299)
            #expect(stored.deliveries.first == delivery("d1") && stored.deliveries.last == delivery("d299", "[]"))
        }
        #expect(try await stores[0].accounts() == ["s0", "s1"])
        for store in stores { store.close(within: .seconds(60)) }
        #expect(scene.log(.error).isEmpty && scene.log(.warning).isEmpty)
    }

    @Test func aLockedFileDelaysNoLoadAndBoundsTheClosing() async throws {
        let scene = Scene()
        let store = scene.store()
        await store.write([.cursor(general, sequence: 1)], "b")
        var other: OpaquePointer?
        #expect(sqlite3_open_v2(scene.path, &other, SQLITE_OPEN_READWRITE, nil) == SQLITE_OK)
        defer { sqlite3_close_v2(other) }
        #expect(sqlite3_exec(other, "BEGIN IMMEDIATE", nil, nil, nil) == SQLITE_OK)
        let done = Locked(0)
        store.move(2, "a") { done.withLock { $0 += 1 } }
        // The lock is held until both have returned: neither waits for the writer.
        #expect(try await store.load("b").cursors == [general: 1])
        store.close(within: .milliseconds(300))
        #expect(done.withLock { $0 } == 0)
        // The thread it could not wait for ends by itself, and what waited is written after all.
        #expect(sqlite3_exec(other, "COMMIT", nil, nil, nil) == SQLITE_OK)
        let isDone = await eventually { done.withLock { $0 } == 1 }
        #expect(isDone)
        let again = scene.store()
        #expect(try await again.load("a").cursors == [general: 2])
        again.close(within: .seconds(60))
    }

    @Test func aFileThatIsTakenAwayIsBegunAgain() async throws {
        let scene = Scene()
        let store = scene.store()
        await store.write([.cursor(general, sequence: 1)])
        for name in try scene.files() { try FileManager.default.removeItem(atPath: scene.directory + "/state/\(name)") }
        await store.write([.cursor(general, sequence: 2)], "b")
        #expect(scene.log(.warning).count == 1)
        #expect(try await store.load("a") == StoredAccount())
        store.close(within: .seconds(60))
        let again = scene.store()
        #expect(try await again.load("b").cursors == [general: 2])
        again.close(within: .seconds(60))
    }

    @Test func healthIsToldOncePerChangeAndAFailedRemovalIsSaid() async throws {
        let scene = Scene()
        #expect(FileManager.default.createFile(atPath: scene.directory + "/state", contents: nil))
        let store = scene.store()
        let told = Locked<[StoreHealth]>([])
        let number = store.observe { health in told.withLock { $0.append(health) } }
        store.move(1)
        // Each is told of an attempt of its own.
        for _ in 0..<3 { await #expect(throws: StoreError.self) { try await store.remove("gone") } }
        store.move(2)
        #expect(told.withLock { $0.count } == 1)
        try FileManager.default.removeItem(atPath: scene.directory + "/state")
        let isTold = await eventually { told.withLock { $0.count } == 2 }
        #expect(isTold)
        #expect(told.withLock { $0.last } == .good && store.health == .good)
        store.stopObserving(number)
        #expect(try await store.load("a").cursors == [general: 2])
        store.close(within: .seconds(60))
    }

    /// Without end, in a room that does not grow: neither the file nor the library's memory.
    @Test func aLongStreamKeepsItsFootprint() async throws {
        let scene = Scene()
        let store = scene.store()
        var sizes: [Int] = []
        var memory: [Int64] = []
        for round in 0..<3 {
            for number in round * 10_000..<(round + 1) * 10_000 {
                let key = ChannelKey(guild: "g", channel: "c\(number % 50)")
                store.commit(
                    [
                        .delivery(delivery("d\(number)", String(repeating: "x", count: 700), key: key)),
                        .settled(delivery: "d\(number - 100)"), .cursor(key, sequence: Int64(number)),
                    ], account: "a"
                ) { _ in }
                if number % 500 == 0 { await store.write([.running(true)]) }
            }
            await store.write([.running(true)])
            memory.append(sqlite3_memory_used())
            sizes.append(try scene.files().reduce(0) { try $0 + bytes(scene.directory + "/state/\($1)") })
        }
        store.close(within: .seconds(60))
        #expect(memory[2] < 6_000_000 && memory[2] < memory[0] + 1_000_000, "\(memory)")
        #expect(sizes[2] < 12_000_000 && sizes[2] < sizes[0] + 1_000_000, "\(sizes)")
    }

    private func bytes(_ path: String) throws -> Int {
        (try FileManager.default.attributesOfItem(atPath: path)[.size] as? NSNumber)?.intValue ?? 0
    }
}
