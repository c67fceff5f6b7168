/// A cheap hash for telling whether bytes arrived whole and in order: four lanes of multiply and rotate over 8-byte
/// words (the shape of xxHash64, not compatible with it, not cryptographic). Fast enough for gigabytes in debug builds.
public struct ContentHash: Sendable {
    private var lanes: (UInt64, UInt64, UInt64, UInt64) = (1, 2, 3, 4)
    private var pending: [UInt8] = []
    private var count: UInt64 = 0

    public init() {
        pending.reserveCapacity(32)
    }

    /// Adds bytes; how they are cut into calls makes no difference.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        count &+= UInt64(bytes.count)
        var offset = 0
        if !pending.isEmpty {
            let take = min(32 - pending.count, bytes.count)
            pending.append(contentsOf: bytes[0..<take])
            offset = take
            guard pending.count == 32 else { return }
            let block = pending
            block.withUnsafeBytes { mix($0, from: 0) }
            pending.removeAll(keepingCapacity: true)
        }
        while offset + 32 <= bytes.count {
            mix(bytes, from: offset)
            offset += 32
        }
        pending.append(contentsOf: bytes[offset...])
    }

    /// Sixteen hexadecimal digits.
    public var digest: String {
        var result = count &* 0x9E37_79B1_85EB_CA87
        for lane in [lanes.0, lanes.1, lanes.2, lanes.3] { result = Self.round(result, lane) }
        for byte in pending { result = Self.round(result, UInt64(byte)) }
        let text = String(result, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    /// The digest of bytes that are all there.
    public static func digest(of bytes: [UInt8]) -> String {
        var hash = ContentHash()
        bytes.withUnsafeBytes { hash.update($0) }
        return hash.digest
    }

    private mutating func mix(_ bytes: UnsafeRawBufferPointer, from offset: Int) {
        lanes.0 = Self.round(lanes.0, bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        lanes.1 = Self.round(lanes.1, bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
        lanes.2 = Self.round(lanes.2, bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self))
        lanes.3 = Self.round(lanes.3, bytes.loadUnaligned(fromByteOffset: offset + 24, as: UInt64.self))
    }

    private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
        let mixed = lane &+ word &* 0xC2B2_AE3D_27D4_EB4F
        return (mixed << 31 | mixed >> 33) &* 0x9E37_79B1_85EB_CA87
    }
}
