import Foundation

/// Makes the text of tokens and keys.
enum TokenText {
    /// base64url without padding.
    static func base64URL(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString()
            .replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }

    static func random(bytes count: Int) -> String {
        base64URL((0..<count).map { _ in UInt8.random(in: 0...255) })
    }

    /// Looks like an HS256 JWT. The signature is random: guilds ask the Center about a token, nobody verifies it.
    static func jwt(claims: [String: any Sendable]) -> String {
        let header = base64URL(#"{"alg":"HS256","typ":"JWT"}"#.utf8)
        return "\(header).\(base64URL(JSONText.bytes(claims))).\(random(bytes: 32))"
    }
}
