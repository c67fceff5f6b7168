/// Why a transfer did not come to an end with a response. A response with a 4xx or 5xx status is not an error.
public struct HTTPTransferError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The phase whose deadline ran out; see ``HTTPDeadlines``.
    public enum Phase: String, Sendable {
        case connect
        case firstByte
        case stall
        case total
    }

    /// What kind of failure.
    public enum Kind: Sendable, Equatable {
        /// Not an absolute http or https URL, or one with user information in it.
        case badURL
        /// The request cannot be sent as it is: a header with a line break, a part with a bad media type.
        case badRequest
        /// The name has no address, or the resolver did not answer.
        case resolve
        /// No connection to any address.
        case connect
        /// The TLS handshake failed, or the certificate is not to be trusted.
        case tls
        /// A deadline ran out.
        case timedOut(Phase)
        /// More than this many bytes came, or were announced.
        case tooLarge(limit: Int64)
        /// The connection broke, or ended early.
        case connectionLost(requestSent: Bool)
        /// What came back is not HTTP as it should be.
        case protocolViolation
        /// The server is in the own network, and ``HTTPRequest/needsPublicAddress`` was asked for.
        case privateAddress
        /// More than five redirects, or one that may not be followed.
        case redirect
        /// A file operation failed.
        case file(path: String, errno: Int32)
        /// A file that was being uploaded changed its size meanwhile.
        case fileChanged(path: String)
        /// The task was cancelled.
        case cancelled
        /// ``HTTPTransfer/shutdown()`` was called.
        case shutDown
        /// Another failure of libcurl, by its number.
        case other(code: Int)
    }

    /// What kind of failure.
    public var kind: Kind
    /// What happened, for the operator; without secrets and without the URL's path.
    public var message: String
    /// `host:port` of the server, where there is one.
    public var host: String?
    /// Whether the whole request may have reached the server. If so, nobody knows whether the server acted on it.
    public var requestSent: Bool

    /// An error; `requestSent` is that of the kind where the kind says it.
    public init(_ kind: Kind, _ message: String, host: String? = nil, requestSent: Bool = false) {
        self.kind = kind
        self.message = message
        self.host = host
        if case .connectionLost(let sent) = kind { self.requestSent = sent } else { self.requestSent = requestSent }
    }

    public var description: String {
        host.map { "\($0): \(message)" } ?? message
    }
}
