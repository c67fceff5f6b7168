/// Validation of JSON text in place: no tree, no allocation, no recursion.
public enum JSONBytes {
    /// The deepest nesting that can be asked for; larger requests are lowered to it.
    @inlinable public static var deepestNesting: Int { 64 }

    /// Validates one JSON value and returns the offset just past it.
    ///
    /// The grammar is RFC 8259, strictly, and the bytes must be UTF-8 (no overlong forms, no surrogates, nothing above
    /// U+10FFFF). Leading white space is skipped; what follows the value is the caller's to judge. Numbers are checked
    /// by their grammar, not their size: `1e999` is valid here and has no `double`. An escaped lone surrogate
    /// (`\uD800`) is valid, as in the RFC, and decodes to U+FFFD.
    ///
    /// - Parameters:
    ///   - bytes: the text; nothing outside is read.
    ///   - offset: where to begin, in bytes from the beginning of `bytes`.
    ///   - maximumDepth: how many brackets may be open at once, at most ``deepestNesting``.
    ///   - isUTF8: whether the bytes are known to be UTF-8; then that is not looked at again, and text that is not ASCII
    ///     is passed as fast as any.
    /// - Throws: ``JSONSyntaxError`` with the offset of the first offending byte.
    public static func validate(
        _ bytes: UnsafeRawBufferPointer, from offset: Int = 0, maximumDepth: Int = 64, isUTF8: Bool = false
    ) throws(JSONSyntaxError) -> Int {
        let (base, limit) = try begin(bytes, offset, maximumDepth)
        let at = ByteScan.skipSpace(base, offset, bytes.count)
        return try passValue(base, at, bytes.count, isUTF8, limit)
    }

    /// As ``validate(_:from:maximumDepth:isUTF8:)``, and reports the place of each element of the outermost array as it
    /// passes, so that a caller needs no second walk to find them. Nothing is reported for an object or a scalar.
    ///
    /// A call does not mean that the whole text is valid; only the return does.
    /// - Parameters:
    ///   - bytes: the text; nothing outside is read.
    ///   - offset: where to begin, in bytes from the beginning of `bytes`.
    ///   - maximumDepth: how many brackets may be open at once, at most ``deepestNesting``.
    ///   - isUTF8: whether the bytes are known to be UTF-8.
    ///   - notes: where the members of the second element are noted, if it is an object.
    ///   - element: called with the offsets of the first byte of an element and of the byte past it, and whether it is a
    ///     string that is known to have no escape in it.
    @inlinable @inline(__always)
    public static func validate(
        _ bytes: UnsafeRawBufferPointer, from offset: Int, maximumDepth: Int, isUTF8: Bool = false,
        notes: JSONNotes? = nil, element: (_ start: Int, _ end: Int, _ isPlain: Bool) -> Void
    ) throws(JSONSyntaxError) -> Int {
        let (base, limit) = try begin(bytes, offset, maximumDepth)
        notes?.removeAll()
        let end = bytes.count
        var at = ByteScan.skipSpace(base, offset, end)
        guard at < end, ByteScan.byte(base, at) == 0x5B, limit > 0 else {
            return try passValue(base, at, end, isUTF8, limit)
        }
        at = ByteScan.skipSpace(base, at &+ 1, end)
        if at < end, ByteScan.byte(base, at) == 0x5D { return at &+ 1 }
        var index = 0
        while true {
            let start = at
            var isPlain = false
            if index == 1, let notes, at < end, ByteScan.byte(base, at) == 0x7B, limit > 1 {
                at = try passNotedObject(base, at, end, isUTF8, limit &- 1, notes)
            } else if at < end, ByteScan.byte(base, at) == 0x22 {
                let string = try passString(base, at &+ 1, end, isUTF8)
                at = string.end
                isPlain = string.escapes == 1
            } else {
                at = try passValue(base, at, end, isUTF8, limit &- 1)
            }
            element(start, at, isPlain)
            index &+= 1
            at = ByteScan.skipSpace(base, at, end)
            guard at < end else { throw JSONSyntaxError(offset: end, reason: .unexpectedEnd) }
            let next = ByteScan.byte(base, at)
            if next == 0x5D { return at &+ 1 }
            guard next == 0x2C else { throw JSONSyntaxError(offset: at, reason: .expectedCommaOrEnd) }
            at = ByteScan.skipSpace(base, at &+ 1, end)
        }
    }

