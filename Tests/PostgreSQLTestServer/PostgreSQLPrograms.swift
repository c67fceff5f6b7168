import Foundation

/// The server's programs on this machine, and the user that may run them: they refuse to run as root.
struct PostgreSQLPrograms: Sendable {
    let folder: String
    /// Put before every command.
    let asUser: [String]

    static let advice = "PostgreSQL is not installed (apt-get install postgresql), or this user may not run it"

    static let found: PostgreSQLPrograms? = find()

    private static func find() -> PostgreSQLPrograms? {
        let debian = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: debian)) ?? []
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        let folders = versions.sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }.map { "\(debian)/\($0)/bin" } + path
        let needed = ["initdb", "pg_ctl", "postgres", "psql"]
        guard
            let folder = folders.first(where: { folder in needed.allSatisfy { access("\(folder)/\($0)", X_OK) == 0 } })
        else { return nil }
        guard geteuid() == 0 else { return PostgreSQLPrograms(folder: folder, asUser: []) }
        for name in ["postgres", "nobody"] {
            guard let entry = getpwnam(name), access("/usr/bin/setpriv", X_OK) == 0 else { continue }
            return PostgreSQLPrograms(
                folder: folder,
                asUser: [
                    "/usr/bin/setpriv", "--reuid=\(entry.pointee.pw_uid)", "--regid=\(entry.pointee.pw_gid)",
                    "--clear-groups", "--",
                ])
        }
        return nil
    }

    /// A directory of that user's, with a name short enough for a socket in it.
    func makeDirectory() throws -> String {
        try execute(["/bin/mktemp", "-d", "/tmp/pg.XXXXXX"]).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    func copy(_ source: String, to target: String) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: source))
        _ = try execute(["/bin/sh", "-c", "umask 077; cat >\"$0\"", target], input: data)
    }

    @discardableResult
    func run(_ program: String, _ arguments: [String]) throws -> String {
        try execute(["\(folder)/\(program)"] + arguments)
    }

    /// Stops the server and removes the directory when the lifeline is let go of.
    func watch(_ directory: String) throws -> Lifeline {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw PostgreSQLServer.Problem("no pipe: \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let script = """
            trap '' INT HUP TERM; cat; "$1/pg_ctl" -D "$0/data" -m immediate -w stop; rm -rf "$0"
            """
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer {
            close(null)
            close(ends[0])
        }
        let child = try spawn(["/bin/sh", "-c", script, directory, folder], input: ends[0], output: null)
        return Lifeline(descriptor: ends[1], child: child)
    }

    private func execute(_ words: [String], input: Data? = nil) throws -> String {
        // Files: a server that is started keeps what it was given open.
        let base = FileManager.default.temporaryDirectory.path + "/pg-\(UUID().uuidString)"
        defer { for suffix in ["-in", "-out"] { unlink(base + suffix) } }
        try (input ?? Data()).write(to: URL(fileURLWithPath: base + "-in"))
        let from = open(base + "-in", O_RDONLY | O_CLOEXEC)
        let to = open(base + "-out", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer {
            close(from)
            close(to)
        }
        let status = wait(for: try spawn(words, input: from, output: to))
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: base + "-out")), as: UTF8.self)
        guard status == 0 else {
            throw PostgreSQLServer.Problem("\(words[0]) ended with \(status): \(text)")
        }
        return text
    }

    // Not Foundation's `Process`: its wait ends only when everything that a child left behind has ended.
    private func spawn(_ words: [String], input: Int32, output: Int32) throws -> pid_t {
        // A server outlives who started it: nothing else of this process is to stay open with it.
        let closing = """
            cd /; for file in /proc/self/fd/*; do
            number=${file##*/}; [ "$number" -le 2 ] || eval "exec $number>&-"; done; exec "$@"
            """
        let command = ["/bin/bash", "-c", closing, "bash"] + asUser + words
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        let arguments = command.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var child = pid_t()
        let code = posix_spawn(&child, command[0], &actions, nil, arguments, environ)
        guard code == 0 else { throw PostgreSQLServer.Problem("\(command[0]) cannot be run: error \(code)") }
        return child
    }
}

/// How a child ended: its exit code, or its signal and 128.
private func wait(for child: pid_t) -> Int32 {
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
}

/// What a server lives as long as: the writing end of a pipe, which the system closes too when this process dies.
final class Lifeline: Sendable {
    private let descriptor: Int32
    private let child: pid_t

    init(descriptor: Int32, child: pid_t) {
        self.descriptor = descriptor
        self.child = child
    }

    /// Once. Waits until the server is gone.
    func end() {
        close(descriptor)
        _ = wait(for: child)
    }
}
