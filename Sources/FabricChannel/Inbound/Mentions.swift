import Glibc
import JSONBytes

/// A quick look for mentions in a message's text, before `FabricMention` reads them properly.
enum Mentions {
    /// Whether the text may hold a mention. Says yes too often, never no wrongly: in an escaped string the bracket may
    /// stand as `\\u003c`.
    @inline(__always)
    static func mayContain(_ text: JSONView) -> Bool {
        guard let bytes = text.stringBytes, let base = bytes.baseAddress else { return false }
        return text.isEscaped || memchr(base, 0x3C, bytes.count) != nil
    }
}
