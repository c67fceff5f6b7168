import Foundation
import NIOCore

/// Takes in one uploaded file: counts and hashes it, and keeps it on disk while it is small enough.
struct UploadSpool {
    private(set) var count: Int64 = 0
    private var hash = ContentHash()
    private let path: String
    private let keepsUpTo: Int64
    private var handle: FileHandle?

    init(path: String, keepsUpTo: Int64) {
        self.path = path
        self.keepsUpTo = keepsUpTo
        if FileManager.default.createFile(atPath: path, contents: nil) {
            handle = FileHandle(forWritingAtPath: path)
        }
    }

    mutating func write(_ bytes: ByteBuffer) {
        count += Int64(bytes.readableBytes)
        bytes.withUnsafeReadableBytes { hash.update($0) }
        guard let handle else { return }
        do {
            guard count <= keepsUpTo else { return discard() }
            try handle.write(contentsOf: Data(bytes.readableBytesView))
        } catch {
            discard()
        }
    }

    mutating func finish() -> (content: FileContent, size: Int64, digest: String) {
        let kept = handle != nil
        try? handle?.close()
        handle = nil
        return (kept ? .disk(path: path) : .discarded, count, hash.digest)
    }

    mutating func discard() {
        guard handle != nil else { return }
        try? handle?.close()
        handle = nil
        try? FileManager.default.removeItem(atPath: path)
    }
}
