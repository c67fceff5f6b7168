import JSONBytes

/// Writes a delivery into room that is there already: nothing is checked per piece. Whoever makes one says how much will be
/// written at most.
struct DeliveryPen {
    private let start: UnsafeMutableRawPointer
    private var at: UnsafeMutableRawPointer

    @inline(__always)
    init(_ buffer: DeliveryBuffer, atMost size: Int) {
        start = buffer.room(atMost: size)
        at = start
    }

    @inline(__always)
    mutating func put(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        at.copyMemory(from: source, byteCount: bytes.count)
        at += bytes.count
    }

    @inline(__always)
    mutating func put(_ text: StaticString) {
        at.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        at += text.utf8CodeUnitCount
    }

    @inline(__always)
    mutating func put(_ bytes: [UInt8]) { bytes.withUnsafeBytes { put($0) } }

    /// A number that is not negative, at most 19 bytes.
    /// - Returns: its digits, to be put again.
    @inline(__always)
    mutating func put(_ number: Int64) -> UnsafeRawBufferPointer {
        let first = at
        var rest = UInt64(bitPattern: number)
        var digits = 1
        var bound: UInt64 = 10
        while rest >= bound, digits < 19 {
            digits &+= 1
            bound = bound &* 10
        }
        at += digits
        var place = at
        repeat {
            place -= 1
            place.storeBytes(of: UInt8(truncatingIfNeeded: 48 &+ rest % 10), as: UInt8.self)
            rest /= 10
        } while place > first
        return UnsafeRawBufferPointer(start: first, count: digits)
    }

    /// Ids may come as numbers from a guild we do not know; the delivery promises strings. Two bytes more than the view has.
    @inline(__always)
    mutating func put(string view: JSONView?) {
        if let view, view.kind == .string { return put(view.rawBytes) }
        put("\"")
        if let view, view.kind == .number { put(view.rawBytes) }
        put("\"")
    }

    @inline(__always)
    func end(in buffer: DeliveryBuffer) { buffer.wrote(at - start) }
}
