import DequeModule

/// Who may try to reach a guild now: so many at once, in the order in which they came.
///
/// Ten thousand agents that connect in one moment fill the guild's queue of connections; most give up before they are
/// accepted and come again, and the guild spends its time on connections that nobody waits for any more. How many a guild can
/// take is found out: each that gets through makes room for one more, and one that was not answered in time halves it.
///
/// A place counts until its attempt is over, but only for ``patience``: a guild that is slow or silent keeps nobody waiting for
/// its time-outs.
struct ConnectQueue: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// How long a place counts at most.
    static let patience: Duration = .seconds(5)

    /// How an attempt ended.
    enum Outcome: Sendable {
        case connected
        /// The guild did not answer in time, or said that it has too much to do.
        case overloaded
        case other
    }

    /// How many places there are at first; and at least, however often the guild does not answer.
    static let first = 16
    static let least = 4

    /// How many places there may be, at least 1.
    var most: Int {
        didSet {
            most = max(1, most)
            limit = min(limit, most)
        }
    }
    /// How many places there are.
    private(set) var limit: Int
    private var lastCut: Instant?
    private var holders: Set<UInt64> = []
    /// Since when they hold a place, oldest first; those that have left may still be among them, here and below.
    private var begun: Deque<(number: UInt64, since: Instant)> = []
    private var waiters: Set<UInt64> = []
    private var order: Deque<UInt64> = []

    init(most: Int) {
        self.most = max(1, most)
        limit = min(self.most, Self.first)
    }

    /// Somebody comes, under a number that nobody had before; `admit` tells when it may begin, perhaps at once.
    mutating func enter(_ number: UInt64) {
        waiters.insert(number)
        order.append(number)
    }

    /// Its attempt is over, or it waits no more.
    mutating func leave(_ number: UInt64, _ outcome: Outcome, now: Instant) {
        switch outcome {
        case .connected: limit = min(most, limit + 1)
        case .overloaded:
            // Those that began together fail together: that is one sign.
            if let lastCut, now < lastCut.advanced(by: Self.patience) { break }
            lastCut = now
            limit = max(min(most, Self.least), limit / 2)
        case .other: break
        }
        holders.remove(number)
        waiters.remove(number)
        if waiters.isEmpty { order.removeAll() }
        while let first = begun.first, !holders.contains(first.number) { begun.removeFirst() }
    }

    /// Those that may begin now.
    mutating func admit(now: Instant) -> [UInt64] {
        while let first = begun.first {
            guard !holders.contains(first.number) || first.since.advanced(by: Self.patience) <= now else { break }
            holders.remove(first.number)
            begun.removeFirst()
        }
        var admitted: [UInt64] = []
        while holders.count < limit, let next = order.popFirst() {
            guard waiters.remove(next) != nil else { continue }
            holders.insert(next)
            begun.append((next, now))
            admitted.append(next)
        }
        return admitted
    }

    func isWaiting(_ number: UInt64) -> Bool { waiters.contains(number) }

    /// When `admit` has something to do; nil while nobody waits.
    var due: Instant? { waiters.isEmpty ? nil : begun.first?.since.advanced(by: Self.patience) }

    /// Nobody waits, and nobody has a place.
    var isEmpty: Bool { holders.isEmpty && waiters.isEmpty }
}
