extension SocketIOClient {
    /// Whom to connect to, and how.
    public struct Configuration: Sendable {
        /// Name or numeric address of the server, without brackets.
        public let host: String
        /// TCP port of the server; 80 or 443 where the URL names none.
        public let port: Int
        /// TLS with verification, which cannot be turned off. A numeric address must be among the certificate's
        /// IP addresses, a name among its DNS names.
        public let isSecure: Bool
        /// Engine.IO's path on the server.
        public var path = "/socket.io/"
        /// Further `name=value` pairs for the query, already percent-encoded.
        public var query: [(name: String, value: String)] = []
        /// `/` or `/name`.
        public var namespace = "/"
        /// Headers of the upgrade request. Sent to the server alone; redirects are not followed.
        public var extraHeaders: [(name: String, value: String)] = []
        /// PEM file of the certificate authorities to trust *instead of* the system's.
        public var certificateAuthorityFile: String?
        /// Whether to connect again after a loss.
        public var reconnects = true
        /// How long is waited between attempts.
        public var backoff = SocketIOBackoff.Configuration()
        /// How long each step may take.
        public var timeouts = Timeouts()
        /// What the server may ask of us.
        public var limits = PacketDecoder.Limits()
        /// Bytes that may wait to be written; more makes ``SocketIOClient/emit(_:_:)`` throw.
        public var maximumQueuedBytes = 16 * 1024 * 1024

        /// - Parameter url: `http`, `https`, `ws` or `wss`, a host, perhaps a port; no path, no user.
        /// - Throws: ``SocketIOError/invalidArgument(_:)`` that says what is wrong with the URL.
        public init(url: String) throws(SocketIOError) {
            let parsed = try ServerAddress(url)
            host = parsed.host
            port = parsed.port
            isSecure = parsed.isSecure
        }
    }

    /// How long each step may take.
    public struct Timeouts: Sendable {
        /// The auth callback.
        public var authentication: Duration = .seconds(60)
        /// Looking the name up.
        public var resolve: Duration = .seconds(10)
        /// TCP, over all addresses together.
        public var connect: Duration = .seconds(10)
        /// The TLS handshake.
        public var tls: Duration = .seconds(10)
        /// The server's answer to the WebSocket upgrade.
        public var upgrade: Duration = .seconds(10)
        /// The server's first packet.
        public var open: Duration = .seconds(10)
        /// The namespace's acceptance.
        public var namespace: Duration = .seconds(10)
        /// Between a packet and its last attachment.
        public var attachments: Duration = .seconds(30)
        /// A graceful disconnect.
        public var close: Duration = .seconds(2)

        public init() {}
    }
}

/// The parts of a server's URL.
struct ServerAddress: Equatable {
    var host: String
    var port: Int
    var isSecure: Bool

    init(_ url: String) throws(SocketIOError) {
        func wrong(_ what: String) -> SocketIOError { .invalidArgument("server URL \"\(url.prefix(200))\": \(what)") }
        guard let separator = url.firstRange(of: "://") else { throw wrong("no scheme; write https://host") }
        switch url[..<separator.lowerBound].lowercased() {
        case "http", "ws": isSecure = false
        case "https", "wss": isSecure = true
        default: throw wrong("the scheme must be http, https, ws or wss")
        }
        var rest = url[separator.upperBound...]
        if rest.last == "/" { rest = rest.dropLast() }
        guard rest.allSatisfy({ $0.isASCII && !$0.isWhitespace && $0 != "\0" }) else {
            throw wrong("only printable ASCII is allowed in a host")
        }
        guard !rest.contains("@") else { throw .invalidArgument("server URL: user and password are not allowed in it") }
        guard !rest.contains(where: { "/?#".contains($0) }) else {
            throw wrong("only scheme, host and port; path and namespace are settings of their own")
        }
        var name = rest
        var portText: Substring?
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { throw wrong("a bracket is not closed") }
            name = rest[rest.index(after: rest.startIndex)..<end]
            let after = rest[rest.index(after: end)...]
            if !after.isEmpty {
                guard after.first == ":" else { throw wrong("unexpected text after the address") }
                portText = after.dropFirst()
            }
        } else if let colon = rest.lastIndex(of: ":") {
            name = rest[..<colon]
            portText = rest[rest.index(after: colon)...]
        }
        guard !name.isEmpty, name.utf8.count <= 253 else { throw wrong("no host") }
        guard rest.first == "[" || !name.contains(":") else { throw wrong("an IPv6 address needs brackets") }
        host = String(name)
        port = isSecure ? 443 : 80
        if let portText {
            guard let number = Int(portText), (1...65535).contains(number) else {
                throw wrong("the port must be a number from 1 to 65535")
            }
            port = number
        }
    }
}
