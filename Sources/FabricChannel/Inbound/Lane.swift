/// The deliveries of one conversation, in order: a wake delivery holds the lane until its turn is over.
struct Lane: Sendable {
    /// The wake delivery that is being prepared, or is with the gateway.
    private(set) var turn: String?
    private var waiting: [PendingMessage] = []
    private var first = 0
    /// The messages up to here are in the store.
    private var stored = 0

    /// Whether the next message may go out at once.
    @inline(__always) var isFree: Bool { turn == nil && first == waiting.count }
    var isEmpty: Bool { isFree }
    var waitingCount: Int { waiting.count - first }

    /// Queues a message behind the others.
    mutating func enqueue(_ message: PendingMessage) {
        waiting.append(message)
    }

    /// Queues one that the store has already; only before any other.
    mutating func restore(_ message: PendingMessage) {
        waiting.append(message)
        stored = waiting.count
    }

    /// The next message that may go out, and whether the store has it; nil while a turn runs or nothing waits.
    mutating func next() -> (message: PendingMessage, isStored: Bool)? {
        guard turn == nil, first < waiting.count else { return nil }
        let message = waiting[first]
        let isStored = first < stored
        first += 1
        if first == waiting.count {
            waiting = []
            first = 0
            stored = 0
        } else if first >= 64, first * 2 >= waiting.count {
            waiting.removeFirst(first)
            stored = max(0, stored - first)
            first = 0
        }
        return (message, isStored)
    }

    /// A turn that was not handed over: its message is the next again. The store has it.
    mutating func putBack(_ message: PendingMessage) {
        turn = nil
        if first > 0 { waiting.removeFirst(first) }
        stored = max(0, stored - first) + 1
        first = 0
        waiting.insert(message, at: 0)
    }

    /// The messages that the store does not have yet; it is given them now.
    mutating func takeUnstored() -> [PendingMessage] {
        let from = max(first, stored)
        guard from < waiting.count else { return [] }
        stored = waiting.count
        return Array(waiting[from...])
    }

    /// A wake delivery begins its turn.
    mutating func begin(_ id: String) { turn = id }

    /// The turn is over; false when it is not this lane's present turn (a late report).
    mutating func end(_ id: String) -> Bool {
        guard turn == id else { return false }
        turn = nil
        return true
    }

    /// The messages that wait.
    var waitingMessages: ArraySlice<PendingMessage> { waiting[first...] }
}
