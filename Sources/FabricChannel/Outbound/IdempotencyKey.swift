/// The key that a message is posted with: the same each time, so that the guild recognises a repeat.
enum IdempotencyKey {
    /// Unique per account and message, and fit for a header whatever the ids hold.
    static func of(_ entry: String) -> String {
        var key = "gw-"
        for byte in entry.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x2F, 0x23, 0x3A:
                key.append(Character(Unicode.Scalar(byte)))
            default: key += "_" + String(byte, radix: 16)
            }
        }
        return key.utf8.count <= 200 ? key : "gw-" + stableHash(key)
    }

    private static func stableHash(_ text: String) -> String {
        // FNV-1a twice with different offsets: 128 bits that are the same in every process.
        var a: UInt64 = 0xcbf2_9ce4_8422_2325
        var b: UInt64 = 0x9ae1_6a3b_2f90_404f
        for byte in text.utf8 {
            a = (a ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
            b = (b ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 &+ 1
        }
        return String(a, radix: 16) + String(b, radix: 16)
    }
}