    @inlinable @inline(__always)
    static func begin(
        _ bytes: UnsafeRawBufferPointer, _ offset: Int, _ maximumDepth: Int
    ) throws(JSONSyntaxError) -> (base: UnsafeRawPointer, limit: Int) {
        guard offset >= 0, offset <= bytes.count else {
            throw JSONSyntaxError(offset: offset, reason: .invalidOffset)
        }
        guard let base = bytes.baseAddress else { throw JSONSyntaxError(offset: 0, reason: .unexpectedEnd) }
        return (base, min(maximumDepth, deepestNesting))
    }

    /// `at` is at an opening brace; returns the offset past the closing one, with each member noted.
    @usableFromInline
    static func passNotedObject(
        _ base: UnsafeRawPointer, _ start: Int, _ end: Int, _ isUTF8: Bool, _ limit: Int, _ notes: JSONNotes
    ) throws(JSONSyntaxError) -> Int {
        var at = ByteScan.skipSpace(base, start &+ 1, end)
        if at < end, ByteScan.byte(base, at) == 0x7D { return at &+ 1 }
        var count = 0
        while true {
            let keyStart = at
            guard at < end else { throw JSONSyntaxError(offset: end, reason: .unexpectedEnd) }
            guard ByteScan.byte(base, at) == 0x22 else { throw JSONSyntaxError(offset: at, reason: .expectedKey) }
            let key = try passString(base, at &+ 1, end, isUTF8)
            at = ByteScan.skipSpace(base, key.end, end)
            guard at < end else { throw JSONSyntaxError(offset: end, reason: .unexpectedEnd) }
            guard ByteScan.byte(base, at) == 0x3A else { throw JSONSyntaxError(offset: at, reason: .expectedColon) }
            at = ByteScan.skipSpace(base, at &+ 1, end)
            let valueStart = at
            var escapes: UInt8 = 0
            if at < end, ByteScan.byte(base, at) == 0x22 {
                let string = try passString(base, at &+ 1, end, isUTF8)
                at = string.end
                escapes = string.escapes
            } else {
                at = try passPlainValue(base, at, end, isUTF8, limit &- 1)
            }
            notes.note(
                JSONPlace(start: keyStart, end: key.end, escapes: key.escapes),
                JSONPlace(start: valueStart, end: at, escapes: escapes), at: count)
            count &+= 1
            at = ByteScan.skipSpace(base, at, end)
            guard at < end else { throw JSONSyntaxError(offset: end, reason: .unexpectedEnd) }
            let next = ByteScan.byte(base, at)
            if next == 0x7D {
                notes.end(count, isWhole: end < JSONPlace.longestText)
                return at &+ 1
            }
            guard next == 0x2C else { throw JSONSyntaxError(offset: at, reason: .expectedCommaOrEnd) }
            at = ByteScan.skipSpace(base, at &+ 1, end)
        }
    }

    /// As `passValue`, without a call for what is usual besides strings: a whole number, a word.
    @inline(__always)
    private static func passPlainValue(
        _ base: UnsafeRawPointer, _ start: Int, _ end: Int, _ isUTF8: Bool, _ limit: Int
    ) throws(JSONSyntaxError) -> Int {
        guard start < end else { throw JSONSyntaxError(offset: end, reason: .unexpectedEnd) }
        switch ByteScan.byte(base, start) {
        case 0x31...0x39:
            var at = start &+ 1
            while at < end, isDigit(ByteScan.byte(base, at)) { at &+= 1 }
            if at < end, ByteScan.byte(base, at) == 0x2C || ByteScan.byte(base, at) == 0x7D { return at }
        case 0x74, 0x66, 0x6E: return try passLiteral(base, start, end)
        default: break
        }
        return try passValue(base, start, end, isUTF8, limit)
    }

