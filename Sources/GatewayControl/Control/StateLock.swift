import CGatewaySystem
import Glibc

/// The hold of one process on a state directory, by `flock` on a file in it. The system lets go of it when the process
/// ends, however it ends.
public final class StateLock: Sendable {
    private let descriptor: Int32

    /// Takes the directory (created with mode 0700 if missing).
    /// - Throws: `GatewayError` that names the holder's process, if there is one.
    public init(directory: String) throws(GatewayError) {
        // Taken before the object exists: an initializer that throws later would run `deinit` on what it closed.
        descriptor = try Self.take(directory)
    }

    private static func take(_ directory: String) throws(GatewayError) -> Int32 {
        let path = directory + "/gateway.lock"
        do {
            try Files.makeDirectory(directory)
        } catch {
            throw GatewayError("\(error)", place: directory, remedy: "Check stateDirectory and its permissions")
        }
        try examine(directory)
        // A link in its place must not make us write somewhere else.
        let descriptor = gateway_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            let failure = POSIXFailure(operation: "opening \(path)")
            guard failure.code == ELOOP else {
                throw GatewayError(
                    "\(failure)", place: directory, remedy: "Check stateDirectory and its permissions")
            }
            throw GatewayError(
                "\(path) is a symbolic link", place: directory, remedy: "Remove it: rm \(ShellText.quote(path))")
        }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG, facts.st_uid == geteuid(),
            facts.st_nlink == 1, facts.st_mode & 0o022 == 0
        else {
            close(descriptor)
            throw GatewayError(
                "\(path) is not a file of this user's alone (owner, mode, hard links)", place: directory,
                remedy: "Look who made it, then remove it: rm \(ShellText.quote(path))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            guard code == EWOULDBLOCK else {
                throw GatewayError(
                    "\(POSIXFailure(operation: "locking \(path)", code: code))", place: directory,
                    remedy: "Use a stateDirectory on a local file system")
            }
            throw GatewayError(
                "the state directory belongs to another gateway, process \(name(in: path))",
                place: directory, remedy: "Stop that one (`gateway stop`), or give this one its own stateDirectory")
        }
        ftruncate(descriptor, 0)
        let pid = Array("\(getpid())\n".utf8)
        _ = pid.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        return descriptor
    }

    /// Keys, people's files and module code lie there.
    private static func examine(_ directory: String) throws(GatewayError) {
        var facts = stat()
        guard stat(directory, &facts) == 0 else {
            throw GatewayError(
                "\(POSIXFailure(operation: "examining \(directory)"))", place: directory,
                remedy: "Check stateDirectory and its permissions")
        }
        guard facts.st_uid == geteuid() else {
            throw GatewayError(
                "the state directory belongs to user \(facts.st_uid), the gateway runs as \(geteuid())",
                place: directory,
                remedy:
                    "Run it as that user, or give it the directory: chown \(geteuid()) \(ShellText.quote(directory))")
        }
        guard facts.st_mode & 0o022 == 0 else {
            throw GatewayError(
                "others may write to the state directory, and so replace what the gateway runs and sends",
                place: directory, remedy: "chmod 700 \(ShellText.quote(directory))")
        }
    }

    private static func name(in path: String) -> String {
        let text = (try? Files.read(path, limit: 64)).map { String(decoding: $0, as: UTF8.self).trimmingEnd() } ?? ""
        return text.isEmpty ? "unknown" : text
    }

    /// The process that holds a directory, as its lock names it; `nil` if nobody does.
    package static func holder(of directory: String) -> String? {
        let path = directory + "/gateway.lock"
        let descriptor = gateway_open(path, O_RDONLY | O_NOFOLLOW, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) != 0, errno == EWOULDBLOCK else { return nil }
        return name(in: path)
    }

    /// Waits until nobody holds the directory, without taking it. Blocks.
    /// - Returns: `false` if somebody still does after `limit`.
    package static func waitUntilFree(directory: String, within limit: Duration) -> Bool {
        let descriptor = gateway_open(directory + "/gateway.lock", O_RDONLY | O_NOFOLLOW, 0)
        guard descriptor >= 0 else { return errno == ENOENT }
        defer { close(descriptor) }
        let end = ContinuousClock.now.advanced(by: limit)
        while flock(descriptor, LOCK_SH | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR, .now < end else { return false }
            poll(nil, 0, 20)
        }
        return true
    }

    deinit {
        // The file stays: removing it would let two processes hold two files of the same name.
        ftruncate(descriptor, 0)
        close(descriptor)
    }
}
