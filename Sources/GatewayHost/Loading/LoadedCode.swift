import CGatewaySystem
import GatewayControl
import Glibc
import Locking

/// The libraries this process has loaded, by content. Code cannot be unloaded, so the same bytes are not loaded twice: an
/// instance keeps everything it has in itself, and a new one on known code is as new as one on a fresh copy, without its
/// price (relocated pages and the runtime's records of types: 100 KB and more each time).
final class LoadedCode: Sendable {
    /// One loaded library.
    ///
    /// `@unchecked Sendable`: the handle is never closed, and `dlsym` takes it from any thread.
    struct Library: @unchecked Sendable {
        let handle: UnsafeMutableRawPointer
        /// The copy it was loaded from; the file may be gone.
        let copy: String
        fileprivate let image: ModuleImage
    }

    private let libraries = Locked<[Library]>([])

    /// The library that was loaded from exactly these bytes.
    func library(of image: ModuleImage) -> Library? {
        libraries.withLock { known in known.first { $0.image.holdsTheSame(as: image) } }
    }

    /// Remembers what was just loaded.
    func add(_ handle: UnsafeMutableRawPointer, copy: String, image: ModuleImage) {
        libraries.withLock { $0.append(Library(handle: handle, copy: copy, image: image)) }
    }
}

/// The bytes of a private copy, mapped: they outlive the file's name, take no descriptor, and none of the heap (a library
/// of some megabytes read into it leaves holes that add up). Only for copies: a file that somebody else may cut short
/// must not be mapped.
///
/// `@unchecked Sendable`: the mapping is read-only and lives as long as the object.
final class ModuleImage: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer

    init(copy: String) throws(POSIXFailure) {
        let descriptor = gateway_open(copy, O_RDONLY, 0)
        guard descriptor >= 0 else { throw POSIXFailure(operation: "opening \(copy)") }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw POSIXFailure(operation: "examining \(copy)") }
        guard facts.st_size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let start = mmap(nil, facts.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            throw POSIXFailure(operation: "mapping \(copy)")
        }
        bytes = UnsafeRawBufferPointer(start: start, count: facts.st_size)
    }

    deinit { if let start { munmap(start, bytes.count) } }

    private var start: UnsafeMutableRawPointer? { UnsafeMutableRawPointer(mutating: bytes.baseAddress) }

    fileprivate func holdsTheSame(as other: ModuleImage) -> Bool {
        guard let mine = start, let others = other.start, bytes.count == other.bytes.count else { return false }
        // What the comparison read in is the file's, and can be read again.
        defer { madvise(mine, bytes.count, MADV_DONTNEED) }
        return memcmp(mine, others, bytes.count) == 0
    }
}
