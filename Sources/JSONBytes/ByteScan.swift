import CByteScan

/// Byte-level searches used by the validator, the views and the writer.
///
/// Every function takes the end of the readable range and reads nothing at or past it.
@usableFromInline
enum ByteScan {
    @inlinable @inline(__always)
    static func byte(_ base: UnsafeRawPointer, _ offset: Int) -> UInt8 {
        base.load(fromByteOffset: offset, as: UInt8.self)
    }

    @inlinable @inline(__always)
    static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    @inlinable @inline(__always)
    static func skipSpace(_ base: UnsafeRawPointer, _ offset: Int, _ end: Int) -> Int {
        var offset = offset
        while offset < end, isSpace(byte(base, offset)) { offset += 1 }
        return offset
    }

    /// The first byte that is a quote, a backslash, a control character or not ASCII; `end` if there is none.
    @inlinable @inline(__always)
    static func firstSpecial(_ base: UnsafeRawPointer, _ offset: Int, _ end: Int) -> Int {
        byte_scan_special(base, offset, end)
    }

    /// The first quote or backslash; `end` if there is none.
    @inlinable @inline(__always)
    static func firstQuoteOrBackslash(_ base: UnsafeRawPointer, _ offset: Int, _ end: Int) -> Int {
        byte_scan_quote(base, offset, end)
    }

    /// The first byte that JSON text may not carry unescaped inside a string; `end` if there is none.
    @inlinable @inline(__always)
    static func firstToEscape(_ base: UnsafeRawPointer, _ offset: Int, _ end: Int) -> Int {
        byte_scan_to_escape(base, offset, end)
    }

    /// Whether two ranges of `count` bytes are the same.
    @inlinable @inline(__always)
    static func same(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int) -> Bool {
        guard count >= 8 else { return sameShort(left, right, count) }
        let last = count &- 8
        var offset = 0
        while offset < last {
            if word(left, offset) != word(right, offset) { return false }
            offset &+= 8
        }
        // The last word overlaps the one before instead of leaving single bytes.
        return word(left, last) == word(right, last)
    }

    @inlinable @inline(__always)
    static func sameShort(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int) -> Bool {
        if count >= 4 {
            let last = count &- 4
            return left.loadUnaligned(as: UInt32.self) == right.loadUnaligned(as: UInt32.self)
                && left.loadUnaligned(fromByteOffset: last, as: UInt32.self)
                    == right.loadUnaligned(fromByteOffset: last, as: UInt32.self)
        }
        var offset = 0
        while offset < count {
            if byte(left, offset) != byte(right, offset) { return false }
            offset &+= 1
        }
        return true
    }

    @inlinable @inline(__always)
    static func word(_ base: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    /// Whether a backslash is among `count` bytes; made for a few of them.
    @inlinable @inline(__always)
    static func hasBackslash(_ base: UnsafeRawPointer, _ count: Int) -> Bool {
        var offset = 0
        while offset &+ 8 <= count {
            // A byte that is a backslash becomes zero, and a zero borrows from its highest bit.
            let rest = word(base, offset) ^ 0x5C5C_5C5C_5C5C_5C5C
            if (rest &- 0x0101_0101_0101_0101) & ~rest & 0x8080_8080_8080_8080 != 0 { return true }
            offset &+= 8
        }
        while offset < count {
            if byte(base, offset) == 0x5C { return true }
            offset &+= 1
        }
        return false
    }
}
