import JSONBytes

/// What connection state recovery needs: the private session id the server gave, and the offset of the last event.
struct RecoveryMemory {
    private(set) var id: String?
    private(set) var offset: [UInt8] = []

    var isOffered: Bool { id != nil }

    /// Offsets are short strings; a longer last argument is none and would only cost memory.
    private static let longestOffset = 256

    /// Notes the offset of an event, as it stands between its quotes.
    mutating func note(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= Self.longestOffset else { return }
        offset.removeAll(keepingCapacity: true)
        offset.append(contentsOf: bytes)
    }

    /// The namespace accepted; true if it is the session we had before.
    mutating func joined(_ newID: String?) -> Bool {
        let recovered = newID != nil && newID == id
        if !recovered { offset.removeAll() }
        id = newID
        return recovered
    }

    /// The auth payload with `pid` and `offset` in front, if there is something to recover. Members of
    /// `payload` come later and so win over them, as in the official client.
    func merged(into payload: [UInt8]?) -> [UInt8]? {
        guard let id, !offset.isEmpty else { return payload }
        var writer = JSONWriter(capacity: 64 + offset.count + (payload?.count ?? 0))
        writer.beginObject()
        writer.key("pid")
        writer.string(id)
        writer.key("offset")
        writer.raw([0x22] + offset + [0x22])
        payload?.withUnsafeBytes { bytes in
            JSONView(validated: bytes, start: 0, end: bytes.count).forEachMember { key, value in
                writer.key(key.string ?? "")
                writer.raw(value.rawBytes)
                return true
            }
        }
        writer.endObject()
        return writer.bytes
    }
}
