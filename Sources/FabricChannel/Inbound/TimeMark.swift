import FabricAPI
import Glibc
import JSONBytes

/// The newest creation time of a channel's messages as the guild wrote it, kept without an allocation and read only when it
/// matters.
struct TimeMark: Sendable {
    private static let capacity = 32
    private var bytes: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    private var count = 0

    init() {}

    /// Keeps the time of a message unless one that was kept is newer. Times of one spelling are in the order of their
    /// texts. A text that is longer than a time with zone and microseconds is not kept.
    @inline(__always)
    mutating func advance(to view: JSONView?) {
        guard let raw = view?.rawBytes, raw.count <= Self.capacity, let base = raw.baseAddress else { return }
        let count = count
        withUnsafeMutableBytes(of: &bytes) { kept in
            guard let place = kept.baseAddress, raw.count != count || memcmp(base, place, count) > 0 else { return }
            place.copyMemory(from: base, byteCount: raw.count)
        }
        self.count = raw.count
    }

    /// Seconds since 1970, by the guild's clock; nil if none was kept.
    var seconds: Double? {
        guard count > 0 else { return nil }
        return withUnsafeBytes(of: bytes) { FabricTime.seconds(JSONView(validated: $0, start: 0, end: count)) }
    }
}
