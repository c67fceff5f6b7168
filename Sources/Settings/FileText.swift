import Glibc

/// Reading small files whole.
public enum FileText {
    /// Why a file could not be read.
    public struct Failure: Error, Sendable, Equatable {
        public var path: String
        /// The system's error number, 0 if the file is readable but unfit.
        public var number: Int32
        public var problem: String
        public var remedy: String

        /// Whether there is no such file.
        public var isAbsent: Bool { number == ENOENT || number == ENOTDIR }
    }

    /// The path without symbolic links; the path itself where it leads nowhere.
    public static func realPath(_ path: String) -> String { existingPath(path) ?? path }

    /// The path without symbolic links and dots; nil where it leads nowhere, and `errno` says why.
    public static func existingPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The bytes of a regular file of at most `limit` bytes.
    public static func read(_ path: String, limit: Int) -> Result<[UInt8], Failure> {
        // Without O_NONBLOCK the opening of a pipe would wait for its other end.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return .failure(failure(path, errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return .failure(failure(path, errno)) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            return .failure(unfit(path, "it is no regular file", "Name a file"))
        }
        guard status.st_size <= limit else {
            return .failure(unfit(path, "it is larger than \(limit) bytes", "Name the right file"))
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = buffer.withUnsafeMutableBytes { readSome(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return .failure(failure(path, errno))
            }
            if count == 0 { return .success(bytes) }
            bytes.append(contentsOf: buffer[..<count])
            guard bytes.count <= limit else {
                return .failure(unfit(path, "it is larger than \(limit) bytes", "Name the right file"))
            }
        }
    }

    private static func unfit(_ path: String, _ problem: String, _ remedy: String) -> Failure {
        Failure(path: path, number: 0, problem: "the file cannot be used: \(problem)", remedy: remedy)
    }

    private static func failure(_ path: String, _ number: Int32) -> Failure {
        let words = String(cString: strerror(number))
        let remedy =
            switch number {
            case ENOENT, ENOTDIR: "Create it, or correct the path"
            case EACCES, EPERM: "Let the user that runs this read it"
            default: "Check the file"
            }
        return Failure(path: path, number: number, problem: "the file cannot be read: \(words)", remedy: remedy)
    }

    /// `path` seen from `directory`; a path that begins with `/` stays, one with `~/` begins at the home directory.
    public static func resolve(_ path: String, in directory: String) -> String {
        if path.hasPrefix("/") { return path }
        if path.hasPrefix("~/"), let home = getenv("HOME") { return String(cString: home) + path.dropFirst(1) }
        var path = Substring(path)
        while path.hasPrefix("./") { path = path.dropFirst(2) }
        if directory.isEmpty || directory == "." { return String(path) }
        return directory.hasSuffix("/") ? directory + path : directory + "/" + path
    }

    /// The directory a file stands in, `.` if its path does not say.
    public static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

/// The system's `read`, which the name of the method would hide.
private func readSome(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(descriptor, buffer, count)
}
