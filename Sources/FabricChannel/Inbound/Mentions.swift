/// A quick look for mentions in a message's text, before `FabricMention` reads them properly.
enum Mentions {
    /// Whether the (still escaped) text may hold a mention. Says yes too often, never no wrongly: `<` or `@` may stand
    /// there as an escape.
    @inline(__always)
    static func mayContain(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let base = text.baseAddress else { return false }
        var at = 0
        // A JSON escape (\u003c) hides the bracket, so a backslash before 'u' counts too.
        while at + 16 <= text.count {
            let block = (base + at).loadUnaligned(as: SIMD16<UInt8>.self)
            if any(block .== 0x3C .| block .== 0x5C) { return true }
            at += 16
        }
        while at < text.count {
            if text[at] == 0x3C || text[at] == 0x5C { return true }
            at += 1
        }
        return false
    }
}
