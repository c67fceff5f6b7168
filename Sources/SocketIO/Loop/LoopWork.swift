/// What other threads (and the loop itself) ask the loop to run, in order.
enum LoopWork: Sendable {
    case job(UnownedJob)
    case body(@Sendable () -> Void)
}

/// The queue between all threads and the loop, behind the loop's lock.
struct LoopQueue {
    enum Mode {
        /// The loop's thread takes work out; it is woken when it may be asleep.
        case running
        /// The loop's thread is tearing down and will look once more.
        case closing
        /// There is no loop's thread; whoever adds work sees to it that somebody runs it.
        case finished
    }

    enum Duty {
        case none
        case wake
        case drain
    }

    var mode = Mode.running
    var isStopping = false
    /// A wake is under way, or the loop is awake and will look before it sleeps.
    var isAwake = true
    var isDraining = false
    private var work: [LoopWork] = []

    mutating func add(_ item: LoopWork) -> Duty {
        work.append(item)
        return duty()
    }

    /// True if the loop must be woken now.
    mutating func wakeOnce() -> Bool {
        guard mode == .running, !isAwake else { return false }
        isAwake = true
        return true
    }

    mutating func stop() -> Duty {
        isStopping = true
        return mode == .running ? duty() : .none
    }

    /// Exchanges the waiting work for an empty array; keeps both arrays' storage in use.
    mutating func take(_ batch: inout [LoopWork]) {
        swap(&work, &batch)
    }

    var isEmpty: Bool { work.isEmpty }

    private mutating func duty() -> Duty {
        switch mode {
        case .running:
            guard !isAwake else { return .none }
            isAwake = true
            return .wake
        case .closing:
            return .none
        case .finished:
            guard !isDraining else { return .none }
            isDraining = true
            return .drain
        }
    }
}
