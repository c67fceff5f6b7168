import CSQLite
import Foundation
import Testing

@testable import ChannelStore

/// SQL on a file, as an operator or another program would run it.
func sql(_ text: String, at path: String) throws {
    var database: OpaquePointer?
    defer { sqlite3_close_v2(database) }
    try #require(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil) == SQLITE_OK)
    let code = sqlite3_exec(database, text, nil, nil, nil)
    try #require(code == SQLITE_OK, "\(String(cString: sqlite3_errmsg(database)))")
}

@Suite struct DamagedFileTests {
    private func filled(_ scene: Scene) async {
        let store = scene.store()
        for number in 0..<200 {
            await store.write(
                [.delivery(delivery("d\(number)", String(repeating: "x", count: 900)))], "a\(number % 20)")
        }
        store.close(within: .seconds(60))
    }

    private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

    /// The damaged files, without what belongs to them.
    private func corrupted(_ scene: Scene) throws -> [String] {
        try scene.files().filter {
            $0.hasPrefix("channel.db.corrupt-") && !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm")
        }
    }

    private enum Damage: CaseIterable {
        case garbage, cutInTheMiddle, zeroedHead, zeroedPages, wrongPointers
    }

    @Test func aDamagedFileIsMovedAsideAndSaidLoudly() async throws {
        for damage in Damage.allCases {
            let scene = Scene()
            await filled(scene)
            var content = try bytes(scene.path)
            switch damage {
            case .garbage: content = Data((0..<20_000).map { UInt8(truncatingIfNeeded: $0 * 31 + 7) })
            case .cutInTheMiddle: content = content.prefix(content.count / 2 + 100)
            case .zeroedHead: content.replaceSubrange(0..<50, with: Data(count: 50))
            case .zeroedPages: content.replaceSubrange(4096..<content.count, with: Data(count: content.count - 4096))
            case .wrongPointers:
                for page in 1..<content.count / 4096 {
                    content.replaceSubrange(page * 4096 + 8..<page * 4096 + 40, with: Data(repeating: 0xFF, count: 32))
                }
            }
            try content.write(to: URL(fileURLWithPath: scene.path))
            let store = scene.store()
            for number in 0..<20 { _ = try await store.load("a\(number)") }
            await store.write([.cursor(general, sequence: 7)])
            #expect(try await store.load("a").cursors == [general: 7], "\(damage)")
            #expect(store.health == .good)
            store.close(within: .seconds(60))
            let aside = try corrupted(scene)
            #expect(aside.count == 1, "\(damage): \(aside)")
            #expect(scene.log(.error).contains { $0.contains(scene.path) && $0.contains(aside.first ?? "?") })
            #expect(try scene.mode() == 0o600)
        }
    }

    @Test func damageAtWorkIsNoticedByLoadsAndByWrites() async throws {
        for loads in [true, false] {
            let scene = Scene()
            await filled(scene)
            let store = scene.store()
            await store.write([.cursor(general, sequence: 1)])
            // Into the file that is open, without the lock that a second descriptor would take away.
            let handle = try #require(FileHandle(forUpdatingAtPath: scene.path))
            let size = try handle.seekToEnd()
            try handle.seek(toOffset: 4096)
            try handle.write(contentsOf: Data(repeating: 0xA5, count: Int(size) - 4096))
            if loads {
                for number in 0..<20 { #expect(try await store.load("a\(number)").deliveries.isEmpty) }
            }
            for number in 0..<20 { await store.write([.delivery(delivery("new"))], "a\(number)") }
            for number in 0..<20 {
                #expect(try await store.load("a\(number)").deliveries.last == delivery("new"), "loads: \(loads)")
            }
            store.close(within: .seconds(60))
            try handle.close()
            #expect(try corrupted(scene).count == 1)
            #expect(scene.log(.error).count == 1)
        }
    }

    @Test func aLaterVersionIsRefusedAndNotTouched() async throws {
        let scene = Scene()
        await filled(scene)
        try sql("PRAGMA user_version = 99", at: scene.path)
        let before = try bytes(scene.path)
        let store = scene.store()
        await #expect { _ = try await store.load("a1") } throws: { error in
            let text = "\(error)"
            return text.contains(scene.path) && text.contains("version 99") && text.contains("install the build")
        }
        store.move(1)
        guard case .failing(let reason) = store.health else {
            Issue.record("\(store.health)")
            return
        }
        #expect(reason.contains("version 99"))
        store.close(within: .milliseconds(50))
        #expect(try bytes(scene.path) == before)
        #expect(try corrupted(scene).isEmpty)
    }

