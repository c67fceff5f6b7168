/// Reading strings: escapes undone, one UTF-8 sequence at a time.
struct UnescapedText {
    private let base: UnsafeRawPointer
    private let end: Int
    private var at = 0

    init(base: UnsafeRawPointer, count: Int) {
        self.base = base
        self.end = count
    }

    /// The next Unicode scalar that stood as an escape, or the next byte that stood as it is; nil at the end.
    enum Piece {
        case byte(UInt8)
        case scalar(UInt32)
    }

    mutating func next() -> Piece? {
        guard at < end else { return nil }
        let byte = ByteScan.byte(base, at)
        at += 1
        guard byte == 0x5C else { return .byte(byte) }
        guard at < end else { return .byte(byte) }
        let letter = ByteScan.byte(base, at)
        at += 1
        switch letter {
        case 0x62: return .byte(0x08)
        case 0x66: return .byte(0x0C)
        case 0x6E: return .byte(0x0A)
        case 0x72: return .byte(0x0D)
        case 0x74: return .byte(0x09)
        case 0x75: return .scalar(unicodeEscape())
        default: return .byte(letter)
        }
    }

    /// Stands past the `u`. A surrogate without its partner is U+FFFD.
    private mutating func unicodeEscape() -> UInt32 {
        guard let unit = fourDigits(at) else { return 0xFFFD }
        at += 4
        guard unit >= 0xD800, unit <= 0xDFFF else { return unit }
        guard unit < 0xDC00, at + 6 <= end, ByteScan.byte(base, at) == 0x5C, ByteScan.byte(base, at + 1) == 0x75,
            let low = fourDigits(at + 2), low >= 0xDC00, low <= 0xDFFF
        else { return 0xFFFD }
        at += 6
        return 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
    }

    private func fourDigits(_ start: Int) -> UInt32? {
        guard start + 4 <= end else { return nil }
        var value: UInt32 = 0
        for place in start..<start + 4 {
            guard let digit = JSONBytes.hexadecimal(ByteScan.byte(base, place)) else { return nil }
            value = value << 4 | digit
        }
        return value
    }

    /// Hands every byte of the text to `body` until it returns false; returns false if it was stopped.
    mutating func forEachByte(_ body: (UInt8) -> Bool) -> Bool {
        while let piece = next() {
            switch piece {
            case .byte(let byte):
                guard body(byte) else { return false }
            case .scalar(let value):
                // The value is never a surrogate and at most 0x10FFFF: `unicodeEscape` saw to that.
                for byte in UTF8.encode(Unicode.Scalar(value) ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter {
                    guard body(byte) else { return false }
                }
            }
        }
        return true
    }
}

extension JSONView {
    /// The text of a string with its escapes undone; nil if the value is no string.
    public var string: String? {
        guard let text = stringBytes else { return nil }
        guard isEscaped, let base = text.baseAddress else { return String(decoding: text, as: UTF8.self) }
        // No escape is shorter than the UTF-8 it stands for, so the length of the text suffices.
        return String(unsafeUninitializedCapacity: text.count) { room in
            var reader = UnescapedText(base: base, count: text.count)
            var used = 0
            _ = reader.forEachByte { byte in
                guard used < room.count else { return false }
                room[used] = byte
                used += 1
                return true
            }
            return used
        }
    }

    /// Whether the value is a string that says exactly these UTF-8 bytes. Allocates nothing.
    public func equals(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let own = stringBytes, let base = own.baseAddress, own.count >= text.count else { return false }
        guard isEscaped else {
            guard own.count == text.count else { return false }
            guard let other = text.baseAddress else { return true }
            return ByteScan.same(base, other, own.count)
        }
        return equalsUnescaped(text)
    }

    @usableFromInline
    func equalsUnescaped(_ text: UnsafeRawBufferPointer) -> Bool {
        guard isEscaped, let own = stringBytes, let base = own.baseAddress else { return false }
        var reader = UnescapedText(base: base, count: own.count)
        var matched = 0
        let whole = reader.forEachByte { byte in
            guard matched < text.count, text[matched] == byte else { return false }
            matched += 1
            return true
        }
        return whole && matched == text.count
    }
}
