/// What a JSON value is.
public enum JSONKind: Sendable { case null, bool, number, string, array, object }

/// A view of one value inside validated text: three words, no reference counting, no allocation.
///
/// It is good only as long as the bytes are, and is not `Sendable`. It is made for text that
/// ``JSONBytes/validate(_:from:maximumDepth:isUTF8:)`` accepted; over other text its answers mean nothing, but it never reads
/// outside its range and never traps.
@frozen
public struct JSONView {
    @usableFromInline let base: UnsafeRawPointer?
    @usableFromInline let count: Int
    /// Whether a backslash stands in the string: 0 not looked yet, 1 no, 2 yes.
    @usableFromInline let escapes: UInt8

    /// The value between two offsets of `validated`. White space at either end is dropped, and offsets outside the
    /// buffer are moved to its edge.
    @inlinable
    public init(validated: UnsafeRawBufferPointer, start: Int, end: Int) {
        let last = max(0, min(end, validated.count))
        let first = max(0, min(start, last))
        guard let base = validated.baseAddress else {
            self.init(base: nil, count: 0, escapes: 0)
            return
        }
        let begin = ByteScan.skipSpace(base, first, last)
        var past = last
        while past > begin, ByteScan.isSpace(ByteScan.byte(base, past &- 1)) { past &-= 1 }
        self.init(base: base + begin, count: past &- begin, escapes: 0)
    }

    /// The value that is exactly these bytes, without white space at either end, `isPlain` as it was reported: what
    /// ``JSONBytes/validate(_:from:maximumDepth:isUTF8:notes:element:)`` reported, or the ``rawBytes`` of another view.
    @inlinable @inline(__always)
    public init(exactly bytes: UnsafeRawBufferPointer, isPlain: Bool = false) {
        self.init(base: bytes.baseAddress, count: bytes.count, escapes: isPlain ? 1 : 0)
    }

    @inlinable @inline(__always)
    init(base: UnsafeRawPointer?, count: Int, escapes: UInt8) {
        self.base = base
        self.count = count
        self.escapes = escapes
    }

    @inlinable @inline(__always)
    var first: UInt8 {
        guard let base, count > 0 else { return 0 }
        return ByteScan.byte(base, 0)
    }

    /// What the value is, judged by its first byte; an empty view is `null`.
    @inlinable @inline(__always)
    public var kind: JSONKind {
        switch first {
        case 0x22: .string
        case 0x7B: .object
        case 0x5B: .array
        case 0x74, 0x66: .bool
        case 0x2D, 0x30...0x39: .number
        default: .null
        }
    }

    /// The whole value as it stands in the text, a string with its quotes.
    @inlinable
    public var rawBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// What stands between the quotes of a string, still escaped; nil if the value is no string.
    @inlinable
    public var stringBytes: UnsafeRawBufferPointer? {
        guard let base, isString else { return nil }
        return UnsafeRawBufferPointer(start: base + 1, count: count &- 2)
    }

    @inlinable @inline(__always)
    var isString: Bool {
        guard let base, count >= 2 else { return false }
        return ByteScan.byte(base, 0) == 0x22 && ByteScan.byte(base, count &- 1) == 0x22
    }

    /// Whether the value is a string with a backslash in it.
    @inlinable
    public var isEscaped: Bool {
        guard let base, isString else { return false }
        if escapes != 0 { return escapes == 2 }
        var at = 1
        while at < count &- 1 {
            at = ByteScan.firstQuoteOrBackslash(base, at, count &- 1)
            if at < count &- 1, ByteScan.byte(base, at) == 0x5C { return true }
            at &+= 1
        }
        return false
    }

    /// Whether the value is `null`; true of an empty view too.
    @inlinable @inline(__always)
    public var isNull: Bool { first == 0x6E || count == 0 }

    /// The value of `true` or `false`; nil for anything else.
    @inlinable
    public var bool: Bool? {
        switch first {
        case 0x74: count == 4 ? true : nil
        case 0x66: count == 5 ? false : nil
        default: nil
        }
    }

