import Foundation
import Testing

@testable import ChannelStore
@testable import FabricChannel

/// The files of a message go where the account goes.
@Suite struct OutboxFilesTests {
    @Test func anotherGatewayHasTheFilesOfTheMessagesItTakesOver() async throws {
        let base = NSTemporaryDirectory() + "outbox-files-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: base) }
        try FileManager.default.createDirectory(atPath: base, withIntermediateDirectories: true)
        let bytes = Data((0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
        try bytes.write(to: URL(fileURLWithPath: base + "/picture"))
        let memory = SharedMemory { 0 }
        let (one, two) = (InMemorySharedStore(memory), InMemorySharedStore(memory))
        _ = try await one.beat(Member(id: "one", gateway: "one"))
        _ = try await two.beat(Member(id: "two", gateway: "two"))
        let lease = try #require(try await one.claim(["a"], atMost: 1).first)

        let picture = StoredMedia(path: base + "/picture", name: "picture.png", mediaType: "image/png")
        let kept = try OutboxFiles.keep([picture], root: base + "/one/outbox", account: "a", entry: "o")
        #expect(try await one.keepFile(account: "a", entry: "o", index: 0, path: kept[0].path))
        let key = ChannelKey(guild: "g", channel: "c")
        let gone = StoredMedia(path: base + "/gone", name: "gone", mediaType: "image/png")
        let entries = [
            OutboxEntry(id: "o", key: key, text: "look", media: kept, replyTo: nil, order: 1),
            OutboxEntry(id: "p", key: key, text: "", media: [gone], replyTo: nil, order: 2),
        ]
        // Where the files are, nothing is asked for.
        let here = try await OutboxFiles.restore(entries, root: base + "/one/outbox", account: "a", from: one)
        #expect(here[0] == entries[0])
        // Another gateway of this machine, that has them not.
        let neighbour = try await OutboxFiles.restore(entries, root: base + "/three/outbox", account: "a", from: two)
        #expect(neighbour[0] == entries[0])
        try await one.release([lease])
        #expect(try await one.keepFile(account: "a", entry: "q", index: 0, path: base + "/picture") == false)
        _ = try await two.claim(["a"], atMost: 1)

        // The other machine.
        try FileManager.default.removeItem(atPath: base + "/one")
        let found = try await OutboxFiles.restore(entries, root: base + "/two/outbox", account: "a", from: two)
        #expect(found[0].media[0].path.hasPrefix(base + "/two/"))
        #expect(found[0].media[0].name == "picture.png")
        #expect(try Data(contentsOf: URL(fileURLWithPath: found[0].media[0].path)) == bytes)
        let missing = found[1].media[0].path
        #expect(missing.hasPrefix(base + "/two/outbox/") && access(missing, F_OK) != 0, "it fails when it is sent")
        // Once more, without its database.
        two.setAway(true)
        let again = try await OutboxFiles.restore([entries[0]], root: base + "/two/outbox", account: "a", from: two)
        #expect(again[0] == found[0])
    }

    /// A database that is not what it was: no path of its own choice is one of ours.
    @Test func pathsOfTheStoreAreNotBelieved() async throws {
        let base = NSTemporaryDirectory() + "outbox-files-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: base) }
        try FileManager.default.createDirectory(atPath: base, withIntermediateDirectories: true)
        let secret = base + "/key"
        try Data("key".utf8).write(to: URL(fileURLWithPath: secret))
        let store = InMemorySharedStore(SharedMemory { 0 })
        let key = ChannelKey(guild: "g", channel: "c")
        let own = OutboxFiles.path(base + "/state/outbox", account: "a", entry: "o", 0)
        // Where one of ours would lie, if what lies there were no link.
        let names = own.dropFirst((base + "/state").count)
        let linked = base + "/elsewhere" + names
        try FileManager.default.createDirectory(
            atPath: (linked as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        #expect(symlink(secret, linked) == 0)
        for path in [secret, base + "/x/../key", linked, "/proc/self/environ", secret + "\u{0}" + names, ""] {
            let media = StoredMedia(path: path, name: "plan", mediaType: "text/plain")
            let entry = OutboxEntry(id: "o", key: key, text: "", media: [media], replyTo: nil, order: 1)
            let found = try await OutboxFiles.restore(
                [entry], root: base + "/state/outbox", account: "a", from: store)
            #expect(found[0].media[0].path == own, "\(path)")
        }
    }

    @Test func onlyDirectoriesOfTurnsAreRemoved() {
        let instance = "/s/media/7-x"
        for path in ["/s/media/7-x/turn", "/s/media/3-y/other"] {
            #expect(MediaDirectory.isOfATurn(path, beside: instance), "\(path)")
        }
        for path in [
            "/", "", "/s", "/s/media", "/s/media/", "/s/media/7-x", "/s/media/7-x/", "/s/media/7-x/..", "/s/media/../x",
            "/s/media/./x", "/s/media/7-x/turn/..", "/s/media//turn", "/home/me", "/s/media/7-x/\u{0}turn",
            "/s/mediaother/7/x", "s/media/7-x/turn",
        ] {
            #expect(!MediaDirectory.isOfATurn(path, beside: instance), "\(path)")
        }
    }

    /// A database that has no end of a file.
    @Test func aFileWithoutEndIsNotRestored() throws {
        let path = NSTemporaryDirectory() + "restored-\(UUID().uuidString)"
        let file = try #require(RestoredFile(path))
        let part = [UInt8](repeating: 0, count: KeptFile.partBytes)
        var parts = 0
        while parts < 1000, file.append(part) { parts += 1 }
        #expect(parts == KeptFile.mostBytes / KeptFile.partBytes)
        #expect(!file.finish(isComplete: false) && access(path + ".part", F_OK) != 0)
    }
}
