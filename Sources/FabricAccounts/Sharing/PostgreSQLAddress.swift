import Settings

/// A database's address, taken apart and judged: what is connected to is exactly what was looked at here, with nothing left
/// for libpq to guess. Its text shows no password.
public struct PostgreSQLAddress: Sendable, Equatable, CustomStringConvertible {
    /// What is wrong with an address; never a part of it.
    public struct Fault: Error, Sendable, Equatable {
        public var problem: String
        public var remedy: String
    }

    /// One of the servers that are tried in their order.
    public struct Server: Sendable, Equatable {
        /// A name, an address, or the directory of a Unix socket.
        public var host: String
        public var port: Int

        public init(host: String, port: Int) {
            self.host = host
            self.port = port
        }

        /// Whether what is sent stays on this machine.
        public var isLocal: Bool {
            host.hasPrefix("/") || host == "localhost" || host == "::1" || PostgreSQLAddress.isLoopback(host)
        }
    }

    public let servers: [Server]
    public let database: String
    public let user: String
    /// Whether the server's certificate is checked; where it is not, the connection stays on this machine.
    public let isVerified: Bool
    /// libpq's keywords and their values, for `PQconnectdbParams`; the password among them.
    public let keywords: [Keyword]

    /// One of libpq's settings.
    public struct Keyword: Sendable, Equatable {
        public let name: String
        public let value: Secret
    }

    /// Server, database and user, for messages.
    public var description: String {
        let places = servers.map { server in
            let host = server.host.contains(":") ? "[\(server.host)]" : server.host
            return server.port == Self.usualPort ? host : "\(host):\(server.port)"
        }
        return "PostgreSQL database \(database) at \(places.joined(separator: ", ")) as \(user)"
    }

    /// Judges an address written as `postgresql://user:password@host:port/database?…`.
    /// - Parameter certificateAuthorityFile: whom to trust instead of the system's authorities.
    /// - Throws: `Fault` if it cannot be used, or would send what it carries to anybody who answers.
    public init(_ url: Secret, certificateAuthorityFile: String? = nil) throws(Fault) {
        let parts = try PostgreSQLURL(url.reveal())
        servers = parts.servers
        database = parts.database
        user = parts.user
        let isLocal = servers.allSatisfy(\.isLocal)
        let mode = parts.parameters["sslmode"]
        isVerified = try Self.verifies(mode, isLocal: isLocal, certificateAuthorityFile)
        var values = parts.parameters.filter { $0.key != "sslmode" }
        values["host"] = servers.map(\.host).joined(separator: ",")
        values["port"] = servers.map { String($0.port) }.joined(separator: ",")
        values["dbname"] = database
        values["user"] = user
        values["password"] = parts.password
        values["sslmode"] = mode ?? (isLocal ? "prefer" : "verify-full")
        if isVerified { values["sslrootcert"] = certificateAuthorityFile ?? Self.systemAuthorities }
        keywords = values.sorted { $0.key < $1.key }.map { Keyword(name: $0.key, value: Secret($0.value)) }
    }

    private static func verifies(
        _ mode: String?, isLocal: Bool, _ authorities: String?
    ) throws(Fault) -> Bool {
        switch mode {
        case "verify-full": return true
        case nil: return !isLocal
        case "verify-ca":
            // Anybody gets a certificate of some name from the system's authorities.
            if isLocal || authorities != nil { return true }
            throw Fault(
                problem:
                    "sslmode=verify-ca with the system's authorities lets any server with a certificate be the database",
                remedy: "Write sslmode=verify-full, or name the database's own authority in certificateAuthorityFile")
        case "disable", "allow", "prefer", "require":
            if isLocal { return false }
            throw Fault(
                problem: "the database is on another machine, and sslmode=\(mode ?? "") does not check who answers",
                remedy: "Leave sslmode out or write sslmode=verify-full; "
                    + "for a certificate of your own name its authority in certificateAuthorityFile")
        default:
            throw Fault(
                problem: "sslmode has a value that is not known",
                remedy: "Leave it out, or write verify-full; on this machine also disable, prefer, require or verify-ca"
            )
        }
    }

    static let usualPort = 5432

    /// libpq before version 16 cannot be told to take the system's authorities but by their file.
    private static let systemAuthorities = "/etc/ssl/certs/ca-certificates.crt"

    fileprivate static func isLoopback(_ host: String) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
