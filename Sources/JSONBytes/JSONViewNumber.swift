extension JSONView {
    /// The value of a number that is whole and fits, also when written `12.0` or `1e3`; nil for anything else.
    @inlinable
    public var int64: Int64? {
        guard let base, count > 0 else { return nil }
        let negative = ByteScan.byte(base, 0) == 0x2D
        var at = negative ? 1 : 0
        guard at < count else { return nil }
        // 18 digits always fit.
        guard count &- at <= 18 else { return wideInteger }
        var value: Int64 = 0
        while at < count {
            let digit = ByteScan.byte(base, at) &- 0x30
            guard digit < 10 else { return wideInteger }
            value = value &* 10 &+ Int64(digit)
            at &+= 1
        }
        return negative ? 0 &- value : value
    }

    /// As ``int64``, for the unsigned range.
    public var uint64: UInt64? {
        if let small = int64 { return UInt64(exactly: small) }
        guard kind == .number else { return nil }
        if let exact = UInt64(numberText) { return exact }
        // `init(exactly:)` would need libm's `trunc`, which a package without Foundation does not link.
        guard let value = double, value >= 0, value < 0x1p64, Double(UInt64(value)) == value else { return nil }
        return UInt64(value)
    }

    /// The value of a number; nil for anything else and for numbers beyond the range of a `Double` (`1e999`).
    public var double: Double? {
        guard kind == .number else { return nil }
        guard let value = Double(numberText), value.isFinite else { return nil }
        return value
    }

    /// Integers of more digits than the quick way takes, and those written with a point or an exponent.
    @usableFromInline
    var wideInteger: Int64? {
        guard kind == .number else { return nil }
        if let exact = Int64(numberText) { return exact }
        guard let value = double, value >= -0x1p63, value < 0x1p63, Double(Int64(value)) == value else { return nil }
        return Int64(value)
    }

    private var numberText: String { String(decoding: rawBytes, as: UTF8.self) }
}
