/// Pending timers ordered by deadline, then by the order they were added.
///
/// A cancelled timer leaves its place at once and its slot in the heap later: slots of dead timers
/// are dropped when they reach the top, and all together when they are the majority.
struct TimerHeap<Body> {
    private struct Slot {
        var deadline: ContinuousClock.Instant
        var id: UInt64

        func isBefore(_ other: Slot) -> Bool {
            deadline != other.deadline ? deadline < other.deadline : id < other.id
        }
    }

    private var slots: [Slot] = []
    private var bodies: [UInt64: Body] = [:]

    var count: Int { bodies.count }

    /// Adds a timer. `id` must be new; a larger one fires later at the same deadline.
    mutating func add(_ id: UInt64, at deadline: ContinuousClock.Instant, _ body: Body) {
        bodies[id] = body
        slots.append(Slot(deadline: deadline, id: id))
        siftUp(slots.count - 1)
    }

    /// Takes a timer out; nil if it has fired or was cancelled before.
    @discardableResult
    mutating func cancel(_ id: UInt64) -> Body? {
        guard let body = bodies.removeValue(forKey: id) else { return nil }
        if slots.count > 64, slots.count > bodies.count * 2 {
            slots.removeAll { bodies[$0.id] == nil }
            for index in stride(from: slots.count / 2, through: 0, by: -1) { siftDown(index) }
        }
        return body
    }

    /// The deadline of the timer that fires next.
    mutating func next() -> ContinuousClock.Instant? {
        dropDead()
        return slots.first?.deadline
    }

    /// Takes out the first timer that is due at `now`.
    mutating func popDue(_ now: ContinuousClock.Instant) -> Body? {
        dropDead()
        guard let first = slots.first, first.deadline <= now else { return nil }
        removeFirst()
        return bodies.removeValue(forKey: first.id)
    }

    mutating func removeAll() {
        slots = []
        bodies = [:]
    }

    private mutating func dropDead() {
        while let first = slots.first, bodies[first.id] == nil { removeFirst() }
    }

    private mutating func removeFirst() {
        let last = slots.removeLast()
        guard !slots.isEmpty else { return }
        slots[0] = last
        siftDown(0)
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            guard slots[index].isBefore(slots[parent]) else { return }
            slots.swapAt(index, parent)
            index = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < slots.count {
                if slots[child].isBefore(slots[least]) { least = child }
            }
            guard least != index else { return }
            slots.swapAt(index, least)
            index = least
        }
    }
}
