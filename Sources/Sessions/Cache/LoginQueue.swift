import DequeModule

/// Logins that wait for a slot, first come first served; removal costs nothing.
struct LoginQueue {
    private var order: Deque<(agent: String, flight: UInt64)> = []
    private var waiting: Set<UInt64> = []

    var count: Int { waiting.count }
    /// Places held in memory, removed ones included.
    var places: Int { order.count }

    mutating func add(_ agent: String, _ flight: UInt64) {
        order.append((agent, flight))
        waiting.insert(flight)
    }

    mutating func remove(_ flight: UInt64) {
        waiting.remove(flight)
        if waiting.isEmpty { order.removeAll() }
    }

    mutating func next() -> (agent: String, flight: UInt64)? {
        while let item = order.popFirst() {
            if waiting.remove(item.flight) != nil { return item }
        }
        return nil
    }
}
