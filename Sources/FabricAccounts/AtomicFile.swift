import Glibc
import Settings

/// Replacing a file so that a crash leaves the old or the new one, and keeping other writers out meanwhile.
enum AtomicFile {
    enum Stage { case created, written, synced, renamed }

    /// A held lock.
    struct Lock: ~Copyable {
        fileprivate let descriptor: Int32

        /// Ends it. The lock file stays: removing it would let two writers lock two files of one name.
        func release() { close(descriptor) }
    }

    /// Waits until no other writer holds the lock, at most 10 s: a change takes milliseconds.
    static func lock(_ path: String) throws(SettingsError) -> Lock {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(path, "the lock file cannot be opened", errno) }
        for _ in 0..<1000 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return Lock(descriptor: descriptor) }
            guard errno == EWOULDBLOCK || errno == EINTR else { break }
            usleep(10_000)
        }
        let number = errno
        close(descriptor)
        if number == EWOULDBLOCK {
            throw SettingsError(
                file: path, keyPath: "", problem: "another process has been changing the file for 10 s",
                remedy: "Look for a setup command that hangs")
        }
        throw failure(path, "the lock cannot be taken", number)
    }

    /// Writes a new file beside the old one, owner only unless a mode is given, brings it to the disk, and renames it over the old one. The
    /// caller holds the lock.
    static func replace(
        _ path: String, with bytes: [UInt8], mode: mode_t = 0o600, passing: (Stage) throws(SettingsError) -> Void
    ) throws(SettingsError) {
        let temporary = path + ".tmp"
        // The lock is held, so whatever is there was left by a writer that died.
        unlink(temporary)
        var isRenamed = false
        defer { if !isRenamed { unlink(temporary) } }
        try writeDurably(temporary, for: path, bytes, mode: mode, passing)
        guard rename(temporary, path) == 0 else { throw failure(path, "it cannot be replaced", errno) }
        isRenamed = true
        syncDirectory(FileText.directory(of: path))
        try passing(.renamed)
    }

    /// Writes a file where there is none yet.
    static func create(_ path: String, with bytes: [UInt8]) throws(SettingsError) {
        let temporary = path + ".\(getpid()).tmp"
        defer { unlink(temporary) }
        try writeDurably(temporary, for: path, bytes) { _ throws(SettingsError) in }
        // Unlike a renaming, a link does not replace a file that came meanwhile.
        guard link(temporary, path) == 0 else { throw failure(path, "it cannot be created", errno) }
        syncDirectory(FileText.directory(of: path))
    }

    private static func writeDurably(
        _ temporary: String, for path: String, _ bytes: [UInt8], mode: mode_t = 0o600,
        _ passing: (Stage) throws(SettingsError) -> Void
    ) throws(SettingsError) {
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(path, "no file can be written beside it", errno) }
        defer { close(descriptor) }
        try passing(.created)
        // A restrictive umask takes more away; nothing may add to what is wanted.
        guard fchmod(descriptor, mode) == 0 else { throw failure(path, "its mode cannot be set", errno) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(descriptor, $0.baseAddress.map { $0 + written }, $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(path, "it cannot be written", errno) }
            written += count
        }
        try passing(.written)
        guard fsync(descriptor) == 0 else { throw failure(path, "it cannot be brought to the disk", errno) }
        try passing(.synced)
    }

    /// Makes the rename itself survive a power cut. Some file systems do not allow it, and lose nothing by that.
    private static func syncDirectory(_ path: String) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func failure(_ path: String, _ problem: String, _ number: Int32) -> SettingsError {
        SettingsError(
            file: path, keyPath: "", problem: "\(problem): \(String(cString: strerror(number)))",
            remedy: "Check the directory's owner, mode and free space")
    }
}
