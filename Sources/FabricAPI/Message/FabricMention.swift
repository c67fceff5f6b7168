import JSONBytes

/// Who is mentioned in a message.
public enum FabricMention {
    /// The user ids, from the message's own list if it has one, else from the text. Each once, in order.
    public static func read(_ message: FabricMessageView) -> [String] {
        var found: [String] = []
        if let list = message.mentions, list.kind == .array {
            list.forEachElement { element in
                if let id = element.userId?.string, !found.contains(id) { found.append(id) }
                return true
            }
            return found
        }
        return message.content?.string.map(ids(in:)) ?? []
    }

    /// `<@userId>` outside of backtick spans; `<@user.name:…>` is not an id (the guild rewrites it before it stores it).
    public static func ids(in text: String) -> [String] {
        var found: [String] = []
        let bytes = Array(text.utf8)
        var at = 0
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "`") {
                at = endOfSpan(bytes, at)
            } else if bytes[at...].starts(with: "<@".utf8) {
                let id = bytes[(at + 2)...].prefix(while: isIdByte)
                if !id.isEmpty, id.endIndex < bytes.count, bytes[id.endIndex] == UInt8(ascii: ">") {
                    let name = String(decoding: id, as: UTF8.self)
                    if !found.contains(name) { found.append(name) }
                    at = id.endIndex
                }
                at += 1
            } else {
                at += 1
            }
        }
        return found
    }

    /// Past the run of as many backticks as began the span; without one, past the beginning only.
    private static func endOfSpan(_ bytes: [UInt8], _ start: Int) -> Int {
        let tick = UInt8(ascii: "`")
        let length = bytes[start...].prefix { $0 == tick }.count
        var at = start + length
        while at < bytes.count {
            guard bytes[at] == tick else {
                at += 1
                continue
            }
            let run = bytes[at...].prefix { $0 == tick }.count
            at += run
            if run == length { return at }
        }
        return start + length
    }

    private static func isIdByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
