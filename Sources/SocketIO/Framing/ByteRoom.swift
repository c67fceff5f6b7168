import Glibc

/// Bytes of one message that came in pieces. Grows with what has really come, never with what is announced.
final class ByteRoom {
    private static let least = 64 * 1024

    private var base: UnsafeMutableRawPointer?
    private(set) var capacity = 0
    private(set) var count = 0

    deinit { free(base) }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    func removeAll() { count = 0 }

    /// False: there is no memory.
    func append(_ more: UnsafeRawBufferPointer, of total: Int) -> Bool {
        guard let source = more.baseAddress, more.count > 0 else { return true }
        guard makeRoom(more.count, of: total), let base else { return false }
        memcpy(base + count, source, more.count)
        count += more.count
        return true
    }

    /// Free room for reading into, at most `wanted` bytes of the `total` the message will have as far as one knows.
    func space(_ wanted: Int, of total: Int) -> UnsafeMutableRawBufferPointer? {
        if count == capacity {
            guard makeRoom(1, of: total) else { return nil }
        }
        guard let base else { return nil }
        return UnsafeMutableRawBufferPointer(start: base + count, count: min(wanted, capacity - count))
    }

    /// `more` bytes were read into ``space(_:of:)``.
    func grew(by more: Int) { count = min(capacity, count + max(0, more)) }

    private func makeRoom(_ more: Int, of total: Int) -> Bool {
        // Counts are bounded by the largest message, which is far from overflowing.
        let needed = count + more
        guard needed > capacity else { return true }
        let size = max(needed, min(total, max(Self.least, capacity * 2)))
        guard let grown = realloc(base, size) else { return false }
        base = grown
        capacity = size
        return true
    }
}

/// A loop's room for joining, lent to the connection that needs one: idle connections hold none.
final class RoomShelf {
    /// A rare huge message must not keep its size in memory.
    private static let mostKept = 1 << 20

    private var spare: ByteRoom?

    func take() -> ByteRoom {
        defer { spare = nil }
        return spare ?? ByteRoom()
    }

    func putBack(_ room: ByteRoom) {
        guard spare == nil, room.capacity <= Self.mostKept else { return }
        room.removeAll()
        spare = room
    }
}
