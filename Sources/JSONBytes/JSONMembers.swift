/// Where a value stands in a text: eight bytes, where a view has twenty-four.
@frozen
public struct JSONPlace: Sendable {
    /// From the beginning of the text. Bytes.
    public let start: UInt32
    /// The length, and in the two highest bits what is known of escapes, as in `JSONView.escapes`.
    @usableFromInline let word: UInt32

    /// Texts of this length and more have no places. Bytes.
    @inlinable public static var longestText: Int { 1 << 30 }

    @inlinable @inline(__always)
    init(start: Int, end: Int, escapes: UInt8) {
        self.start = UInt32(truncatingIfNeeded: start)
        word = UInt32(truncatingIfNeeded: end &- start) & 0x3FFF_FFFF | UInt32(escapes) &<< 30
    }

    /// No place at all.
    @inlinable @inline(__always)
    public init() {
        start = 0
        word = 0
    }

    /// The place of a view in the text it is a view of, which must be shorter than ``longestText``.
    @inlinable @inline(__always)
    public init(of view: JSONView, in text: UnsafeRawPointer) {
        guard let base = view.base else {
            self.init()
            return
        }
        let start = base - text
        self.init(start: start, end: start &+ view.count, escapes: view.escapes)
    }

    /// How long the value is, a string with its quotes. Bytes; 0: there is none.
    @inlinable public var count: Int { Int(word & 0x3FFF_FFFF) }

    /// The value, in the text that the place was taken in.
    @inlinable @inline(__always)
    public func view(in text: UnsafeRawPointer) -> JSONView {
        JSONView(base: text + Int(start), count: count, escapes: UInt8(truncatingIfNeeded: word &>> 30))
    }
}

/// The members of an object, noted while its text was validated: going through them needs no second walk over the text.
///
/// Good only as long as the text, and until the notes are used again.
@frozen
public struct JSONMembers {
    @usableFromInline let text: UnsafeRawPointer
    @usableFromInline let notes: UnsafePointer<JSONNotes.Member>
    /// How many there are.
    public let count: Int

    @inlinable @inline(__always)
    init(text: UnsafeRawPointer, notes: UnsafePointer<JSONNotes.Member>, count: Int) {
        self.text = text
        self.notes = notes
        self.count = count
    }

    /// As `JSONView.forEachMember(_:)` of the object.
    @inlinable @inline(__always)
    public func forEachMember(_ body: (_ key: JSONView, _ value: JSONView) -> Bool) {
        var at = 0
        while at < count {
            guard body(notes[at].key.view(in: text), notes[at].value.view(in: text)) else { return }
            at &+= 1
        }
    }
}

@available(*, unavailable, message: "members are good only while the bytes under them are")
extension JSONMembers: Sendable {}

/// What is noted of a text while it is validated: the members of one object. Room to be used again and again; whoever
/// makes it sees to its end with ``deallocate()``.
@frozen
public struct JSONNotes {
    @frozen @usableFromInline
    struct Member {
        @usableFromInline let key: JSONPlace
        @usableFromInline let value: JSONPlace

        @inlinable @inline(__always)
        init(key: JSONPlace, value: JSONPlace) {
            self.key = key
            self.value = value
        }
    }

    /// How many members an object may have; those of one that has more are not noted.
    static let capacity = 64

    @usableFromInline let room: UnsafeMutablePointer<Member>
    @usableFromInline let count: UnsafeMutablePointer<Int>

    /// Makes room for the members of one object.
    public init() {
        room = .allocate(capacity: Self.capacity)
        count = .allocate(capacity: 1)
        count.initialize(to: 0)
    }

    /// Gives the room back.
    public func deallocate() {
        room.deallocate()
        count.deallocate()
    }

    /// The members that were noted, of an object in `text`; nil: none were.
    @inlinable @inline(__always)
    public func members(in text: UnsafeRawBufferPointer) -> JSONMembers? {
        guard count.pointee > 0, let base = text.baseAddress else { return nil }
        return JSONMembers(text: base, notes: UnsafePointer(room), count: count.pointee)
    }

    @inlinable @inline(__always)
    func removeAll() { count.pointee = 0 }

    @inline(__always)
    func note(_ key: JSONPlace, _ value: JSONPlace, at index: Int) {
        guard index < Self.capacity else { return }
        (room + index).initialize(to: Member(key: key, value: value))
    }

    /// So many members were noted.
    @inline(__always)
    func end(_ noted: Int, isWhole: Bool) { count.pointee = isWhole && noted <= Self.capacity ? noted : 0 }
}

@available(*, unavailable, message: "notes are for one thread at a time")
extension JSONNotes: Sendable {}
