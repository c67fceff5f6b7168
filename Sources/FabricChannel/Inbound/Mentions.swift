import FabricAPI
import Glibc

/// Who a message mentions: those the guild lists, and those its text names.
enum Mentions {
    /// Whether there may be a mention. Says yes too often, never no wrongly: in an escaped string the bracket may stand as
    /// `\\u003c`.
    @inline(__always)
    static func mayBe(in view: FabricMessageView) -> Bool {
        if let listed = view.mentions, listed.rawBytes.count > 2 { return true }
        guard let text = view.content, let bytes = text.stringBytes, let base = bytes.baseAddress else { return false }
        return text.isEscaped || memchr(base, 0x3C, bytes.count) != nil
    }

    /// The ids, each once.
    static func ids(in view: FabricMessageView) -> [String] {
        var found = FabricMention.read(view)
        for id in FabricMention.ids(in: view.content?.string ?? "") where !found.contains(id) { found.append(id) }
        return found
    }
}
