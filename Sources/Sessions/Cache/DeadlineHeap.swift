/// What the cache wants to be woken for.
enum Alarm: Equatable {
    case renewal(agent: String, generation: UInt64)
    case loginDeadline(agent: String, flight: UInt64)
    case blockRetry(agent: String, generation: UInt64)
    /// A login that waits may be started.
    case turn
    case sweep
}

/// Alarms by time, earliest first. Superseded ones stay until they come up or ``compact(keeping:)`` drops them.
struct DeadlineHeap {
    private var items: [(at: ContinuousClock.Instant, alarm: Alarm)] = []

    var count: Int { items.count }
    var earliest: ContinuousClock.Instant? { items.first?.at }

    mutating func add(_ alarm: Alarm, at time: ContinuousClock.Instant) {
        items.append((time, alarm))
        var child = items.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard items[child].at < items[parent].at else { return }
            items.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes the earliest alarm if its time has come.
    mutating func takeDue(_ now: ContinuousClock.Instant) -> Alarm? {
        guard let first = items.first, first.at <= now else { return nil }
        let last = items.removeLast()
        if !items.isEmpty {
            items[0] = last
            sink()
        }
        return first.alarm
    }

    mutating func compact(keeping isWanted: (Alarm) -> Bool) {
        let kept = items.filter { isWanted($0.alarm) }
        items.removeAll(keepingCapacity: true)
        for item in kept { add(item.alarm, at: item.at) }
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < items.count {
                if items[child].at < items[least].at { least = child }
            }
            guard least != parent else { return }
            items.swapAt(parent, least)
            parent = least
        }
    }
}
