/// The entries of a cache by agent. Each is held by a reference: an entry is half a kilobyte long, and a dictionary keeps
/// room for up to twice as many values as it has.
struct EntryTable: Sequence {
    private final class Box: Sendable {
        let entry: SessionEntry

        init(_ entry: SessionEntry) { self.entry = entry }
    }

    private var boxes: [String: Box] = [:]

    var count: Int { boxes.count }
    var isEmpty: Bool { boxes.isEmpty }
    var values: [SessionEntry] { boxes.values.map(\.entry) }

    subscript(_ agent: String) -> SessionEntry? {
        get { boxes[agent]?.entry }
        set { boxes[agent] = newValue.map { Box($0) } }
    }

    mutating func removeAll() { boxes = [:] }

    func makeIterator() -> AnyIterator<(key: String, value: SessionEntry)> {
        var rest = boxes.makeIterator()
        return AnyIterator { rest.next().map { ($0.key, $0.value.entry) } }
    }
}
