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
        let descriptor = gateway_open(path, O_RDWR | O_CREAT, 0o600)
        guard descriptor >= 0 else {
            throw GatewayError(
                "\(POSIXFailure(operation: "opening \(path)"))", place: directory,
                remedy: "Check stateDirectory and its permissions")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            guard code == EWOULDBLOCK else {
                throw GatewayError(
                    "\(POSIXFailure(operation: "locking \(path)", code: code))", place: directory,
                    remedy: "Use a stateDirectory on a local file system")
            }
            let holder = (try? Files.read(path)).map { String(decoding: $0, as: UTF8.self).trimmingEnd() } ?? ""
            throw GatewayError(
                "the state directory belongs to another gateway, process \(holder.isEmpty ? "unknown" : holder)",
                place: directory, remedy: "Stop that one (gateway stop), or give this one its own stateDirectory")
        }
        ftruncate(descriptor, 0)
        let pid = Array("\(getpid())\n".utf8)
        _ = pid.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        return descriptor
    }

    /// Waits until nobody holds the directory, without taking it. Blocks.
    /// - Returns: `false` if somebody still does after `limit`.
    package static func waitUntilFree(directory: String, within limit: Duration) -> Bool {
        let descriptor = gateway_open(directory + "/gateway.lock", O_RDONLY, 0)
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
