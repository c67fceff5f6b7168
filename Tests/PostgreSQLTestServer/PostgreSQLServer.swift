import Foundation

/// A PostgreSQL server of a test's own: as an unprivileged user, in a directory of its own below /tmp, on a Unix socket.
///
/// It ends with its object, and when the process that made it dies in whatever way. Nothing is synced to the disk unless
/// asked for: what a test kills is processes, not machines.
package final class PostgreSQLServer: Sendable {
    /// Why no server can be had on this machine; nil: one can.
    package static let unavailability: String? = PostgreSQLPrograms.found == nil ? PostgreSQLPrograms.advice : nil
    package static var isAvailable: Bool { unavailability == nil }

    /// How a server ends.
    package enum Ending: String, Sendable {
        /// Connections are ended, everything is written.
        case fast
        /// As if its processes had been killed; the next start recovers.
        case immediate
    }

    /// The certificate and the key of a server that speaks TLS, PEM files.
    package struct Certificate: Sendable {
        package var certificate: String
        package var key: String

        package init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// Where the socket and the data are.
    package let directory: String
    /// The port on 127.0.0.1, and the number in the socket's name.
    package let port: Int
    private let programs: PostgreSQLPrograms
    private let options: [String]
    /// As long as it is open, the watcher waits.
    private let lifeline: Lifeline

    /// Makes a server and starts it: about a second.
    /// - Parameters:
    ///   - settings: Of postgresql.conf, by name.
    ///   - listensOnTCP: On 127.0.0.1 too; passwords are asked for there.
    ///   - certificate: Speak TLS on TCP.
    package init(
        settings: [String: String] = [:], listensOnTCP: Bool = false, certificate: Certificate? = nil
    ) throws {
        guard let programs = PostgreSQLPrograms.found else { throw Problem(PostgreSQLPrograms.advice) }
        self.programs = programs
        directory = try programs.makeDirectory()
        lifeline = try programs.watch(directory)
        try programs.run(
            "initdb",
            [
                "-D", directory + "/data", "-U", "postgres", "-A", "trust", "--auth-host=scram-sha-256",
                "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions",
            ])
        var fixed = [
            "unix_socket_directories": directory, "listen_addresses": listensOnTCP ? "127.0.0.1" : "",
            "fsync": "off", "full_page_writes": "off", "max_connections": "60",
            "shared_buffers": "32MB", "log_line_prefix": "%m [%p] %q%a ", "dynamic_shared_memory_type": "mmap",
        ]
        if let certificate {
            try programs.copy(certificate.certificate, to: directory + "/data/server.crt")
            try programs.copy(certificate.key, to: directory + "/data/server.key")
            fixed["ssl"] = "on"
        }
        for (name, value) in settings { fixed[name] = value }
        (port, options) = try Self.start(programs, directory, fixed, listensOnTCP: listensOnTCP)
        try query("CREATE DATABASE fabric")
    }

    deinit { lifeline.end() }

    /// Of the database that is there from the beginning, as its superuser.
    package var url: String { url(database: "fabric") }

    package func url(database: String, user: String = "postgres") -> String {
        "postgresql://\(user)@/\(database)?host=\(directory)&port=\(port)"
    }

    /// Over TCP.
    package func tcpURL(user: String, password: String, host: String = "127.0.0.1", database: String = "fabric")
        -> String
    {
        "postgresql://\(user):\(password)@\(host):\(port)/\(database)"
    }

    /// Makes an empty database.
    /// - Returns: its URL.
    package func makeDatabase(_ name: String) throws -> String {
        try query("CREATE DATABASE \(name)")
        return url(database: name)
    }

    /// The first time, on a port that is free.
    private static func start(
        _ programs: PostgreSQLPrograms, _ directory: String, _ settings: [String: String], listensOnTCP: Bool
    ) throws -> (port: Int, options: [String]) {
        var attempts = 0
        while true {
            attempts += 1
            let port = listensOnTCP ? try freePort() : 5432
            let all = settings.merging(["port": "\(port)"]) { $1 }
            let options = all.sorted { $0.key < $1.key }.map { "-c \($0.key)='\($0.value)'" }
            do {
                try start(programs, directory, options)
                return (port, options)
            } catch {
                // Between looking and listening somebody else may have taken it.
                guard listensOnTCP, attempts < 5 else { throw error }
            }
        }
    }

    package func start() throws { try Self.start(programs, directory, options) }

    private static func start(_ programs: PostgreSQLPrograms, _ directory: String, _ options: [String]) throws {
        try programs.run(
            "pg_ctl",
            [
                "-D", directory + "/data", "-l", directory + "/log", "-w", "-t", "60", "-o",
                options.joined(separator: " "), "start",
            ])
    }

    package func stop(_ ending: Ending = .fast) throws {
        try programs.run("pg_ctl", ["-D", directory + "/data", "-m", ending.rawValue, "-w", "-t", "60", "stop"])
    }

    package func restart(_ ending: Ending = .fast) throws {
        try stop(ending)
        try start()
    }

    /// What the server wrote to its log.
    package var log: String { (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? "" }

    /// The server's first process.
    package var processIdentifier: Int32? {
        let text = try? String(contentsOfFile: directory + "/data/postmaster.pid", encoding: .utf8)
        return text?.split(separator: "\n").first.flatMap { Int32($0) }
    }

    /// Runs statements as the superuser.
    /// - Returns: the rows of the last one, its values as text; null is empty.
    @discardableResult
    package func query(_ sql: String, database: String? = nil) throws -> [[String]] {
        let output = try programs.run(
            "psql",
            [
                "-X", "-q", "-A", "-t", "-F", "\u{1F}", "-v", "ON_ERROR_STOP=1", "-h", directory, "-p", "\(port)",
                "-U", "postgres", "-d", database ?? (sql.hasPrefix("CREATE DATABASE") ? "postgres" : "fabric"), "-c",
                sql,
            ])
        return output.split(separator: "\n").map {
            $0.split(separator: "\u{1F}", omittingEmptySubsequences: false).map(String.init)
        }
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw Problem("no port is free on 127.0.0.1") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// Why a server could not be had, or did not do something.
    package struct Problem: Error, CustomStringConvertible {
        package var description: String
        init(_ description: String) { self.description = description }
    }
}
