import Locking

/// The settings that new connections are made with.
final class CurrentSettings: Sendable {
    private let settings: Locked<PostgreSQLSettings>

    init(_ settings: PostgreSQLSettings) { self.settings = Locked(settings) }

    var value: PostgreSQLSettings { settings.withLock { $0 } }
    func change(to new: PostgreSQLSettings) { settings.withLock { $0 = new } }
}

/// Which database, and where in it.
public struct PostgreSQLSettings: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// libpq's keywords and their values, as `PQconnectdbParams` takes them; the password among them.
    public var keywords: [String: String]
    /// Database, server and user, for messages; holds no secret.
    public var place: String
    /// Where the tables are in the database: small letters, digits and `_`.
    public var schema: String

    public init(keywords: [String: String], place: String, schema: String = "fabric") {
        self.keywords = keywords
        self.place = place
        self.schema = schema
    }

    public var description: String { "\(place), schema \(schema)" }
    public var customMirror: Mirror { Mirror(self, children: ["place": place, "schema": schema]) }

    /// What is said to libpq: the caller's keywords, and what makes a database noticed that has vanished.
    func connectionKeywords(name: String) throws(PostgreSQLFailure) -> [String: String] {
        try check()
        var all = [
            "connect_timeout": "5", "keepalives": "1", "keepalives_idle": "5", "keepalives_interval": "2",
            "keepalives_count": "3", "tcp_user_timeout": "10000", "target_session_attrs": "read-write",
        ]
        for (keyword, value) in keywords { all[keyword] = value }
        all["application_name"] = name
        all["client_encoding"] = "UTF8"
        return all
    }

    /// Who made the keywords should have seen to this; what is sent to anybody who answers cannot be taken back.
    private func check() throws(PostgreSQLFailure) {
        let isPlain = schema.utf8.allSatisfy { 0x61...0x7A ~= $0 || 0x30...0x39 ~= $0 || $0 == 0x5F }
        guard isPlain, let first = schema.utf8.first, 0x61...0x7A ~= first, schema.utf8.count <= 63 else {
            throw PostgreSQLFailure(
                .settings, problem: "\"\(schema.prefix(80))\" cannot be a schema here",
                advice: "write small letters, digits and _, and begin with a letter")
        }
        let hosts = (keywords["host"] ?? "").split(separator: ",", omittingEmptySubsequences: false)
        let isLocal = hosts.allSatisfy {
            $0.isEmpty || $0.hasPrefix("/") || $0 == "localhost" || $0 == "::1" || $0.hasPrefix("127.")
        }
        let mode = keywords["sslmode"] ?? ""
        guard isLocal || mode == "verify-full" || mode == "verify-ca" && keywords["sslrootcert"] != nil else {
            throw PostgreSQLFailure(
                .settings, problem: "the database is on another machine, and its certificate would not be checked",
                advice: "leave sslmode out or write sslmode=verify-full")
        }
    }
}
