import Glibc

/// A file that appears at its place only when it is complete. Until then it is a hidden one in the same directory,
/// so that the last step is a rename within one file system.
struct DownloadFile: ~Copyable {
    let descriptor: Int32
    let path: String
    private let temporary: String
    private var isKept = false

    /// Creates the temporary file, readable by its owner only. Throws `.file`.
    init(for path: String) throws(HTTPTransferError) {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw HTTPTransferError(.file(path: path, errno: EINVAL), "no usable path to download to")
        }
        let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        var created: Int32 = -1
        var name = ""
        // A collision of 64 random bits means somebody else's file: never open it, try another name.
        for _ in 0..<4 where created < 0 {
            name = directory + ".transfer-" + String(UInt64.random(in: .min ... .max), radix: 16) + ".part"
            created = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
            if created < 0, errno != EEXIST { break }
        }
        if created >= 0, LastDescriptors.contain(created) {
            close(created)
            unlink(name)
            (created, errno) = (-1, EMFILE)
        }
        guard created >= 0 else {
            let number = errno
            throw HTTPTransferError(
                .file(path: path, errno: number), "cannot create a file beside \(path): \(errorText(number))")
        }
        descriptor = created
        temporary = name
        self.path = path
    }

    /// Puts it in its place, replacing what is there. Throws `.file`; then nothing is left.
    mutating func keep() throws(HTTPTransferError) {
        guard rename(temporary, path) == 0 else {
            let number = errno
            throw HTTPTransferError(
                .file(path: path, errno: number), "cannot rename the download to \(path): \(errorText(number))")
        }
        isKept = true
    }

    /// Begins anew, after a redirect.
    func rewind() throws(HTTPTransferError) {
        guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
            let number = errno
            throw HTTPTransferError(.file(path: path, errno: number), "rewinding failed: \(errorText(number))")
        }
    }

    deinit {
        close(descriptor)
        if !isKept { unlink(temporary) }
    }
}

/// A file that is read while it is sent.
struct UploadFile: ~Copyable {
    let descriptor: Int32
    let path: String
    let size: Int64
    private var isOwned = true

    /// Opens a regular file. Throws `.file`.
    init(_ path: String) throws(HTTPTransferError) {
        // O_NONBLOCK: opening a FIFO must not wait for its writer; it is then refused below.
        let opened = path.utf8.contains(0) ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard opened >= 0 else {
            let number = path.utf8.contains(0) ? EINVAL : errno
            throw HTTPTransferError(.file(path: path, errno: number), "cannot open \(path): \(errorText(number))")
        }
        var status = stat()
        guard fstat(opened, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(opened)
            throw HTTPTransferError(.file(path: path, errno: EINVAL), "\(path) is not a regular file")
        }
        posix_fadvise(opened, 0, 0, POSIX_FADV_SEQUENTIAL)
        descriptor = opened
        self.path = path
        size = Int64(status.st_size)
    }

    /// Hands over the descriptor: whoever takes it closes it.
    mutating func release() -> Int32 {
        isOwned = false
        return descriptor
    }

    deinit { if isOwned { close(descriptor) } }
}
