/// Makes a server's words fit to be shown: no secrets, no control characters, not too long.
enum Redaction {
    /// The most that is kept of a server's words, in characters.
    static let maximumCharacters = 300
    /// How many bytes of a server's words are looked at.
    private static let maximumBytes = 8 << 10
    /// What is shown of a secret.
    private static let shown = 8

    /// - Parameter secrets: what must not be shown whatever it looks like; each is cut to its first 8 characters.
    static func clean(_ text: String, secrets: [String]) -> String {
        var words = String(decoding: text.utf8.prefix(maximumBytes), as: UTF8.self)
        for secret in secrets where secret.utf8.count > shown {
            words = replace(secret, in: words)
        }
        words = cutTokens(words)
        var out = ""
        var isSpace = true
        for scalar in words.unicodeScalars {
            let blank = scalar.properties.isWhitespace || scalar.properties.generalCategory == .control
            if blank {
                if !isSpace { out.unicodeScalars.append(" ") }
            } else {
                out.unicodeScalars.append(scalar)
            }
            isSpace = blank
        }
        if out.last == " " { out.removeLast() }
        return out.count > maximumCharacters ? out.prefix(maximumCharacters - 1) + "…" : out
    }

    private static func replace(_ secret: String, in text: String) -> String {
        var out: [UInt8] = []
        let bytes = Array(text.utf8)
        let wanted = Array(secret.utf8)
        var at = 0
        while at < bytes.count {
            if bytes[at] == wanted[0], bytes[at...].starts(with: wanted) {
                out += wanted.prefix(shown) + "…".utf8
                at += wanted.count
            } else {
                out.append(bytes[at])
                at += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Whatever looks like a JWT (`eyJ…`) or an agent's key (`fak_…`), wherever it stands.
    private static func cutTokens(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count)
        var at = 0
        while at < bytes.count {
            let rest = bytes[at...]
            guard rest.starts(with: "eyJ".utf8) || rest.starts(with: "fak_".utf8) else {
                out.append(bytes[at])
                at += 1
                continue
            }
            let length = rest.prefix(while: isTokenByte).count
            out += rest.prefix(min(length, shown))
            if length > shown { out += "…".utf8 }
            at += length
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
            UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="):
            true
        default: false
        }
    }
}
