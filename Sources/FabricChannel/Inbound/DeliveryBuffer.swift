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

    @inline(__always)
    func append(_ number: Int64) {
        if number < 0 {
            append(Array(String(number).utf8))
            return
        }
        makeRoom(20)
        var digits = 1
        var rest = number
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        var value = number
        var at = count + digits
        repeat {
            at -= 1
            storage[at] = UInt8(truncatingIfNeeded: 48 + value % 10)
            value /= 10
        } while at > count
        count += digits
    }

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
