/// Bytes as a text carries them: base64 (RFC 4648), without Foundation.
public enum Base64 {
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// The text of the bytes, with padding.
    public static func encoded(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let padded = group + Array(repeating: 0, count: 3 - group.count)
            let word = padded.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            for place in 0..<4 {
                let letter = letters[Int(word >> UInt32(18 - 6 * place)) & 63]
                text.append(place <= group.count ? letter : 0x3D)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes of a text; padding is optional. nil if it is malformed.
    /// - Parameter isForURLs: whether `-` and `_` are letters too (section 5).
    public static func decoded(_ text: some BidirectionalCollection<UInt8>, isForURLs: Bool = false) -> [UInt8]? {
        var text = text[...]
        while text.last == 0x3D { text.removeLast() }
        let count = text.count
        guard count % 4 != 1 else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(count * 3 / 4)
        var bits: UInt32 = 0
        var held = 0
        for byte in text {
            let value: UInt8
            switch byte {
            case 0x41...0x5A: value = byte - 0x41
            case 0x61...0x7A: value = byte - 0x61 + 26
            case 0x30...0x39: value = byte - 0x30 + 52
            case 0x2B: value = 62
            case 0x2F: value = 63
            case 0x2D where isForURLs: value = 62
            case 0x5F where isForURLs: value = 63
            default: return nil
            }
            bits = bits << 6 | UInt32(value)
            held += 6
            if held >= 8 {
                held -= 8
                result.append(UInt8(truncatingIfNeeded: bits >> UInt32(held)))
            }
        }
        return result
    }
}
