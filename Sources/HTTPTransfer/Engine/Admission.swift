import DequeModule

/// Who may start. libcurl would open a connection for every transfer it is given (or keep it in a queue of its own,
/// where no deadline of ours reaches it), so it is given only as many as a host may have.
///
/// Files are held to half of them: eight slow attachments must not keep a ten-line message waiting.
struct Admission {
    struct Limits {
        /// At once per origin, of HTTP/1.1.
        var perOrigin: Int
        /// At once per origin once it answered with HTTP/2, where they share a connection.
        var perMultiplexedOrigin: Int
    }

    private struct Lane {
        var running = 0
        var runningFiles = 0
        var requests = Deque<UInt64>()
        var files = Deque<UInt64>()
        var isMultiplexed = false
        var isIdle: Bool { running == 0 && requests.isEmpty && files.isEmpty }
    }

    private let limits: Limits
    private var lanes: [HTTPOrigin: Lane] = [:]
    /// Origins where something may start.
    private var changed: Set<HTTPOrigin> = []

    init(_ limits: Limits) { self.limits = limits }

    mutating func enqueue(_ id: UInt64, _ origin: HTTPOrigin, isFile: Bool) {
        if isFile {
            lanes[origin, default: Lane()].files.append(id)
        } else {
            lanes[origin, default: Lane()].requests.append(id)
        }
        changed.insert(origin)
    }

    /// Those to start now, in order; requests before files.
    mutating func start() -> [UInt64] {
        var started: [UInt64] = []
        for origin in changed {
            guard var lane = lanes[origin] else { continue }
            let limit = max(lane.isMultiplexed ? limits.perMultiplexedOrigin : limits.perOrigin, 1)
            while lane.running < limit, let id = lane.requests.popFirst() {
                started.append(id)
                lane.running += 1
            }
            while lane.running < limit, lane.runningFiles < max(limit / 2, 1), let id = lane.files.popFirst() {
                started.append(id)
                lane.running += 1
                lane.runningFiles += 1
            }
            lanes[origin] = lane
        }
        changed.removeAll(keepingCapacity: true)
        return started
    }

    /// One that was started has ended.
    mutating func finished(_ origin: HTTPOrigin, isFile: Bool, wasMultiplexed: Bool) {
        guard var lane = lanes[origin] else { return }
        lane.running -= 1
        if isFile { lane.runningFiles -= 1 }
        if wasMultiplexed { lane.isMultiplexed = true }
        store(lane, origin)
    }

    /// One that was not started yet will not be.
    mutating func remove(_ id: UInt64, _ origin: HTTPOrigin) {
        guard var lane = lanes[origin] else { return }
        lane.requests.removeAll { $0 == id }
        lane.files.removeAll { $0 == id }
        store(lane, origin)
    }

    var isEmpty: Bool { lanes.isEmpty }

    private mutating func store(_ lane: Lane, _ origin: HTTPOrigin) {
        lanes[origin] = lane.isIdle ? nil : lane
        changed.insert(origin)
    }
}
