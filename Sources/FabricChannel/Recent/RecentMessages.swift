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
    }

    private(set) var rows: [Row] = []
    /// What lies before was read from the guild, or is known not to be there.
    var isComplete = false

    /// Takes a message in; one at a known position replaces it.
    mutating func add(_ row: Row, limit: Int) {
        // Nearly always the newest.
        var at = rows.endIndex
        while at > 0, rows[at - 1].sequence > row.sequence { at -= 1 }
        if at > 0, rows[at - 1].sequence == row.sequence {
            rows[at - 1] = row
        } else {
            rows.insert(row, at: at)
        }
        if rows.count > limit { rows.removeFirst(rows.count - limit) }
    }

    /// What was said before a position, oldest first, no more than wished.
    func before(_ sequence: Int64, _ wish: HistoryWish) -> [JSONValue] {
        var chosen: [JSONValue] = []
        var bytes = 2
        for row in rows.reversed() where row.sequence < sequence {
            bytes += row.json.serialized.count + 1
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
            createdAt: view.createdAt?.string)
    }

    init(sequence: Int64, id: String, text: String, author: String, createdAt: String?) {
        self.sequence = sequence
        var object: [String: JSONValue] = [
            "id": .string(id), "seq": .int(sequence), "text": .string(text), "author": ["id": .string(author)],
        ]
        object["createdAt"] = createdAt.map { .string($0) }
        json = .object(object)
    }
}
