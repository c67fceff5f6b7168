import FabricAPI
import JSONBytes

/// The creation time of a message as the guild wrote it, kept without an allocation and read only when it matters.
struct TimeMark: Sendable {
    private static let capacity = 32
    private var bytes: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    private var count = 0

    init() {}

    /// Keeps the time of a message. A text that is longer than a time with zone and microseconds is not kept.
    @inline(__always)
    mutating func set(_ view: JSONView?) {
        guard let raw = view?.rawBytes, raw.count <= Self.capacity, let base = raw.baseAddress else { return }
        withUnsafeMutableBytes(of: &bytes) { $0.baseAddress?.copyMemory(from: base, byteCount: raw.count) }
        count = raw.count
    }

    /// Seconds since 1970, by the guild's clock; nil if none was kept.
    var seconds: Double? {
        guard count > 0 else { return nil }
        return withUnsafeBytes(of: bytes) { FabricTime.seconds(JSONView(validated: $0, start: 0, end: count)) }
    }
}
