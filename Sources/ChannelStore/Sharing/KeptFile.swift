import Glibc
import Locking

/// A file that is read in parts; no larger than what a database may be asked to hold.
final class KeptFile: Sendable {
    static let partBytes = 1 << 20
    static let mostBytes = 128 << 20

    /// At least one.
    let parts: Int
    private let descriptor: Int32

    /// nil: it cannot be read, is no file, or too large.
    init?(_ path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.mostBytes
        else {
            close(descriptor)
            return nil
        }
        self.descriptor = descriptor
        parts = max(1, (Int(status.st_size) + Self.partBytes - 1) / Self.partBytes)
    }

    deinit { close(descriptor) }

    /// nil: it cannot be read.
    func read(_ part: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: Self.partBytes)
        var count = 0
        while count < bytes.count {
            let offset = part * Self.partBytes + count
            let more = bytes.withUnsafeMutableBytes { bytes in
                pread(descriptor, bytes.baseAddress?.advanced(by: count), bytes.count - count, offset)
            }
            if more < 0, errno == EINTR { continue }
            guard more >= 0 else { return nil }
            if more == 0 { break }
            count += more
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}

/// A file that is written in parts, and has its name when it is complete.
final class RestoredFile: Sendable {
    private let path: String
    private let descriptor: Int32
    private let isOpen = Locked(true)
    private let written = Locked(0)

    private var temporary: String { path + ".part" }

    /// nil: it cannot be made.
    init?(_ path: String) {
        self.path = path
        descriptor = open(path + ".part", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return nil }
    }

    deinit { _ = finish(isComplete: false) }

    /// False: it cannot be written, or is larger than any that is kept.
    func append(_ bytes: [UInt8]) -> Bool {
        let isBounded = written.withLock { written in
            guard bytes.count <= KeptFile.mostBytes - written else { return false }
            written += bytes.count
            return true
        }
        guard isBounded else { return false }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Gives it its name, or removes what there is of it.
    func finish(isComplete: Bool) -> Bool {
        isOpen.withLock { isOpen in
            guard isOpen else { return false }
            isOpen = false
            close(descriptor)
            if isComplete, rename(temporary, path) == 0 { return true }
            unlink(temporary)
            return false
        }
    }
}
