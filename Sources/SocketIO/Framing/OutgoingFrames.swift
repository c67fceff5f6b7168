/// Frames waiting to be written, one behind the other as they will go out, so that one write takes them all.
struct OutgoingFrames {
    static let text: UInt8 = 0x1
    static let binary: UInt8 = 0x2
    static let close: UInt8 = 0x8
    static let pong: UInt8 = 0xA

    /// Kept when everything is written; a rare huge message must not keep its size in memory.
    private static let mostKept = 4096

    private var bytes: [UInt8] = []
    private var written = 0

    /// Bytes waiting, heads and masks included.
    var count: Int { bytes.count - written }

    /// Adds what is no frame: the upgrade request.
    mutating func add(raw: [UInt8]) { bytes += raw }

    /// Adds a final frame, masked as a client's must be (RFC 6455, section 5.3).
    mutating func add(_ opcode: UInt8, _ payload: UnsafeRawBufferPointer, mask: UInt32) {
        bytes.reserveCapacity(bytes.count + payload.count + 14)
        bytes.append(0x80 | opcode)
        switch payload.count {
        case ...125: bytes.append(0x80 | UInt8(truncatingIfNeeded: payload.count))
        case ...0xFFFF:
            bytes.append(0x80 | 126)
            appendBigEndian(UInt64(payload.count), 2)
        default:
            bytes.append(0x80 | 127)
            appendBigEndian(UInt64(payload.count), 8)
        }
        withUnsafeBytes(of: mask) { bytes.append(contentsOf: $0) }
        let start = bytes.count
        bytes.append(contentsOf: payload)
        bytes.withUnsafeMutableBytes { Self.apply(mask, to: UnsafeMutableRawBufferPointer(rebasing: $0[start...])) }
    }

    /// What waits, for one write.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[written...])) }
    }

    /// So many bytes of what waited are gone.
    mutating func wrote(_ count: Int) {
        written = min(bytes.count, written + max(0, count))
        if written == bytes.count {
            if bytes.capacity > Self.mostKept { bytes = [] } else { bytes.removeAll(keepingCapacity: true) }
            written = 0
        } else if written > 1 << 20, written > bytes.count / 2 {
            bytes.removeFirst(written)
            written = 0
        }
    }

    private mutating func appendBigEndian(_ value: UInt64, _ count: Int) {
        for place in stride(from: (count - 1) * 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(place)))
        }
    }

    private static func apply(_ mask: UInt32, to bytes: UnsafeMutableRawBufferPointer) {
        // The mask's bytes in memory are what was sent, so the words need no regard to byte order.
        let wide = UInt64(mask) << 32 | UInt64(mask)
        var at = 0
        while at + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            bytes.storeBytes(of: word ^ wide, toByteOffset: at, as: UInt64.self)
            at += 8
        }
        withUnsafeBytes(of: wide) { mask in
            for place in at..<bytes.count { bytes[place] ^= mask[place - at] }
        }
    }
}
