import CLibCurl

/// Scheme, host and port: who gets to see a credential.
public struct HTTPOrigin: Sendable, Hashable, CustomStringConvertible {
    /// `http` or `https`.
    public let scheme: String
    /// In lower case; an IPv6 address in brackets.
    public let host: String
    /// The port, the scheme's own where the URL names none.
    public let port: Int

    /// `host:port`, as errors name it.
    public var authority: String { "\(host):\(port)" }
    public var description: String { "\(scheme)://\(authority)" }
}

/// An absolute http or https URL without user information, as libcurl itself understands it: what is checked is what
/// is asked for. The fragment is dropped, dot segments are removed, spaces are percent-encoded.
public struct HTTPURL: Sendable, Hashable, CustomStringConvertible {
    /// The URL's text.
    public let text: String
    /// Its origin.
    public let origin: HTTPOrigin
    /// The path, at least `/`.
    public let path: String
    /// What follows the question mark.
    public let query: String?

    public var description: String { text }

    /// Throws `.badURL` with the reason; the text is not repeated in it, since it may carry a secret.
    public init(_ text: String) throws(HTTPTransferError) {
        try self.init(base: nil, text)
    }

    /// Resolves a reference (RFC 3986, 5) such as the value of a `Location` header.
    public func resolving(_ reference: String) throws(HTTPTransferError) -> HTTPURL {
        try HTTPURL(base: text, reference)
    }

    private init(base: String?, _ reference: String) throws(HTTPTransferError) {
        guard let handle = curl_url() else { throw HTTPTransferError(.other(code: 27), "out of memory") }
        defer { curl_url_cleanup(handle) }
        guard !reference.utf8.contains(0) else { throw HTTPTransferError(.badURL, "the URL contains a NUL byte") }
        // libcurl takes `http:///a` for `http://a`.
        guard !["http:///", "https:///"].contains(where: reference.lowercased().hasPrefix) else {
            throw HTTPTransferError(.badURL, "the URL has no host")
        }
        for part in [base, reference].compactMap({ $0 }) {
            let code = curl_url_set(handle, CURLUPART_URL, part, UInt32(CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME))
            guard code == CURLUE_OK else {
                throw HTTPTransferError(.badURL, "bad URL: " + String(cString: curl_url_strerror(code)))
            }
        }
        let scheme = Self.part(handle, CURLUPART_SCHEME)?.lowercased() ?? ""
        guard scheme == "http" || scheme == "https" else {
            throw HTTPTransferError(.badURL, "the URL's scheme must be http or https, not \(scheme.prefix(20))")
        }
        guard Self.part(handle, CURLUPART_USER) == nil, Self.part(handle, CURLUPART_PASSWORD) == nil else {
            throw HTTPTransferError(.badURL, "the URL must not contain user information")
        }
        guard let host = Self.part(handle, CURLUPART_HOST), !host.isEmpty,
            let port = Self.part(handle, CURLUPART_PORT, UInt32(CURLU_DEFAULT_PORT)).flatMap({ Int($0) })
        else { throw HTTPTransferError(.badURL, "the URL has no host or no valid port") }
        _ = curl_url_set(handle, CURLUPART_FRAGMENT, nil, 0)
        guard let text = Self.part(handle, CURLUPART_URL) else { throw HTTPTransferError(.badURL, "bad URL") }
        self.text = text
        self.origin = HTTPOrigin(scheme: scheme, host: host.lowercased(), port: port)
        self.path = Self.part(handle, CURLUPART_PATH) ?? "/"
        self.query = Self.part(handle, CURLUPART_QUERY)
    }

    private static func part(_ handle: OpaquePointer, _ part: CURLUPart, _ flags: UInt32 = 0) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(handle, part, &text, flags) == CURLUE_OK, let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }

    /// Percent-encodes everything but RFC 3986's unreserved characters: safe as one path segment or query value.
    public static func encode(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                out += hex.count == 1 ? "%0" + hex : "%" + hex
            }
        }
        return out
    }
}
