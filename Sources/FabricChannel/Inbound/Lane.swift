/// The deliveries of one conversation, in order: a wake delivery holds the lane until its turn is over.
struct Lane: Sendable {
    /// The wake delivery that is being prepared, or is with the gateway.
    private(set) var turn: String?
    private var waiting: [PendingMessage] = []
    private var first = 0

    /// Whether the next message may go out at once.
    @inline(__always) var isFree: Bool { turn == nil && first == waiting.count }
    var isEmpty: Bool { isFree }
    var waitingCount: Int { waiting.count - first }

    /// Queues a message behind the others.
    mutating func enqueue(_ message: PendingMessage) {
        waiting.append(message)
    }

    /// The next message that may go out; nil while a turn runs or nothing waits.
    mutating func next() -> PendingMessage? {
        guard turn == nil, first < waiting.count else { return nil }
        let message = waiting[first]
        first += 1
        if first == waiting.count {
            waiting = []
            first = 0
        } else if first >= 64, first * 2 >= waiting.count {
            waiting.removeFirst(first)
            first = 0
        }
        return message
    }

    /// A wake delivery begins its turn.
    mutating func begin(_ id: String) { turn = id }

    /// The turn is over; false when it is not this lane's present turn (a late report).
    mutating func end(_ id: String) -> Bool {
        guard turn == id else { return false }
        turn = nil
        return true
    }

    /// The messages that wait, for a hand-over.
    var waitingMessages: ArraySlice<PendingMessage> { waiting[first...] }
}
