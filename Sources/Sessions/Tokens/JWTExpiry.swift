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

    /// The times of a token. A vendor prefix before the header, ended by any character or by a dot, does not matter.
    /// Anything malformed gives nil.
    public static func times(of token: String) -> JWTTimes? {
        let text = Array(token.utf8)
        guard text.count <= longestToken else { return nil }
        let parts = text.split(separator: 0x2E, omittingEmptySubsequences: false)
        guard parts.count >= 3, parts.count <= 5, !parts[parts.count - 3].isEmpty else { return nil }
        guard let payload = Base64.decoded(parts[parts.count - 2], isForURLs: true) else { return nil }
        return payload.withUnsafeBytes { bytes -> JWTTimes? in
            guard (try? JSONBytes.validateWhole(bytes, maximumDepth: 32)) != nil else { return nil }
            let claims = JSONView(validated: bytes, start: 0, end: bytes.count)
            guard claims.kind == .object, let expiry = claims["exp"]?.double, expiry > 0 else { return nil }
            return JWTTimes(expiry: expiry, issued: claims["iat"]?.double)
        }
    }
}
