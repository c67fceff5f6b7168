import JSONBytes

/// Reads the times in a JWT. The signature is not looked at: the guild verifies, we only plan.
public struct JWTTimes: Sendable, Equatable {
    /// `exp`, seconds since 1970.
    public var expiry: Double
    /// `iat`, seconds since 1970, if it is there.
    public var issued: Double?

    public init(expiry: Double, issued: Double? = nil) {
        self.expiry = expiry
        self.issued = issued
    }
}

/// When a token says it expires.
public enum JWTExpiry {
    /// Longer texts are not looked at; a JWT of ours has under 2 KiB.
    static let longestToken = 16 * 1024

    /// The `exp` of a token in seconds since 1970; nil if it is no JWT or has none.
    public static func expiry(of token: String) -> Double? { times(of: token)?.expiry }

    /// The times of a token. A vendor prefix before the header, ended by any character or by a dot, does not matter.
    /// Anything malformed gives nil.
    public static func times(of token: String) -> JWTTimes? {
        let text = Array(token.utf8)
        guard text.count <= longestToken else { return nil }
        let parts = text.split(separator: 0x2E, omittingEmptySubsequences: false)
        guard parts.count >= 3, parts.count <= 5, !parts[parts.count - 3].isEmpty else { return nil }
        guard let payload = decodeBase64URL(parts[parts.count - 2]) else { return nil }
        return payload.withUnsafeBytes { bytes -> JWTTimes? in
            guard (try? JSONBytes.validateWhole(bytes, maximumDepth: 32)) != nil else { return nil }
            let claims = JSONView(validated: bytes, start: 0, end: bytes.count)
            guard claims.kind == .object, let expiry = claims["exp"]?.double, expiry > 0 else { return nil }
            return JWTTimes(expiry: expiry, issued: claims["iat"]?.double)
        }
    }

    /// Base64 with the URL alphabet (RFC 4648, section 5), padding optional; nil if malformed.
    static func decodeBase64URL(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var text = text
        while text.last == 0x3D { text.removeLast() }
        guard text.count % 4 != 1 else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count * 3 / 4)
        var bits: UInt32 = 0
        var held = 0
        for byte in text {
            let value: UInt8
            switch byte {
            case 0x41...0x5A: value = byte - 0x41
            case 0x61...0x7A: value = byte - 0x61 + 26
            case 0x30...0x39: value = byte - 0x30 + 52
            case 0x2D, 0x2B: value = 62
            case 0x5F, 0x2F: value = 63
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
