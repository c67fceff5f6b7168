import JSONBytes

/// Where the elements of a packet's array lie, noted while it was validated: the first two and the last are at
/// hand, those between are found by walking.
@usableFromInline
struct PayloadElements: Sendable {
    @usableFromInline private(set) var count = 0
    @usableFromInline var firstStart = 0
    @usableFromInline var firstEnd = 0
    /// The first is a string without an escape.
    @usableFromInline var isFirstPlain = false
    @usableFromInline var secondStart = 0
    @usableFromInline var secondEnd = 0
    private var lastStart = 0
    private var lastEnd = 0

    init() {}

    @inline(__always)
    mutating func add(_ start: Int, _ end: Int, _ isPlain: Bool) {
        if count == 0 {
            firstStart = start
            firstEnd = end
            isFirstPlain = isPlain
        } else if count == 1 {
            secondStart = start
            secondEnd = end
        }
        lastStart = start
        lastEnd = end
        count &+= 1
    }

    @inlinable @inline(__always)
    func first(in text: UnsafeRawBufferPointer) -> JSONView? {
        view(text, firstStart, firstEnd, isPlain: isFirstPlain)
    }

    @inlinable @inline(__always)
    func second(in text: UnsafeRawBufferPointer) -> JSONView? {
        view(text, secondStart, secondEnd)
    }

    @inline(__always)
    func last(in text: UnsafeRawBufferPointer) -> JSONView? {
        view(text, lastStart, lastEnd)
    }

    func element(_ index: Int, of payload: JSONView, in text: UnsafeRawBufferPointer) -> JSONView? {
        guard index >= 0, index < count else { return nil }
        if index == 0 { return first(in: text) }
        if index == 1 { return second(in: text) }
        if index == count - 1 { return last(in: text) }
        var found: JSONView?
        var at = 0
        payload.forEachElement { element in
            if at == index { found = element }
            at += 1
            return found == nil
        }
        return found
    }

    /// The validation said where it begins and ends. Without elements both are 0.
    @inlinable @inline(__always)
    func view(_ text: UnsafeRawBufferPointer, _ start: Int, _ end: Int, isPlain: Bool = false) -> JSONView? {
        guard start < end, end <= text.count, let base = text.baseAddress else { return nil }
        return JSONView(exactly: UnsafeRawBufferPointer(start: base + start, count: end &- start), isPlain: isPlain)
    }
}
