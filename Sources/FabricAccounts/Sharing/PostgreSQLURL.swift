/// A database's URL in its parts. Stricter than libpq: a password with a sign that is not escaped would be taken for
/// something else there, and shown as such.
struct PostgreSQLURL {
    typealias Fault = PostgreSQLAddress.Fault

    private(set) var servers: [PostgreSQLAddress.Server] = []
    private(set) var user = ""
    private(set) var password: String?
    private(set) var database = ""
    private(set) var parameters: [String: String] = [:]

    private static let form = "Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with signs in the password as %XX"

    /// What may follow the question mark. What changes where or as what libpq connects behind our back is not among it.
    private static let known: Set = [
        "host", "port", "user", "password", "dbname", "sslmode", "sslcert", "sslkey", "sslcrl",
        "ssl_min_protocol_version",
        "connect_timeout", "target_session_attrs", "keepalives", "keepalives_idle", "keepalives_interval",
        "keepalives_count", "tcp_user_timeout", "channel_binding", "gssencmode", "krbsrvname", "load_balance_hosts",
    ]

    init(_ text: String) throws(Fault) {
        guard let schemeEnd = text.firstRange(of: "://"),
            ["postgresql", "postgres"].contains(text[..<schemeEnd.lowerBound].lowercased()),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F })
        else { throw Fault(problem: "this is no database's address", remedy: Self.form) }
        let rest = text[schemeEnd.upperBound...]
        let question = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = question[0].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        try readAuthority(path[0])
        if path.count > 1 { database = try Self.decoded(path[1], isPlain: { $0 != 0x2F && $0 != 0x40 }) }
        if question.count > 1 { try readParameters(question[1]) }
        try complete()
    }

    private mutating func readAuthority(_ authority: Substring) throws(Fault) {
        let parts = authority.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count <= 2 else {
            throw Fault(problem: "there is more than one @ in it", remedy: "Write the @ in the password as %40")
        }
        if parts.count == 2 {
            let names = parts[0].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            user = try Self.decoded(names[0]) { $0 != 0x3A }
            if names.count > 1 { password = try Self.decoded(names[1]) { $0 != 0x3A } }
        }
        guard let hosts = parts.last, !hosts.isEmpty else { return }
        for host in hosts.split(separator: ",", omittingEmptySubsequences: false) {
            servers.append(try Self.server(host))
        }
    }

    private mutating func readParameters(_ text: Substring) throws(Fault) {
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard parts.count == 2, Self.known.contains(name) else {
                throw Fault(
                    problem: "a setting after the question mark is not known here",
                    remedy: "Possible: \(Self.known.sorted().joined(separator: ", "))")
            }
            guard parameters[name] == nil else {
                throw Fault(problem: "\(name) stands in it twice", remedy: "Remove one of them")
            }
            parameters[name] = try Self.decoded(parts[1]) { $0 != 0x40 }
        }
    }

    /// What may stand in both places is taken from one, and what is left out is said.
    private mutating func complete() throws(Fault) {
        if let hosts = parameters.removeValue(forKey: "host") {
            guard servers.isEmpty else { throw Fault(problem: "the host stands in it twice", remedy: Self.form) }
            for host in hosts.split(separator: ",", omittingEmptySubsequences: false) {
                servers.append(try Self.host(String(host), port: PostgreSQLAddress.usualPort))
            }
        }
        if let ports = parameters.removeValue(forKey: "port") {
            let numbers = ports.split(separator: ",", omittingEmptySubsequences: false)
            guard numbers.count == 1 || numbers.count == servers.count else {
                throw Fault(problem: "there are as many ports as hosts, or one", remedy: Self.form)
            }
            for index in servers.indices {
                servers[index].port = try Self.port(numbers[numbers.count == 1 ? 0 : index])
            }
        }
        if let name = parameters.removeValue(forKey: "user") { user = name }
        if let text = parameters.removeValue(forKey: "password") { password = text }
        if let name = parameters.removeValue(forKey: "dbname") { database = name }
        guard !servers.isEmpty else {
            throw Fault(
                problem: "no host stands in it",
                remedy: "Write HOST:PORT before the database, or ?host=/run/postgresql after it for a Unix socket")
        }
        guard !user.isEmpty else { throw Fault(problem: "no user stands in it", remedy: Self.form) }
        guard !database.isEmpty else { throw Fault(problem: "no database stands in it", remedy: Self.form) }
        guard !database.contains("="), !database.contains("://") else {
            // libpq would take it for another address.
            throw Fault(problem: "the database's name cannot be used", remedy: Self.form)
        }
    }

    private static func server(_ text: Substring) throws(Fault) -> PostgreSQLAddress.Server {
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else {
                throw Fault(problem: "a bracket in it is not closed", remedy: form)
            }
            let host = String(text[text.index(after: text.startIndex)..<end])
            let after = text[text.index(after: end)...]
            guard host.utf8.allSatisfy({ isHexadecimal($0) || $0 == 0x3A || $0 == 0x2E }), host.contains(":"),
                after.isEmpty || after.hasPrefix(":")
            else { throw Fault(problem: "the host in it cannot be one", remedy: form) }
            return .init(host: host, port: after.isEmpty ? PostgreSQLAddress.usualPort : try port(after.dropFirst()))
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { throw Fault(problem: "the host in it cannot be one", remedy: form) }
        let name = try decoded(parts[0])
        return try host(name, port: parts.count > 1 ? try port(parts[1]) : PostgreSQLAddress.usualPort)
    }

    private static func host(_ name: String, port: Int) throws(Fault) -> PostgreSQLAddress.Server {
        let isDirectory = name.hasPrefix("/")
        let isGood =
            isDirectory
            ? !name.contains(",") && !name.contains("\0")
            : !name.isEmpty
                && name.utf8.allSatisfy {
                    isHexadecimal($0) || (0x67...0x7A).contains($0 | 0x20) || [0x2D, 0x2E, 0x5F, 0x3A].contains($0)
                }
        guard isGood else { throw Fault(problem: "the host in it cannot be one", remedy: form) }
        return .init(host: name, port: port)
    }

    private static func port(_ text: Substring) throws(Fault) -> Int {
        guard let number = Int(text), (1...65_535).contains(number) else {
            throw Fault(problem: "the port in it is no number from 1 to 65535", remedy: form)
        }
        return number
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte | 0x20)
    }

    /// Undoes %XX. A byte that is not plain must have been written that way.
    private static func decoded(
        _ text: Substring, isPlain: (UInt8) -> Bool = { _ in true }
    ) throws(Fault) -> String {
        var bytes: [UInt8] = []
        var rest = Substring(text).utf8
        while let byte = rest.popFirst() {
            if byte == 0x25 {
                guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16),
                    value != 0
                else {
                    throw Fault(problem: "a % in it is not followed by two digits", remedy: "Write a % itself as %25")
                }
                rest = rest.dropFirst(2)
                bytes.append(value)
            } else {
                guard isPlain(byte) else { throw Fault(problem: "a sign in it must be escaped", remedy: form) }
                bytes.append(byte)
            }
        }
        guard let result = String(validating: bytes, as: UTF8.self) else {
            throw Fault(problem: "it is not UTF-8", remedy: form)
        }
        return result
    }
}
