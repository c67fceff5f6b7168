import JSONBytes

/// Where the elements of a packet's array lie, noted while it was validated: the first two and the last are at
/// hand, those between are found by walking.
struct PayloadElements: Sendable {
    private(set) var count = 0
    private var firstStart = 0
    private var firstEnd = 0
    private var secondStart = 0
    private var secondEnd = 0
    private var lastStart = 0
    private var lastEnd = 0

    init() {}

    @inline(__always)
    mutating func add(_ start: Int, _ end: Int) {
        if count == 0 {
            firstStart = start
            firstEnd = end
        } else if count == 1 {
            secondStart = start
            secondEnd = end
        }
        lastStart = start
        lastEnd = end
        count &+= 1
    }

    @inline(__always)
    func first(in text: UnsafeRawBufferPointer) -> JSONView? {
        view(text, firstStart, firstEnd)
    }

    @inline(__always)
    func last(in text: UnsafeRawBufferPointer) -> JSONView? {
        view(text, lastStart, lastEnd)
    }

    @inline(__always)
    func element(_ index: Int, of payload: JSONView, in text: UnsafeRawBufferPointer) -> JSONView? {
        guard index >= 0, index < count else { return nil }
        if index == 0 { return first(in: text) }
        if index == 1 { return view(text, secondStart, secondEnd) }
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
    @inline(__always)
    private func view(_ text: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> JSONView? {
        guard start < end, end <= text.count else { return nil }
        return JSONView(exactly: UnsafeRawBufferPointer(rebasing: text[start..<end]))
    }
}