    /// Whether the value is a string that says exactly `text`. Allocates nothing.
    @inlinable @inline(__always)
    public func equals(_ text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        // No escape is shorter than what it stands for, so a shorter string cannot be equal.
        guard let base, length &+ 2 <= count, text.hasPointerRepresentation else { return false }
        if length &+ 2 == count {
            return ByteScan.byte(base, 0) == 0x22 && ByteScan.byte(base, count &- 1) == 0x22
                && ByteScan.same(base + 1, UnsafeRawPointer(text.utf8Start), length) && escapes != 2
                // The same bytes: a backslash in the one is a backslash in the other.
                && (escapes == 1 || !ByteScan.hasBackslash(UnsafeRawPointer(text.utf8Start), length))
        }
        return escapes != 1 && equalsUnescaped(UnsafeRawBufferPointer(start: text.utf8Start, count: length))
    }

    /// Whether the value is a string that is known to have no escape in it.
    @inlinable @inline(__always)
    public var isPlain: Bool { escapes == 1 }

    /// As `equals`, of a value that ``isPlain``.
    @inlinable @inline(__always)
    public func equals(plain text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        guard let base, length &+ 2 == count else { return false }
        return ByteScan.same(base + 1, UnsafeRawPointer(text.utf8Start), length)
    }

    /// Calls `body` with every member of an object in the order of the text, until it returns false. Does nothing if
    /// the value is no object. A key that occurs twice is reported twice.
    @inlinable @inline(__always)
    public func forEachMember(_ body: (_ key: JSONView, _ value: JSONView) -> Bool) {
        guard let base, count >= 2, ByteScan.byte(base, 0) == 0x7B else { return }
        var at = 1
        while true {
            at = ByteScan.skipSpace(base, at, count)
            guard at < count, ByteScan.byte(base, at) == 0x22 else { return }
            let key = ValueSkip.string(base, at, count)
            let keyStart = at
            at = ByteScan.skipSpace(base, key.end, count)
            guard at < count, ByteScan.byte(base, at) == 0x3A else { return }
            at = ByteScan.skipSpace(base, at &+ 1, count)
            let value = ValueSkip.any(base, at, count)
            guard value.end > at else { return }
            let goesOn = body(
                JSONView(base: base + keyStart, count: key.end &- keyStart, escapes: key.escapes),
                JSONView(base: base + at, count: value.end &- at, escapes: value.escapes))
            guard goesOn else { return }
            at = ByteScan.skipSpace(base, value.end, count)
            guard at < count, ByteScan.byte(base, at) == 0x2C else { return }
            at &+= 1
        }
    }

    /// Calls `body` with every element of an array in order, until it returns false. Does nothing if the value is no
    /// array.
    @inlinable @inline(__always)
    public func forEachElement(_ body: (_ element: JSONView) -> Bool) {
        guard let base, count >= 2, ByteScan.byte(base, 0) == 0x5B else { return }
        var at = 1
        while true {
            at = ByteScan.skipSpace(base, at, count)
            let value = ValueSkip.any(base, at, count)
            guard value.end > at else { return }
            guard body(JSONView(base: base + at, count: value.end &- at, escapes: value.escapes)) else { return }
            at = ByteScan.skipSpace(base, value.end, count)
            guard at < count, ByteScan.byte(base, at) == 0x2C else { return }
            at &+= 1
        }
    }

    /// The value of the last member named `key`, as other readers take it; nil if there is none or this is no object.
    /// For cold paths: it walks the whole object.
    public subscript(_ key: String) -> JSONView? {
        var found: JSONView?
        var key = key
        key.withUTF8 { wanted in
            forEachMember { name, value in
                if name.equals(UnsafeRawBufferPointer(wanted)) { found = value }
                return true
            }
        }
        return found
    }
}

@available(*, unavailable, message: "a view is good only while the bytes under it are")
extension JSONView: Sendable {}
