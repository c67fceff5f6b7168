/// Logins that wait for a slot, first come first served; removal costs nothing.
struct LoginQueue {
    private var order: [(agent: String, flight: UInt64)] = []
    private var head = 0
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
        if waiting.isEmpty {
            order.removeAll()
            head = 0
        }
    }

    mutating func next() -> (agent: String, flight: UInt64)? {
        while head < order.count {
            let item = order[head]
            head += 1
            guard waiting.remove(item.flight) != nil else { continue }
            if head > 64, head * 2 > order.count {
                order.removeFirst(head)
                head = 0
            }
            return item
        }
        order.removeAll()
        head = 0
        return nil
    }
}
