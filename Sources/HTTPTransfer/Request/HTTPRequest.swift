/// A request's method.
public enum HTTPMethod: String, Sendable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
}

/// One header field of a request.
public struct HTTPHeader: Sendable, Equatable {
    /// The field's name; compared without regard to case.
    public var name: String
    /// The value; a line break in it is refused when the request starts.
    public var value: String
    /// A secret: like the bearer, it is dropped when a redirect leads to another origin.
    public var isSecret: Bool

    /// `isSecret` is implied for `Authorization`, `Cookie`, `Proxy-Authorization` and `X-Api-Key`.
    public init(_ name: String, _ value: String, isSecret: Bool = false) {
        self.name = name
        self.value = value
        self.isSecret =
            isSecret
            || ["authorization", "cookie", "proxy-authorization", "x-api-key"].contains(name.lowercased())
    }
}

/// What to ask of which server.
public struct HTTPRequest: Sendable {
    /// The method.
    public var method: HTTPMethod
    /// Absolute, `http` or `https`, without user information.
    public var url: String
    /// Header fields to send besides those libcurl makes (Host, Accept, User-Agent, Content-Length).
    public var headers: [HTTPHeader]
    /// The body, or nil for none. Not looked at by an upload, which has parts.
    public var body: [UInt8]?
    /// Sent as `Authorization: Bearer …` to the origin of ``url``, and to no other.
    public var bearer: String?
    /// How long each phase may take.
    public var deadlines: HTTPDeadlines
    /// The most bytes of a response's body that are kept in memory; one more ends the transfer with `.tooLarge`.
    public var maximumResponseBytes: Int
    /// Whether it may be sent again by itself, when a kept connection turns out dead after the request went out and
    /// before anything came back. Never for a POST unless you say so: the server may have acted on it.
    public var isRepeatable: Bool
    /// Nothing is sent to a server of the own network (loopback, private, link-local addresses): for URLs that
    /// strangers give. Checked on the address that is really connected to, on every hop; a proxy hides it.
    public var needsPublicAddress = false
    /// The one origin that ``needsPublicAddress`` does not concern, whatever its address: that of the server whose files are
    /// asked for. A redirect from it to anywhere else is judged.
    public var trustedOrigin: HTTPOrigin?
    /// Asked, from the transfers' thread, when there is a connection and the request is about to be sent on it: after
    /// whatever it had to wait for. If it says no, nothing is sent, and the transfer ends with `.cancelled`.
    public var mayBegin: (@Sendable () -> Bool)?

    /// - Parameters:
    ///   - deadlines: default ``HTTPDeadlines/request``.
    ///   - maximumResponseBytes: default 16 MiB, ours.
    ///   - isRepeatable: default: everything but POST and PATCH.
    public init(
        _ method: HTTPMethod = .get, _ url: String, headers: [HTTPHeader] = [], body: [UInt8]? = nil,
        bearer: String? = nil, deadlines: HTTPDeadlines = .request, maximumResponseBytes: Int = 16 << 20,
        isRepeatable: Bool? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.bearer = bearer
        self.deadlines = deadlines
        self.maximumResponseBytes = maximumResponseBytes
        self.isRepeatable = isRepeatable ?? (method != .post && method != .patch)
    }

    /// The fields to send, with the bearer among them. Throws what would let one field smuggle in another.
    func headerFields() throws(HTTPTransferError) -> [HTTPHeader] {
        var fields = headers
        if let bearer { fields.append(HTTPHeader("Authorization", "Bearer " + bearer)) }
        for field in fields {
            guard !field.name.isEmpty, field.name.utf8.allSatisfy(HTTPRequest.isTokenByte) else {
                throw HTTPTransferError(.badRequest, "the header name \(String(reflecting: field.name)) is not a token")
            }
            guard field.value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
                throw HTTPTransferError(
                    .badRequest, "the value of the header \(field.name) contains a control character")
            }
            guard !["content-length", "transfer-encoding", "expect"].contains(field.name.lowercased()) else {
                throw HTTPTransferError(.badRequest, "the header \(field.name) is not the caller's to set")
            }
        }
        return fields
    }

    /// RFC 9110, 5.6.2.
    static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default:
            "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}

/// Without headers, path and body: they may hold secrets.
extension HTTPRequest: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        "\(method.rawValue) \((try? HTTPURL(url).origin.description) ?? "(bad URL)")"
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["request": description]) }
}
