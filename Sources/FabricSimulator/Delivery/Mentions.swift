/// Reads the mentions of a message text: `<@userId>` and `<@user.name:NAME>`, both ignored inside backtick spans.
enum Mentions {
    enum Mention: Equatable, Sendable {
        case user(String)
        case name(String)
    }

    /// The text cut into what is plain and what is a mention, in order; joining the pieces gives the text again.
    enum Piece: Equatable, Sendable {
        case text(String)
        case mention(Mention)
    }

    static func pieces(of text: String) -> [Piece] {
        let characters = Array(text.utf8)
        var pieces: [Piece] = []
        var plain: [UInt8] = []
        var index = 0
        func flush() {
            if !plain.isEmpty {
                pieces.append(.text(String(decoding: plain, as: UTF8.self)))
                plain.removeAll()
            }
        }
        while index < characters.count {
            let byte = characters[index]
            if byte == UInt8(ascii: "`") {
                let run = runLength(characters, from: index)
                // An opening run without a closing one of the same length is plain text, as in Markdown.
                let end = closing(characters, run: run, from: index + run) ?? index + run
                plain.append(contentsOf: characters[index..<end])
                index = end
            } else if byte == UInt8(ascii: "<"), let (mention, end) = mention(characters, from: index) {
                flush()
                pieces.append(.mention(mention))
                index = end
            } else {
                plain.append(byte)
                index += 1
            }
        }
        flush()
        return pieces
    }

    /// Mentioned user ids, each once, in order of appearance.
    static func users(in text: String) -> [String] {
        var seen: Set<String> = []
        return pieces(of: text).compactMap { piece in
            guard case .mention(.user(let id)) = piece, seen.insert(id).inserted else { return nil }
            return id
        }
    }

    /// The text with every `<@user.name:NAME>` that `resolve` knows rewritten to `<@userId>`.
    static func rewritingNames(in text: String, resolve: (String) -> String?) -> String {
        pieces(of: text).map { piece in
            switch piece {
            case .text(let plain): plain
            case .mention(.user(let id)): "<@\(id)>"
            case .mention(.name(let name)): resolve(name).map { "<@\($0)>" } ?? "<@user.name:\(name)>"
            }
        }.joined()
    }

    private static func runLength(_ bytes: [UInt8], from start: Int) -> Int {
        var end = start
        while end < bytes.count, bytes[end] == UInt8(ascii: "`") { end += 1 }
        return end - start
    }

    private static func closing(_ bytes: [UInt8], run: Int, from start: Int) -> Int? {
        var index = start
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "`") {
                let length = runLength(bytes, from: index)
                index += length
                if length == run { return index }
            } else {
                index += 1
            }
        }
        return nil
    }

    private static func mention(_ bytes: [UInt8], from start: Int) -> (Mention, Int)? {
        guard start + 2 < bytes.count, bytes[start + 1] == UInt8(ascii: "@"),
            let end = bytes[(start + 2)...].firstIndex(of: UInt8(ascii: ">")), end > start + 2
        else { return nil }
        let inner = String(decoding: bytes[(start + 2)..<end], as: UTF8.self)
        if inner.hasPrefix("user.name:") {
            return (.name(String(inner.dropFirst("user.name:".count))), end + 1)
        }
        guard inner.utf8.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: "<") }) else { return nil }
        return (.user(inner), end + 1)
    }
}