    /// `at` is at a value or at the end; returns the offset past the value.
    @usableFromInline
    static func passValue(
        _ base: UnsafeRawPointer, _ start: Int, _ end: Int, _ isUTF8: Bool, _ limit: Int
    ) throws(JSONSyntaxError) -> Int {
        // One bit per open bracket, the innermost lowest: 1 is an object, 0 an array.
        var nesting: UInt64 = 0
        var depth = 0
        var at = start

        value: while true {
            guard at < end else { throw JSONSyntaxError(offset: end, reason: .unexpectedEnd) }
            switch ByteScan.byte(base, at) {
            case 0x22:
                at = try passString(base, at &+ 1, end, isUTF8).end
            case 0x7B:
                guard depth < limit else { throw JSONSyntaxError(offset: at, reason: .tooDeep) }
                at = ByteScan.skipSpace(base, at &+ 1, end)
                if at < end, ByteScan.byte(base, at) == 0x7D {
                    at &+= 1
                } else {
                    nesting = nesting &<< 1 | 1
                    depth &+= 1
                    at = try passKey(base, at, end, isUTF8)
                    continue value
                }
            case 0x5B:
                guard depth < limit else { throw JSONSyntaxError(offset: at, reason: .tooDeep) }
                at = ByteScan.skipSpace(base, at &+ 1, end)
                if at < end, ByteScan.byte(base, at) == 0x5D {
                    at &+= 1
                } else {
                    nesting = nesting &<< 1
                    depth &+= 1
                    continue value
                }
            case 0x2D, 0x30...0x39:
                at = try passNumber(base, at, end)
            case 0x74, 0x66, 0x6E:
                at = try passLiteral(base, at, end)
            default:
                throw JSONSyntaxError(offset: at, reason: .expectedValue)
            }

            while true {
                if depth == 0 { return at }
                at = ByteScan.skipSpace(base, at, end)
                guard at < end else { throw JSONSyntaxError(offset: end, reason: .unexpectedEnd) }
                let next = ByteScan.byte(base, at)
                let isObject = nesting & 1 == 1
                if next == 0x2C {
                    at = ByteScan.skipSpace(base, at &+ 1, end)
                    if isObject { at = try passKey(base, at, end, isUTF8) }
                    continue value
                }
                guard next == (isObject ? 0x7D : 0x5D) else {
                    throw JSONSyntaxError(offset: at, reason: .expectedCommaOrEnd)
                }
                at &+= 1
                nesting &>>= 1
                depth &-= 1
            }
        }
    }

    /// Validates a text that is to hold one JSON value and white space, nothing else.
    public static func validateWhole(
        _ bytes: UnsafeRawBufferPointer, maximumDepth: Int = 64
    ) throws(JSONSyntaxError) {
        let after = try validate(bytes, from: 0, maximumDepth: maximumDepth)
        guard let base = bytes.baseAddress else { return }
        let rest = ByteScan.skipSpace(base, after, bytes.count)
        guard rest == bytes.count else { throw JSONSyntaxError(offset: rest, reason: .trailingBytes) }
    }

    /// `at` is where the opening quote of a key should be; returns the first byte of its value.
    @inlinable @inline(__always)
    static func passKey(
        _ base: UnsafeRawPointer, _ at: Int, _ end: Int, _ isUTF8: Bool
    ) throws(JSONSyntaxError) -> Int {
        guard at < end else { throw JSONSyntaxError(offset: end, reason: .unexpectedEnd) }
        guard ByteScan.byte(base, at) == 0x22 else { throw JSONSyntaxError(offset: at, reason: .expectedKey) }
        let colon = ByteScan.skipSpace(base, try passString(base, at &+ 1, end, isUTF8).end, end)
        guard colon < end else { throw JSONSyntaxError(offset: end, reason: .unexpectedEnd) }
        guard ByteScan.byte(base, colon) == 0x3A else { throw JSONSyntaxError(offset: colon, reason: .expectedColon) }
        return ByteScan.skipSpace(base, colon &+ 1, end)
    }

    /// `at` is the first byte after the opening quote; the end is the offset past the closing one.
    @inlinable @inline(__always)
    static func passString(
        _ base: UnsafeRawPointer, _ at: Int, _ end: Int, _ isUTF8: Bool
    ) throws(JSONSyntaxError) -> ValueSkip.Passed {
        let at = isUTF8 ? ByteScan.firstToEscape(base, at, end) : ByteScan.firstSpecial(base, at, end)
        if at < end, ByteScan.byte(base, at) == 0x22 { return ValueSkip.Passed(end: at &+ 1, escapes: 1) }
        // Known UTF-8 stops there only for a backslash, or because it is wrong.
        return ValueSkip.Passed(end: try passUncommonString(base, at, end, isUTF8), escapes: isUTF8 ? 2 : 0)
    }

    /// The rest of a string from its first escape or non-ASCII byte on.
    @usableFromInline
    static func passUncommonString(
        _ base: UnsafeRawPointer, _ start: Int, _ end: Int, _ isUTF8: Bool
    ) throws(JSONSyntaxError) -> Int {
        var at = start
        while at < end {
            let byte = ByteScan.byte(base, at)
            if byte == 0x22 { return at &+ 1 }
            if byte == 0x5C {
                at = try passEscape(base, at, end)
            } else if byte >= 0x80 {
                at = try passMultibyte(base, at, end)
                // Text in other scripts comes in runs: stay here instead of going round by the block search.
                while at < end, ByteScan.byte(base, at) >= 0x80 { at = try passMultibyte(base, at, end) }
            } else if byte < 0x20 {
                throw JSONSyntaxError(offset: at, reason: .controlCharacter)
            }
            at = isUTF8 ? ByteScan.firstToEscape(base, at, end) : ByteScan.firstSpecial(base, at, end)
        }
        throw JSONSyntaxError(offset: end, reason: .unexpectedEnd)
    }

