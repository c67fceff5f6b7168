/// Finding the end of a value in validated text, without looking at what it means.
@usableFromInline
enum ValueSkip {
    @frozen @usableFromInline
    struct Passed {
        /// The offset past the value.
        @usableFromInline let end: Int
        /// As in `JSONView.escapes`.
        @usableFromInline let escapes: UInt8

        @inlinable @inline(__always)
        init(end: Int, escapes: UInt8) {
            self.end = end
            self.escapes = escapes
        }
    }

    /// `at` is at a value or at the end of the range; an unfinished value ends with the range.
    @inlinable @inline(__always)
    static func any(_ base: UnsafeRawPointer, _ at: Int, _ end: Int) -> Passed {
        guard at < end else { return Passed(end: at, escapes: 0) }
        switch ByteScan.byte(base, at) {
        case 0x22: return string(base, at, end)
        case 0x7B, 0x5B: return Passed(end: container(base, at, end), escapes: 0)
        default:
            var past = at
            while past < end, !isDelimiter(ByteScan.byte(base, past)) { past &+= 1 }
            return Passed(end: past, escapes: 0)
        }
    }

    /// `at` is at the opening quote.
    @inlinable @inline(__always)
    static func string(_ base: UnsafeRawPointer, _ at: Int, _ end: Int) -> Passed {
        let stop = ByteScan.firstQuoteOrBackslash(base, at &+ 1, end)
        if stop < end, ByteScan.byte(base, stop) == 0x22 { return Passed(end: stop &+ 1, escapes: 1) }
        return escapedString(base, stop, end)
    }

    @usableFromInline
    static func escapedString(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Passed {
        var at = start
        while at < end {
            if ByteScan.byte(base, at) == 0x22 { return Passed(end: at &+ 1, escapes: 2) }
            at = ByteScan.firstQuoteOrBackslash(base, min(at &+ 2, end), end)
        }
        return Passed(end: end, escapes: 2)
    }

    /// `at` is at the opening bracket.
    @usableFromInline
    static func container(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
        var depth = 0
        var at = start
        while at < end {
            switch ByteScan.byte(base, at) {
            case 0x22: at = string(base, at, end).end
            case 0x7B, 0x5B:
                depth &+= 1
                at &+= 1
            case 0x7D, 0x5D:
                depth &-= 1
                at &+= 1
                if depth == 0 { return at }
            default: at &+= 1
            }
        }
        return end
    }

    @inlinable @inline(__always)
    static func isDelimiter(_ byte: UInt8) -> Bool {
        byte == 0x2C || byte == 0x7D || byte == 0x5D || byte <= 0x20
    }
}
