import Glibc
import Settings

/// How the decision learns whether a secret is there, without reading it.
public struct SecretPresence {
    /// Whether a file of secrets could be read.
    public enum File: Sendable, Equatable {
        case readable
        case absent
        /// It is there, but of no use, and why.
        case unreadable(String)
    }

    /// Whether an environment variable is set and not empty.
    public var environment: (_ name: String) -> Bool
    public var file: (_ path: String) -> File

    public init(environment: @escaping (_ name: String) -> Bool, file: @escaping (_ path: String) -> File) {
        self.environment = environment
        self.file = file
    }

    /// This process's environment and files.
    public static var system: SecretPresence {
        SecretPresence(
            environment: { name in getenv(name).map { $0.pointee != 0 } ?? false },
            file: { path in
                var status = stat()
                guard stat(path, &status) == 0 else {
                    return errno == ENOENT || errno == ENOTDIR ? .absent : .unreadable(String(cString: strerror(errno)))
                }
                guard status.st_mode & S_IFMT == S_IFREG else { return .unreadable("it is no regular file") }
                guard status.st_size > 0 else { return .unreadable("it is empty") }
                guard access(path, R_OK) == 0 else { return .unreadable(String(cString: strerror(errno))) }
                return .readable
            })
    }
}
