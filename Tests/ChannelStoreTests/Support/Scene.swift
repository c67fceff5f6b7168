import Foundation
import Locking
import Testing

@testable import ChannelStore

/// A directory of a test's own, with a store in it.
final class Scene: Sendable {
    let directory: String
    let lines = Locked<[(level: StoreLogLevel, text: String)]>([])
    var path: String { directory + "/state/channel.db" }

    /// In memory where there is such a place: most tests are about what is in the file, not about the disk.
    static let fastest = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NSTemporaryDirectory()

    init(in parent: String = Scene.fastest) {
        directory = parent + "/channel-store-\(UUID().uuidString)"
        try? FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func store(schema: StoreSchema = .current, compactAt: Int = 4096) -> SQLiteChannelStore {
        SQLiteChannelStore(path: path, schema: schema, compactAt: compactAt) { [weak self] level, text in
            self?.lines.withLock { $0.append((level, text)) }
        }
    }

    func log(_ level: StoreLogLevel) -> [String] {
        lines.withLock { lines in lines.filter { $0.level == level }.map(\.text) }
    }

    /// The files beside the store's, by name.
    func files() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory + "/state").sorted()
    }

    func mode(_ suffix: String = "") throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path + suffix)
        return (attributes[.posixPermissions] as? NSNumber)?.intValue ?? -1
    }
}

extension ChannelStore {
    /// Commits and waits until that is done.
    func write(_ changes: [StoreChange], _ account: String = "a") async {
        await withCheckedContinuation { done in commit(changes, account: account) { _ in done.resume() } }
    }

    /// Commits a cursor without waiting.
    func move(_ sequence: Int64, _ account: String = "a", completion: @escaping @Sendable () -> Void = {}) {
        commit([.cursor(general, sequence: sequence)], account: account) { _ in completion() }
    }
}

let general = ChannelKey(guild: "g", channel: "c")

func delivery(_ id: String, _ text: String = "{}", key: ChannelKey = general) -> StoredDelivery {
    StoredDelivery(
        id: id, key: key, sequence: 1, wake: true, caughtUp: false, redelivered: false, message: Array(text.utf8),
        handedOver: false)
}

func outgoing(_ id: String, _ text: String = "hello") -> OutboxEntry {
    OutboxEntry(id: id, key: general, text: text, media: [], replyTo: nil, order: 1)
}

/// Waits until `condition` holds; false when it does not within `limit`.
func eventually(within limit: Duration = .seconds(60), _ condition: () -> Bool) async -> Bool {
    let end = ContinuousClock.now + limit
    while !condition() {
        if ContinuousClock.now > end { return false }
        try? await Task.sleep(for: .milliseconds(2))
    }
    return true
}
