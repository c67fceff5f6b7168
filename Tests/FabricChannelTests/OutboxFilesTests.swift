import ChannelStore
import Foundation
import Testing

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
        let kept = try OutboxFiles.keep([picture], root: base + "/one", account: "a", entry: "o")
        #expect(try await one.keepFile(account: "a", entry: "o", index: 0, path: kept[0].path))
        let key = ChannelKey(guild: "g", channel: "c")
        let gone = StoredMedia(path: base + "/gone", name: "gone", mediaType: "image/png")
        let entries = [
            OutboxEntry(id: "o", key: key, text: "look", media: kept, replyTo: nil, order: 1),
            OutboxEntry(id: "p", key: key, text: "", media: [gone], replyTo: nil, order: 2),
        ]
        // Where the files are, nothing is asked for.
        #expect(try await OutboxFiles.restore(entries, root: base + "/one", account: "a", from: one) == entries)
        try await one.release([lease])
        #expect(try await one.keepFile(account: "a", entry: "q", index: 0, path: base + "/picture") == false)
        _ = try await two.claim(["a"], atMost: 1)

        // The other machine.
        try FileManager.default.removeItem(atPath: base + "/one")
        let found = try await OutboxFiles.restore(entries, root: base + "/two", account: "a", from: two)
        #expect(found[0].media[0].path.hasPrefix(base + "/two/"))
        #expect(found[0].media[0].name == "picture.png")
        #expect(try Data(contentsOf: URL(fileURLWithPath: found[0].media[0].path)) == bytes)
        #expect(found[1] == entries[1], "what nobody kept keeps its path, and fails when it is sent")
        // Once more, without its database.
        two.setAway(true)
        let again = try await OutboxFiles.restore([entries[0]], root: base + "/two", account: "a", from: two)
        #expect(again[0] == found[0])
    }
}
