import CGatewaySystem
import Glibc

/// Small whole-file operations with errors that name the path.
package enum Files {
    /// The bytes of a regular file of at most `limit` bytes.
    package static func read(_ path: String, limit: Int = 16 << 20) throws(POSIXFailure) -> [UInt8] {
        let descriptor = gateway_open(path, O_RDONLY, 0)
        guard descriptor >= 0 else { throw POSIXFailure(operation: "opening \(path)") }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw POSIXFailure(operation: "examining \(path)") }
        guard facts.st_mode & S_IFMT != S_IFDIR else { throw POSIXFailure(operation: "reading \(path)", code: EISDIR) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw POSIXFailure(operation: "reading \(path)")
            }
            if count == 0 { return bytes }
            guard bytes.count + count <= limit else { throw POSIXFailure(operation: "reading \(path)", code: EFBIG) }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    /// Writes a new file that only this user may read; one that is there is an error.
    package static func writePrivate(_ bytes: [UInt8], to path: String) throws(POSIXFailure) {
        let descriptor = gateway_open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw POSIXFailure(operation: "creating \(path)") }
        defer { close(descriptor) }
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(descriptor, $0.baseAddress?.advanced(by: sent), bytes.count - sent)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw POSIXFailure(operation: "writing \(path)") }
            sent += count
        }
    }

    /// Creates a directory and its parents, the last one with `mode`; an existing one is left as it is.
    package static func makeDirectory(_ path: String, mode: mode_t = 0o700) throws(POSIXFailure) {
        if mkdir(path, mode) == 0 { return }
        switch errno {
        case EEXIST:
            var facts = stat()
            guard stat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR else {
                throw POSIXFailure(operation: "creating directory \(path)", code: ENOTDIR)
            }
        case ENOENT where parent(of: path) != path:
            try makeDirectory(parent(of: path), mode: 0o755)
            guard mkdir(path, mode) == 0 || errno == EEXIST else {
                throw POSIXFailure(operation: "creating directory \(path)")
            }
        default:
            throw POSIXFailure(operation: "creating directory \(path)")
        }
    }

    /// Creates a directory with mode 0700, or takes one that is there: a real directory of this user's that nobody else
    /// may write. A symbolic link in its place is refused.
    package static func makePrivateDirectory(_ path: String) throws(POSIXFailure) {
        if mkdir(path, 0o700) == 0 { return }
        guard errno == EEXIST else { throw POSIXFailure(operation: "creating directory \(path)") }
        var facts = stat()
        guard lstat(path, &facts) == 0 else { throw POSIXFailure(operation: "examining \(path)") }
        guard facts.st_mode & S_IFMT == S_IFDIR else {
            throw POSIXFailure(operation: "creating directory \(path)", code: ENOTDIR)
        }
        guard facts.st_uid == geteuid(), facts.st_mode & 0o022 == 0 else {
            throw POSIXFailure(operation: "using \(path), which is not this user's alone", code: EPERM)
        }
    }

    /// Removes a file, or a directory with all that is in it. Symbolic links are removed, never followed.
    package static func removeTree(_ path: String) {
        if unlink(path) == 0 || errno == ENOENT { return }
        for name in names(in: path) { removeTree(path + "/" + name) }
        rmdir(path)
    }

    /// Names in a directory, without `.` and `..`; empty if it cannot be read.
    package static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// The path with everything after the last slash removed; `.` if there is none.
    package static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The part after the last slash.
    package static func name(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
    }

    /// `path` if it is absolute, else joined to `directory`; `.` and `..` parts are resolved by text.
    package static func resolve(_ path: String, in directory: String) -> String {
        let joined = path.hasPrefix("/") ? path : directory + "/" + path
        var parts: [Substring] = []
        for part in joined.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// The process's working directory.
    package static func workingDirectory() -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard getcwd(&buffer, buffer.count) != nil else { return "/" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
