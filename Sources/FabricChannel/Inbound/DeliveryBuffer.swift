/// A reusable run of bytes that deliveries are written into; the accounts of a loop share one.
///
/// Appending is a bounds check and a copy: the array's own append costs several times that for pieces this small, and a
/// delivery has twenty of them.
// Unchecked: only code on the realtime loop touches it, and a delivery is written and handed over in one go.
final class DeliveryBuffer: @unchecked Sendable {
    @exclusivity(unchecked) private var storage: UnsafeMutableRawBufferPointer
    @exclusivity(unchecked) private(set) var count = 0

    init(capacity: Int = 4096) {
        storage = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { storage.deallocate() }

    @inline(__always)
    func removeAll() {
        count = 0
        // A rare huge message must not pin its size for ever.
        if storage.count > 1 << 20 { reallocate(4096) }
    }

    @inline(__always)
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(storage)[..<count]) }

    @inline(__always)
    func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        makeRoom(bytes.count)
        (storage.baseAddress.unsafelyUnwrapped + count).copyMemory(from: source, byteCount: bytes.count)
        count += bytes.count
    }

    @inline(__always)
    func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    @inline(__always)
    func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    /// A part of `bytes`.
    @inline(__always)
    func append(_ bytes: [UInt8], _ part: Range<Int>) {
        bytes.withUnsafeBytes { append(UnsafeRawBufferPointer(rebasing: $0[part])) }
    }

    func append(_ number: Int64) { append(Array(String(number).utf8)) }

    /// Where a delivery of at most so many bytes can be written, from the beginning.
    @inline(__always)
    func room(atMost size: Int) -> UnsafeMutableRawPointer {
        removeAll()
        makeRoom(size)
        return storage.baseAddress.unsafelyUnwrapped
    }

    /// So many bytes were written into the room.
    @inline(__always)
    func wrote(_ size: Int) { count = min(size, storage.count) }

    @inline(__always)
    private func makeRoom(_ more: Int) {
        if count + more > storage.count { reallocate(max(storage.count * 2, count + more)) }
    }

    @inline(never)
    private func reallocate(_ capacity: Int) {
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(storage)[..<count]))
        storage.deallocate()
        storage = larger
    }
}
