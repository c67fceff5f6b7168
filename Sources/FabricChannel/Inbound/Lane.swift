import DequeModule

/// The deliveries of one conversation, in order: a wake delivery holds the lane until its turn is over.
struct Lane: Sendable {
    /// The wake delivery that is being prepared, or is with the gateway.
    private(set) var turn: String?
    /// The messages that wait.
    private(set) var waiting: Deque<PendingMessage> = []
    /// So many of them, from the first on, are in the store.
    private var stored = 0
    /// The last of them stays for now: it may be what a rotation waits for this agent to answer. What comes behind it lets it
    /// go.
    private(set) var keepsLast = false

    /// Whether the next message may go out at once.
    @inline(__always) var isFree: Bool { turn == nil && waiting.isEmpty }
    var isEmpty: Bool { isFree }
    var waitingCount: Int { waiting.count }

    /// Queues a message behind the others; `keeping`: it stays until `letGo` or `wakeOnLast`, or something comes behind it.
    mutating func enqueue(_ message: PendingMessage, keeping: Bool = false) {
        waiting.append(message)
        keepsLast = keeping
    }

    /// Queues one that the store has already; only before any other.
    mutating func restore(_ message: PendingMessage) {
        waiting.append(message)
        stored = waiting.count
        keepsLast = false
    }

    /// The last message that waits stays for now.
    mutating func keepLast() { keepsLast = !waiting.isEmpty }

    /// What stayed may go.
    mutating func letGo() { keepsLast = false }

    /// Nothing is before what stays.
    var isReadyForLast: Bool { turn == nil && waiting.count == 1 }

    /// What stayed wakes the agent. Nothing may be before it: the store is told when its turn begins.
    mutating func wakeOnLast() {
        guard keepsLast, waiting.count == 1 else { return }
        keepsLast = false
        waiting[waiting.startIndex].wake = true
    }

    /// The next message that may go out, and whether the store has it; nil while a turn runs or nothing waits.
    mutating func next() -> (message: PendingMessage, isStored: Bool)? {
        guard turn == nil, !keepsLast || waiting.count > 1, let message = waiting.popFirst() else { return nil }
        let isStored = stored > 0
        if isStored { stored -= 1 }
        // A quiet channel keeps no room.
        if waiting.isEmpty { waiting = [] }
        return (message, isStored)
    }

    /// A turn that was not handed over: its message is the next again. The store has it.
    mutating func putBack(_ message: PendingMessage) {
        turn = nil
        waiting.prepend(message)
        stored += 1
    }

    /// The messages that the store does not have yet; it is given them now.
    mutating func takeUnstored() -> [PendingMessage] {
        guard stored < waiting.count else { return [] }
        defer { stored = waiting.count }
        return Array(waiting[stored...])
    }

    /// A wake delivery begins its turn.
    mutating func begin(_ id: String) { turn = id }

    /// The turn is over; false when it is not this lane's present turn (a late report).
    mutating func end(_ id: String) -> Bool {
        guard turn == id else { return false }
        turn = nil
        return true
    }
}