    @Test func anotherProgramsFileIsRefusedAndNotTouched() async throws {
        let scene = Scene()
        try FileManager.default.createDirectory(atPath: scene.directory + "/state", withIntermediateDirectories: true)
        try sql("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)", at: scene.path)
        let before = try bytes(scene.path)
        let store = scene.store()
        await #expect(throws: StoreError.self) { _ = try await store.load("a") }
        store.close(within: .seconds(1))
        #expect(try bytes(scene.path) == before)
    }

    @Test func aLinkIsNotFollowed() async throws {
        let scene = Scene()
        try FileManager.default.createDirectory(atPath: scene.directory + "/state", withIntermediateDirectories: true)
        let target = scene.directory + "/target"
        #expect(FileManager.default.createFile(atPath: target, contents: Data()))
        try FileManager.default.createSymbolicLink(atPath: scene.path, withDestinationPath: target)
        let store = scene.store()
        await #expect(throws: StoreError.self) { _ = try await store.load("a") }
        guard case .failing(let reason) = store.health else {
            Issue.record("\(store.health)")
            return
        }
        #expect(reason.contains("no regular file"))
        store.close(within: .seconds(1))
        #expect(try bytes(target).isEmpty)
    }

    /// A file of version 1 as its build left it, and a build that knows one version more.
    @Test func anOlderFileIsBroughtUpToDate() async throws {
        let scene = Scene()
        try FileManager.default.createDirectory(atPath: scene.directory + "/state", withIntermediateDirectories: true)
        try sql(StoreSchema.current.steps[0], at: scene.path)
        try sql(
            """
            PRAGMA application_id = \(StoreSchema.application); PRAGMA user_version = 1;
            INSERT INTO account VALUES (4, 'a', 1, 77);
            INSERT INTO guild VALUES (9, 4, 'g', 12.5);
            INSERT INTO channel VALUES (3, 9, 'c'), (5, 9, 'other');
            INSERT INTO cursor VALUES (3, 41);
            INSERT INTO mark VALUES (4, 5, 8, 0), (4, 3, 44, 0), (4, 3, 45, 1);
            INSERT INTO delivery VALUES (2, 4, 3, 42, 9, 2, 'd', '/media', 'died', x'7B7D');
            INSERT INTO outbox VALUES (6, 4, 5, 'o', 'm', 40, -1, NULL, 'text');
            INSERT INTO media VALUES (6, 0, '/f', 'f', 'image/png', x'7B7D');
            """, at: scene.path)
        let other = ChannelKey(guild: "g", channel: "other")
        let expected = StoredAccount(
            cursors: [general: 41], wakeups: [other: [8], general: [44]], taken: [general: [45]],
            deliveries: [
                StoredDelivery(
                    id: "d", key: general, sequence: 42, wake: true, caughtUp: false, redelivered: false,
                    message: Array("{}".utf8), handedOver: true, attempts: 2, mediaDirectory: "/media",
                    deadReason: "died")
            ],
            outbox: [
                OutboxEntry(
                    id: "o", key: other, text: "text",
                    media: [
                        StoredMedia(path: "/f", name: "f", mediaType: "image/png", uploaded: Array("{}".utf8))
                    ], replyTo: "m", floor: 40, order: .max)
            ], listedAt: ["g": 12.5], isRunning: true)
        var later = StoreSchema.current
        later.steps.append("ALTER TABLE delivery ADD COLUMN note TEXT; UPDATE account SET running = 0")

        // A step that cannot be taken takes nothing with it.
        var broken = later
        broken.steps.append("CREATE TABLE half (x); CREATE TABLE account (x)")
        let failing = scene.store(schema: broken)
        await #expect(throws: StoreError.self) { _ = try await failing.load("a") }
        failing.close(within: .seconds(1))

        let first = scene.store()
        #expect(try await first.load("a") == expected)
        first.close(within: .seconds(60))
        let second = scene.store(schema: later)
        var brought = expected
        brought.isRunning = false
        #expect(try await second.load("a") == brought)
        await second.write([.settled(delivery: "d"), .outboxRemoved(id: "o")])
        second.close(within: .seconds(60))
        // The older build does not know what the newer one may have written.
        let third = scene.store()
        await #expect(throws: StoreError.self) { _ = try await third.load("a") }
        third.close(within: .seconds(1))
    }
}