    @inline(__always)
    private static func passEscape(
        _ base: UnsafeRawPointer, _ at: Int, _ end: Int
    ) throws(JSONSyntaxError) -> Int {
        guard at &+ 1 < end else { throw JSONSyntaxError(offset: end, reason: .unexpectedEnd) }
        switch ByteScan.byte(base, at &+ 1) {
        case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74:
            return at &+ 2
        case 0x75:
            for place in 2..<6 {
                guard at &+ place < end else { throw JSONSyntaxError(offset: end, reason: .unexpectedEnd) }
                guard hexadecimal(ByteScan.byte(base, at &+ place)) != nil else {
                    throw JSONSyntaxError(offset: at, reason: .invalidEscape)
                }
            }
            return at &+ 6
        default:
            throw JSONSyntaxError(offset: at, reason: .invalidEscape)
        }
    }

    @inline(__always)
    private static func passMultibyte(
        _ base: UnsafeRawPointer, _ at: Int, _ end: Int
    ) throws(JSONSyntaxError) -> Int {
        let length = UTF8Form.length(base, at, end)
        if length > 0 { return at &+ length }
        let reason: JSONSyntaxError.Reason = length < 0 ? .unexpectedEnd : .invalidUTF8
        throw JSONSyntaxError(offset: length < 0 ? end : at, reason: reason)
    }

    @inlinable @inline(__always)
    static func passLiteral(_ base: UnsafeRawPointer, _ at: Int, _ end: Int) throws(JSONSyntaxError) -> Int {
        let first = ByteScan.byte(base, at)
        let length = first == 0x66 ? 5 : 4
        guard at &+ length <= end else { throw shortLiteral(base, at, end) }
        let word = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt32.self))
        switch word {
        case 0x6575_7274: return at &+ 4  // true
        case 0x6C6C_756E: return at &+ 4  // null
        case 0x736C_6166 where ByteScan.byte(base, at &+ 4) == 0x65: return at &+ 5  // false
        default: throw JSONSyntaxError(offset: at, reason: .invalidLiteral)
        }
    }

    /// A text that ends inside a word is cut off if the word began well, and wrong otherwise.
    @usableFromInline
    static func shortLiteral(_ base: UnsafeRawPointer, _ at: Int, _ end: Int) -> JSONSyntaxError {
        let words: [StaticString] = ["true", "false", "null"]
        for word in words where word.utf8CodeUnitCount > end - at {
            if ByteScan.same(base + at, UnsafeRawPointer(word.utf8Start), end - at) {
                return JSONSyntaxError(offset: end, reason: .unexpectedEnd)
            }
        }
        return JSONSyntaxError(offset: at, reason: .invalidLiteral)
    }

    @inlinable
    static func passNumber(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) throws(JSONSyntaxError) -> Int {
        var at = start
        if ByteScan.byte(base, at) == 0x2D { at &+= 1 }
        guard at < end else { throw JSONSyntaxError(offset: end, reason: .unexpectedEnd) }
        if ByteScan.byte(base, at) == 0x30 {
            at &+= 1
            if at < end, isDigit(ByteScan.byte(base, at)) {
                throw JSONSyntaxError(offset: start, reason: .invalidNumber)
            }
        } else {
            at = try passDigits(base, at, end, start)
        }
        if at < end, ByteScan.byte(base, at) == 0x2E {
            at = try passDigits(base, at &+ 1, end, start)
        }
        if at < end, ByteScan.byte(base, at) | 0x20 == 0x65 {
            at &+= 1
            if at < end, ByteScan.byte(base, at) == 0x2B || ByteScan.byte(base, at) == 0x2D { at &+= 1 }
            at = try passDigits(base, at, end, start)
        }
        return at
    }

    @inlinable @inline(__always)
    static func passDigits(
        _ base: UnsafeRawPointer, _ at: Int, _ end: Int, _ start: Int
    ) throws(JSONSyntaxError) -> Int {
        guard at < end else { throw JSONSyntaxError(offset: end, reason: .unexpectedEnd) }
        guard isDigit(ByteScan.byte(base, at)) else { throw JSONSyntaxError(offset: start, reason: .invalidNumber) }
        var at = at &+ 1
        while at < end, isDigit(ByteScan.byte(base, at)) { at &+= 1 }
        return at
    }

    @inlinable @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    static func hexadecimal(_ byte: UInt8) -> UInt32? {
        switch byte {
        case 0x30...0x39: UInt32(byte - 0x30)
        case 0x41...0x46: UInt32(byte - 0x41 + 10)
        case 0x61...0x66: UInt32(byte - 0x61 + 10)
        default: nil
        }
    }
}
