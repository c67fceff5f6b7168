/// Where an agent is in one channel: the guild is the log, `seq` the position in it.
///
/// Decides for every message, live or from history, whether it is new, already seen, or behind a gap that has to be read
/// from history first. Holds the live messages that arrive while a gap is read. A plain value: no clock, no effects.
struct ChannelPosition: Sendable {
    /// Limits that keep the value small.
    struct Limits: Sendable {
        /// Live messages kept while a gap is read; of those beyond only the wake flag is kept.
        var held = 1000
        /// Positions that history did not show, but that may still arrive live.
        var holes = 256
        /// How many messages one catch-up reads at most (design, section 5).
        var catchUp: Int64 = 500
    }

    /// What becomes of a live message.
    enum Verdict: Equatable, Sendable {
        /// Seen before: drop it.
        case duplicate
        /// The next one, or one that history did not show: take it in.
        case accept
        /// Keep it with `hold`; a gap before it is being read, or must be when `read` is given.
        case hold(read: ClosedRange<Int64>?)
    }

    /// A live message that waits behind a gap.
    struct Held: Sendable, Equatable {
        /// Nil when there were too many: history has the message, only the flag is needed.
        var message: [UInt8]?
        var wake: Bool
    }

    /// Everything up to here was taken in or skipped; nil until the channel's head is known.
    private(set) var intake: Int64?
    /// The highest seq that a live event brought.
    private(set) var liveHigh = Int64.min
    /// The gap being read from history.
    private(set) var reading: ClosedRange<Int64>?
    /// Messages given up because the gap was too long.
    private(set) var skipped: Int64 = 0
    private var held: [Int64: Held] = [:]
    private var holes: Set<Int64> = []
    private let limits: Limits

    init(intake: Int64?, limits: Limits = Limits()) {
        self.intake = intake
        self.limits = limits
    }

    /// The highest position known from the socket or from history.
    var brought: Int64 { max(intake ?? .min, liveHigh) }

    /// Sets the position of a channel that had none.
    mutating func begin(at sequence: Int64) {
        if intake == nil { intake = sequence }
    }

    /// The guild's log went back (restored from a backup): positions above `head` will be used again.
    mutating func rewind(to head: Int64) {
        intake = head
        liveHigh = head
        reading = nil
        held = [:]
        holes = []
    }

    /// Decides about a live message.
    mutating func live(_ sequence: Int64) -> Verdict {
        let before = intake ?? sequence &- 1
        if intake == nil { intake = before }
        liveHigh = max(liveHigh, sequence)
        if sequence <= before {
            return !holes.isEmpty && holes.remove(sequence) != nil ? .accept : .duplicate
        }
        if reading != nil {
            return held[sequence] == nil ? .hold(read: nil) : .duplicate
        }
        if sequence == before + 1 {
            intake = sequence
            return .accept
        }
        return .hold(read: read(upTo: sequence - 1))
    }

    /// Keeps a live message for which `live` said `hold`.
    mutating func hold(_ sequence: Int64, message: [UInt8], wake: Bool) {
        held[sequence] = Held(message: held.count < limits.held ? message : nil, wake: wake)
    }

    /// Leaves a live message in the guild, to be read from history when there is room for it.
    mutating func postpone(_ sequence: Int64, wake: Bool) {
        if let intake, sequence <= intake { return }
        liveHigh = max(liveHigh, sequence)
        if held.count < limits.held * 4 { held[sequence] = Held(message: nil, wake: wake) }
    }

    /// Takes note of a position that needs no delivery (the account's own post).
    mutating func passOver(_ sequence: Int64) {
        if reading == nil, let intake, sequence == intake + 1 {
            self.intake = sequence
            liveHigh = max(liveHigh, sequence)
        }
    }

    /// Starts reading up to `head` unless nothing is missing or a read is under way.
    mutating func catchUp(to head: Int64) -> ClosedRange<Int64>? {
        guard reading == nil, let intake, head > intake else { return nil }
        return read(upTo: head)
    }

    private mutating func read(upTo end: Int64) -> ClosedRange<Int64>? {
        guard let intake, end > intake else { return nil }
        var start = intake + 1
        if end - start >= limits.catchUp {
            let first = end - limits.catchUp + 1
            skipped += first - start
            start = first
            self.intake = start - 1
        }
        reading = start...end
        return reading
    }

    /// What to do with a history row of the gap being read.
    enum RowVerdict: Equatable, Sendable {
        case duplicate
        /// Take it in; `held` is its live version, when that arrived meanwhile: it knows about waking.
        case accept(held: Held?)
    }

    /// Decides about a row read from history. Rows come in ascending order.
    mutating func row(_ sequence: Int64) -> RowVerdict {
        guard let reading, let intake, sequence > intake, sequence <= reading.upperBound else { return .duplicate }
        addHoles(intake + 1, sequence - 1)
        self.intake = sequence
        return .accept(held: held.removeValue(forKey: sequence))
    }

    /// Everything history has of the gap was read (or the gap was given up). The held messages that follow are returned
    /// in order; if another gap shows, it is the next to read.
    mutating func finishReading() -> (ready: [(sequence: Int64, held: Held)], read: ClosedRange<Int64>?) {
        guard let range = reading else { return ([], nil) }
        reading = nil
        if let intake, intake < range.upperBound {
            addHoles(intake + 1, range.upperBound)
            self.intake = range.upperBound
        }
        var ready: [(sequence: Int64, held: Held)] = []
        while let intake, let next = held[intake + 1], next.message != nil {
            held[intake + 1] = nil
            self.intake = intake + 1
            ready.append((intake + 1, next))
        }
        guard let intake else { return (ready, nil) }
        held = held.filter { $0.key > intake }
        // A held message without its body is read from history; one with its body ends the next gap.
        let bodies = held.filter { $0.value.message != nil }.keys.min()
        let end = bodies.map { $0 - 1 } ?? liveHigh
        return (ready, read(upTo: end))
    }

    private mutating func addHoles(_ first: Int64, _ last: Int64) {
        guard first <= last else { return }
        for sequence in max(first, last - Int64(limits.holes) + 1)...last { holes.insert(sequence) }
        while holes.count > limits.holes, let oldest = holes.min() { holes.remove(oldest) }
    }
}
