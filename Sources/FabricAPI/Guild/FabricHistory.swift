import JSONBytes

/// A stretch of a channel's messages.
public struct FabricHistory: Sendable {
    /// One message, with its JSON text.
    public struct Row: Sendable {
        public let id: String
        public let seq: Int64?
        /// The message object as the server wrote it; valid JSON.
        public let json: [UInt8]

        /// Reads the message; the view is good inside `body` only.
        public func withMessage<Result>(_ body: (FabricMessageView) throws -> Result) rethrows -> Result? {
            try json.withUnsafeBytes { bytes in
                try FabricMessageView(JSONView(validated: bytes, start: 0, end: bytes.count)).map(body)
            }
        }
    }

    /// Ascending by position, whatever order they came in; those without one first, as they came. Each message once.
    public let messages: [Row]
    /// Entries that were no message objects.
    public let skipped: Int
    /// What else the answer said at its top, how it goes on, say; empty for a mere list.
    public let rest: [String: JSONValue]

    init(messages: [Row], skipped: Int, rest: [String: JSONValue] = [:]) {
        self.messages = messages
        self.skipped = skipped
        self.rest = rest
    }

    /// There are messages in it that were not asked for: the guild did not understand the question.
    func isOutside(from: Int64?, to: Int64?) -> Bool {
        messages.contains { row in row.seq.map { $0 < from ?? .min || $0 > to ?? .max } ?? false }
    }

    /// Nil if there is no list of messages in it.
    init?(reading body: [UInt8]) throws(JSONSyntaxError) {
        let result = body.withUnsafeBytes { bytes -> Result<FabricHistory?, JSONSyntaxError> in
            Result { () throws(JSONSyntaxError) in try FabricHistory.read(bytes) }
        }
        guard let history = try result.get() else { return nil }
        self = history
    }

    private static func read(_ bytes: UnsafeRawBufferPointer) throws(JSONSyntaxError) -> FabricHistory? {
        guard bytes.contains(where: { $0 > 0x20 }) else { return FabricHistory(messages: [], skipped: 0) }
        let end = try JSONBytes.validate(bytes)
        guard bytes[end...].allSatisfy({ $0 <= 0x20 }) else {
            throw JSONSyntaxError(offset: end, reason: .trailingBytes)
        }
        let whole = JSONView(validated: bytes, start: 0, end: end)
        if whole.isNull { return FabricHistory(messages: [], skipped: 0) }
        guard let list = list(whole, 3) else { return nil }
        var rows: [Row] = []
        var seen: Set<String> = []
        var skipped = 0
        list.forEachElement { element in
            guard let message = FabricMessageView(element),
                let id = message.id.string ?? message.id.int64.map(String.init)
            else {
                skipped += 1
                return true
            }
            if seen.insert(id).inserted {
                rows.append(Row(id: id, seq: message.seq, json: Array(element.rawBytes)))
            }
            return true
        }
        // Stable: an index decides between equals.
        let order = rows.indices.sorted {
            let (one, other) = (rows[$0].seq ?? .min, rows[$1].seq ?? .min)
            return one == other ? $0 < $1 : one < other
        }
        return FabricHistory(messages: order.map { rows[$0] }, skipped: skipped, rest: rest(of: whole))
    }

    /// Small things only: the messages themselves are read already.
    private static func rest(of whole: JSONView) -> [String: JSONValue] {
        guard whole.kind == .object else { return [:] }
        var rest: [String: JSONValue] = [:]
        whole.forEachMember { key, value in
            if value.kind != .array, value.rawBytes.count <= 1024, let name = key.string {
                rest[name] = try? JSONValue(parsing: Array(value.rawBytes))
            }
            return true
        }
        return rest
    }

    private static func list(_ view: JSONView, _ depth: Int) -> JSONView? {
        if view.kind == .array { return view }
        guard depth > 0, view.kind == .object else { return nil }
        for key in FabricSpelling.listEnvelopes {
            if let inner = view[key], let found = list(inner, depth - 1) { return found }
        }
        return nil
    }
}
