/// The header fields of a response, in the order they came.
public struct HTTPHeaders: Sendable, Equatable {
    /// Name and value as the server spelled them.
    public struct Field: Sendable, Equatable {
        public var name: String
        public var value: String
    }

    /// All fields, repeated ones included.
    public internal(set) var fields: [Field] = []

    /// The first value of a field; names are compared without regard to case.
    public subscript(_ name: String) -> String? {
        let wanted = name.lowercased()
        return fields.first { $0.name.lowercased() == wanted }?.value
    }
}

/// What the server answered.
public struct HTTPResponse: Sendable {
    /// The status code, e.g. 200.
    public var status: Int
    /// The header fields.
    public var headers: HTTPHeaders
    /// The body as sent: nothing is decompressed.
    public var body: [UInt8]
    /// `Retry-After`, in seconds or as a date, from now; from nothing to one day. Nil if the server gave none.
    public var retryAfter: Duration?
    /// The URL that answered.
    public var effectiveURL: String

    /// A status of the 200s.
    public var isSuccess: Bool { (200..<300).contains(status) }
}

/// What became of a download.
public struct HTTPDownload: Sendable {
    /// The last response. Its body is empty if the file is complete, else the first 64 KiB of what the server said.
    public var response: HTTPResponse
    /// Whether the file is at its place, complete: the status was one of the 200s.
    public var isComplete: Bool
    /// Bytes written to the file; 0 if it is not complete.
    public var bytes: Int64
    /// Whether the bearer and the secret headers went with the last request: false after a redirect to another origin.
    public var sentCredentials: Bool
}
