import Glibc
import Settings

/// The file on the disk: that it is there, belongs to its owner alone, and is not a link to somewhere else.
///
/// It is never opened here. Closing any descriptor of a file drops every lock this process has on it, and another store
/// object may have some.
struct StoreFile {
    /// Tells one file from another that took its name.
    struct Identity: Equatable, Sendable {
        var device: UInt
        var number: UInt
    }

    /// As the caller named it.
    let path: String

    private var directory: String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private var name: String { path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path }

    /// The path without symbolic links in its directories.
    func resolved() throws(SQLiteFailure) -> String {
        guard let base = FileText.existingPath(directory) else { throw .system("looking for \(directory)", errno) }
        return base == "/" ? "/\(name)" : "\(base)/\(name)"
    }

    /// Which file bears the name; nil: none.
    func identity() throws(SQLiteFailure) -> Identity? {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw .system("looking at \(path)", errno)
        }
        return Identity(device: UInt(status.st_dev), number: UInt(status.st_ino))
    }

    /// Whether nothing bears the name, as far as can be seen.
    var isMissing: Bool {
        var status = stat()
        return lstat(path, &status) != 0 && (errno == ENOENT || errno == ENOTDIR)
    }

    /// The bytes of the file and its log.
    var size: Int64 { Self.size(path) &+ logSize }

    /// The bytes of its log; 0 if there is none.
    var logSize: Int64 { Self.size(path + "-wal") }

    private static func size(_ path: String) -> Int64 {
        var status = stat()
        return lstat(path, &status) == 0 ? Int64(status.st_size) : 0
    }

    /// Makes the directory (mode 0700) and the file (0600) where they are missing, and takes others' permissions away.
    func prepare() throws(SQLiteFailure) {
        try makeDirectory(directory)
        try makeFile()
        try restrict(path, hasOwnersMode: false)
        // SQLite gives these the file's mode at the time; if that was wrong once, they have kept it.
        for suffix in ["-wal", "-shm"] { try restrict(path + suffix, hasOwnersMode: true) }
    }

    private func makeDirectory(_ path: String) throws(SQLiteFailure) {
        guard mkdir(path, 0o700) != 0 else { return }
        switch errno {
        case EEXIST: return
        case ENOENT:
            guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { break }
            try makeDirectory(String(path[..<slash]))
            if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        default: break
        }
        throw .system("making the directory \(path)", errno)
    }

    // Made under another name, so that its descriptor is closed before anybody can have a lock on it.
    private func makeFile() throws(SQLiteFailure) {
        if try identity() != nil { return }
        let made = "\(path).new-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let descriptor = open(made, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("making \(path)", errno) }
        close(descriptor)
        let linked = link(made, path)
        let error = errno
        unlink(made)
        if linked != 0, error != EEXIST { throw .system("making \(path)", error) }
    }

    private func restrict(_ path: String, hasOwnersMode: Bool) throws(SQLiteFailure) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw .system("looking at \(path)", errno)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw SQLiteFailure(
                .foreign, problem: "\(path) is no regular file",
                advice: "move it away; the store follows no links and makes its files itself")
        }
        guard status.st_mode & 0o077 != 0 || hasOwnersMode && status.st_mode & 0o777 != 0o600 else { return }
        if chmod(path, 0o600) != 0 { throw .system("restricting \(path) to its owner", errno) }
    }

    /// Gives the damaged file, and what belongs to it, a name that says when; nil if another file has its place already.
    func moveAside(_ damaged: Identity) throws(SQLiteFailure) -> String? {
        guard try identity() == damaged else { return nil }
        let target = freeName()
        // The log before the file: a log beside a new file would be taken for its own.
        for suffix in ["-wal", "-shm", ""] {
            if rename(path + suffix, target + suffix) != 0, errno != ENOENT {
                throw .system("moving the damaged \(path + suffix) aside", errno)
            }
        }
        return target
    }

    private func freeName() -> String {
        var seconds = time(nil)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let day = "\(Int(parts.tm_year) + 1900)\(two(parts.tm_mon + 1))\(two(parts.tm_mday))"
        let base = "\(path).corrupt-\(day)T\(two(parts.tm_hour))\(two(parts.tm_min))\(two(parts.tm_sec))Z"
        var status = stat()
        var target = base
        var number = 2
        while lstat(target, &status) == 0, number < 1000 {
            target = "\(base).\(number)"
            number += 1
        }
        return target
    }

    /// Runs `body` while no other store object opens or replaces the file.
    func alone<Value>(_ body: () throws(SQLiteFailure) -> Value) throws(SQLiteFailure) -> Value {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // Without the right to read the directory, or where directories know no locks, it goes without.
        guard descriptor >= 0 else { return try body() }
        defer { close(descriptor) }
        var attempts = 0
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK || errno == EINTR {
            attempts += 1
            guard attempts < 500 else {
                throw SQLiteFailure(.busy, problem: "another process keeps opening the file")
            }
            usleep(10_000)
        }
        return try body()
    }
}
