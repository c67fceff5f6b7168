import ChannelStore
import FabricAPI
import JSONBytes

/// How much of what was said last goes into a delivery that wakes.
struct HistoryWish: Equatable, Sendable {
    static let mostMessages = 200
    static let mostBytes = 1 << 20

    var messages: Int
    /// Of JSON text.
    var bytes: Int
}

/// The last messages of one conversation, by their positions.
struct RecentMessages: Sendable {
    struct Row: Sendable, Equatable {
        var sequence: Int64
        var json: JSONValue
        /// Of its JSON text.
        var bytes: Int
    }

    private(set) var rows: [Row] = []
    private var bytes = 0
    /// What lies before was read from the guild, or is known not to be there.
    var isComplete = false

    /// Takes a message in; one at a known position replaces it.
    ///
    /// Kept is no more than a delivery may ever say: what others write must not fill the memory.
    mutating func add(_ row: Row, limit: Int) {
        // Nearly always the newest.
        var at = rows.endIndex
        while at > 0, rows[at - 1].sequence > row.sequence { at -= 1 }
        if at > 0, rows[at - 1].sequence == row.sequence {
            bytes += row.bytes - rows[at - 1].bytes
            rows[at - 1] = row
        } else {
            bytes += row.bytes
            rows.insert(row, at: at)
        }
        var surplus = 0
        while surplus < rows.count, rows.count - surplus > limit || bytes > HistoryWish.mostBytes {
            bytes -= rows[surplus].bytes
            surplus += 1
        }
        if surplus > 0 { rows.removeFirst(surplus) }
    }

    /// A message has another text now, or none: then it is gone.
    mutating func change(_ id: String, to text: String?) {
        guard let at = rows.lastIndex(where: { $0.json["id"]?.string == id }) else { return }
        bytes -= rows[at].bytes
        guard let text else {
            rows.remove(at: at)
            return
        }
        rows[at].json = rows[at].json.with(["text": .string(text)])
        rows[at].bytes = rows[at].json.serialized.count
        bytes += rows[at].bytes
    }

    /// What was said before a position, oldest first, no more than wished.
    func before(_ sequence: Int64, _ wish: HistoryWish) -> [JSONValue] {
        var chosen: [JSONValue] = []
        var bytes = 2
        // One without text was deleted, or is a file.
        for row in rows.reversed() where row.sequence < sequence && row.json["text"]?.string?.isEmpty == false {
            bytes += row.bytes + 1
            guard chosen.count < wish.messages, bytes <= wish.bytes else { break }
            chosen.append(row.json)
        }
        return chosen.reversed()
    }
}

extension RecentMessages.Row {
    /// Nil for a message without a position.
    init?(_ view: FabricMessageView) {
        guard let sequence = view.seq else { return nil }
        self.init(
            sequence: sequence, id: view.idText, text: view.content?.string ?? "", author: view.author?.string ?? "",
            name: view.authorName?.string, createdAt: view.createdAt?.string)
    }

    init(sequence: Int64, id: String, text: String, author: String, name: String? = nil, createdAt: String?) {
        self.sequence = sequence
        var writer: [String: JSONValue] = ["id": .string(author)]
        writer["name"] = name.map { .string($0) }
        var object: [String: JSONValue] = [
            "id": .string(id), "seq": .int(sequence), "text": .string(text), "author": .object(writer),
        ]
        object["createdAt"] = createdAt.map { .string($0) }
        json = .object(object)
        bytes = json.serialized.count
    }
}

/// What was said last in the conversations of an account: kept where a delivery asked for it once. Nothing is kept unless the
/// gateway wishes it.
struct RecentHistory: Sendable {
    private(set) var wish: HistoryWish?
    private var rooms: [ChannelKey: RecentMessages] = [:]

    var isWanted: Bool { wish != nil }

    /// Another wish begins anew.
    mutating func take(_ wish: HistoryWish?) {
        guard wish != self.wish else { return }
        (self.wish, rooms) = (wish, [:])
    }

    /// Whether what passes by there is kept.
    func keeps(_ key: ChannelKey) -> Bool { rooms[key] != nil }
    func isComplete(_ key: ChannelKey) -> Bool { rooms[key]?.isComplete == true }

    /// From now on it is.
    mutating func begin(_ key: ChannelKey) { rooms[key] = RecentMessages() }
    mutating func complete(_ key: ChannelKey) { rooms[key]?.isComplete = true }

    mutating func add(_ row: RecentMessages.Row, _ key: ChannelKey) {
        guard let wish else { return }
        rooms[key]?.add(row, limit: wish.messages + 1)
    }

    /// A message was deleted.
    mutating func delete(_ message: String, guild: String, channel: String?) {
        for key in keys(guild, channel) { rooms[key]?.change(message, to: nil) }
    }

    /// A message was changed. Where nobody says how it reads now, that has to be asked for.
    mutating func update(_ message: String, to text: String?, guild: String, channel: String?) {
        for key in keys(guild, channel) {
            if text == nil { rooms[key] = nil } else { rooms[key]?.change(message, to: text) }
        }
    }

    private func keys(_ guild: String, _ channel: String?) -> [ChannelKey] {
        rooms.keys.filter { $0.guild == guild && (channel ?? $0.channel) == $0.channel }
    }

    /// What a delivery says of what came before it; nil if it asks for nothing.
    func before(_ sequence: Int64, _ key: ChannelKey) -> [JSONValue]? {
        guard let wish else { return nil }
        return rooms[key]?.before(sequence, wish)
    }
}
