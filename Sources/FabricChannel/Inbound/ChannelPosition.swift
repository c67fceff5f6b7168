/// Where an agent is in one channel: the guild is the log, `seq` the position in it.
///
/// Decides for every message, live or from history, whether it is new, already seen, or behind a gap that has to be read
/// from history first. Holds the live messages that arrive while a gap is read. A plain value: no clock, no effects.
struct ChannelPosition: Sendable {
    /// Limits that keep the value small.
    struct Limits: Sendable, Equatable {
        /// Live messages kept while a gap is read; of those beyond only the wake flag is kept.
        var held = 1000
        /// Positions that history did not show, but that may still arrive live.
        var holes = 256
        /// Messages taken in before a gap below them was closed.
        var ahead = 1024
        /// How many messages one catch-up reads at most; 0: none.
        var catchUp: Int64 = 500
    }

    /// Positions that a log can have: exact in every JSON implementation, and far from where arithmetic ends. -1 is
    /// before the first message of a log that begins with 0.
    static let valid: ClosedRange<Int64> = -1...(1 << 53)

    /// What becomes of a live message.
    enum Verdict: Equatable, Sendable {
        /// Seen before: drop it.
        case duplicate
        /// The next one, or one that history did not show: take it in.
        case accept
        /// Keep it with `hold`; a gap before it is being read, or must be when `read` is given.
        case hold(read: ClosedRange<Int64>?)
        /// Too many were taken in ahead of an open gap: leave it in the guild with `postpone`.
        case later
    }

    /// A live message that waits behind a gap.
    struct Held: Sendable, Equatable {
        /// Nil when there were too many: history has the message, only the flag is needed.
        var message: [UInt8]?
        var wake: Bool
        /// Tells this message from another one that claims the same position.
        var mark: UInt64 = 0
    }

    /// A held message whose turn has come.
    struct Ready: Sendable, Equatable {
        var sequence: Int64
        var held: Held
    }

    /// Everything up to here was taken in or skipped; nil until the channel's head is known.
    private(set) var intake: Int64?
    /// The highest seq that a live event brought, as far as it is believed.
    private(set) var liveHigh = Int64.min
    /// The gap being read from history.
    private(set) var reading: ClosedRange<Int64>?
    /// History could not close the gap above the intake for so long that live messages are taken in ahead of it.
    private(set) var isOpen = false
    /// Messages given up because the gap was too long.
    private(set) var skipped: Int64 = 0
    /// Above the intake: messages that wake the agent, which history does not say.
    private(set) var wakeups: Set<Int64> = []
    private var held: [Int64: Held] = [:]
    private var holes: Set<Int64> = []
    /// Taken in above the intake; the mark is 0 where it is not known any more.
    private var ahead: [Int64: UInt64] = [:]
    /// Held since before the log went back: if another message stands there now, only history shows it.
    private var doubtful: Set<Int64> = []
    /// Marks of messages taken in at positions for which another came since: they may come twice.
    private var replaced: Set<UInt64> = []
    /// Those of `ahead` that the intake has reached: another message may yet come for a position that was claimed.
    private var reached: [Int64: UInt64] = [:]
    /// The lowest position that the socket brought and that was left in the guild: from there on nothing is skipped.
    private var postponedFrom: Int64?
    /// A read was promised up to here: going on with it skips nothing either.
    private var promised = Int64.min
    /// Where the read begins if something is skipped for it: only a row proves that there is anything to skip.
    private var skipsTo: Int64?
    /// The head that the guild's list named last: only what lies below it is history that may be skipped.
    var listed: Int64?
    /// Where the intake went without the message there having been seen.
    private var unseen: Int64?
    var limits: Limits

    init(intake: Int64?, wakeups: Set<Int64> = [], ahead: Set<Int64> = [], limits: Limits = Limits()) {
        self.intake = intake.map { min(max($0, Self.valid.lowerBound), Self.valid.upperBound) }
        self.limits = limits
        for sequence in wakeups where Self.valid.contains(sequence) {
            held[sequence] = Held(message: nil, wake: true)
            self.wakeups.insert(sequence)
        }
        for sequence in ahead where Self.valid.contains(sequence) { self.ahead[sequence] = 0 }
    }

    /// The highest position known from the socket or from history.
    var brought: Int64 { max(intake ?? Self.valid.lowerBound, liveHigh) }

    /// The message at the intake was taken in, and not passed over.
    var isSeen: Bool { intake != unseen }

    /// The positions above the intake that were taken in.
    var takenAhead: Set<Int64> { Set(ahead.keys) }

    /// Sets the position of a channel that had none; before what the socket brought meanwhile.
    mutating func begin(at sequence: Int64) {
        guard intake == nil else { return }
        let first = ([sequence] + [held.keys.min(), postponedFrom].compactMap { $0.map { $0 - 1 } }).min() ?? sequence
        intake = min(max(first, Self.valid.lowerBound), Self.valid.upperBound)
    }

    /// The guild's log went back (restored from a backup): positions above `sequence` are used again. What the socket
    /// brought and is not taken in yet stays, as far as it can be told from the messages that were there before.
    mutating func rewind(to sequence: Int64) {
        let (kept, waiting) = (skipped, held.filter { $0.value.mark != 0 && $0.key > sequence })
        let head = listed
        self = ChannelPosition(intake: sequence, limits: limits)
        listed = head
        liveHigh = intake ?? .min
        skipped = kept
        held = waiting
        doubtful = Set(waiting.keys)
        wakeups = Set(waiting.filter(\.value.wake).keys)
        postponedFrom = waiting.keys.min()
    }

    // MARK: Live

    /// Decides about a live message. `sequence` must be valid; `mark` tells two messages of one position apart.
    @inline(__always)
    mutating func live(_ sequence: Int64, mark: @autoclosure () -> UInt64 = 0) -> Verdict {
        if let intake, sequence == intake &+ 1, reading == nil, ahead.isEmpty, wakeups.isEmpty {
            self.intake = sequence
            if sequence > liveHigh { liveHigh = sequence }
            return .accept
        }
        return unusual(sequence, mark: mark())
    }

    private mutating func unusual(_ sequence: Int64, mark: UInt64) -> Verdict {
        if intake == nil { intake = sequence - 1 }
        guard let intake else { return .duplicate }
        if sequence <= intake { return isMissing(sequence, mark: mark) ? .accept : .duplicate }
        if let known = ahead[sequence] {
            guard known != mark, known != 0, mark != 0, !replaced.contains(mark) else { return .duplicate }
            // Another message at a position that was claimed before: one of them lied, and none is dropped for it.
            if replaced.count >= limits.holes { replaced = [] }
            replaced.insert(known)
            ahead[sequence] = mark
            doubtful.remove(sequence)
            if sequence == intake + 1, reading == nil { advance(to: sequence) }
            return .accept
        }
        liveHigh = max(liveHigh, sequence)
        if reading != nil, !isOpen {
            // Another message at a position that is held already is the newer one: whichever is true, history shows it.
            guard let known = held[sequence], known.message != nil else { return .hold(read: nil) }
            return known.mark != mark && known.mark != 0 && mark != 0 ? .hold(read: nil) : .duplicate
        }
        if sequence == intake + 1 {
            if reading == nil { advance(to: sequence) } else { ahead[sequence] = mark }
            return .accept
        }
        if isOpen {
            guard ahead.count < limits.ahead else { return .later }
            ahead[sequence] = mark
            return .accept
        }
        guard limits.catchUp > 0 || postponedFrom != nil else {
            // Catching up is switched off: what lies between is skipped.
            skipped = skipped.adding(saturating: sequence - intake - 1)
            advance(to: sequence)
            return .accept
        }
        return .hold(read: read(upTo: sequence))
    }

    /// Whether nothing was taken in at a position the intake has passed, or only what another message claimed.
    private mutating func isMissing(_ sequence: Int64, mark: UInt64) -> Bool {
        if holes.remove(sequence) != nil { return true }
        guard let known = reached[sequence], known != mark, mark != 0 else { return false }
        reached[sequence] = nil
        return true
    }

    /// Keeps a live message for which `live` said `hold`.
    mutating func hold(_ sequence: Int64, message: [UInt8], wake: Bool, mark: UInt64 = 0) {
        let bodies = held.count < limits.held
        held[sequence] = Held(message: bodies ? message : nil, wake: wake, mark: mark)
        if wake { wakeups.insert(sequence) }
        wanted(sequence)
    }

    /// Leaves a live message in the guild, to be read from history when there is room for it.
    mutating func postpone(_ sequence: Int64, wake: Bool, mark: UInt64 = 0) {
        guard sequence > intake ?? Self.valid.lowerBound, ahead[sequence] == nil else { return }
        liveHigh = max(liveHigh, sequence)
        wanted(sequence)
        guard held.count < limits.held * 4, held[sequence] == nil else { return }
        held[sequence] = Held(message: nil, wake: wake, mark: mark)
        if wake { wakeups.insert(sequence) }
    }

    /// The socket brought a message at this position: from there on nothing is skipped.
    mutating func wanted(_ sequence: Int64) {
        postponedFrom = min(postponedFrom ?? sequence, sequence)
    }

    /// Takes note of a position that needs no delivery (the account's own post).
    mutating func passOver(_ sequence: Int64) {
        guard reading == nil, let intake, sequence == intake + 1 else { return }
        advance(to: sequence)
        liveHigh = max(liveHigh, sequence)
    }

    /// Everything up to `sequence` is settled, and what was taken in ahead right behind it.
    private mutating func advance(to sequence: Int64) {
        var end = sequence
        if !ahead.isEmpty {
            while !doubtful.contains(end + 1), let mark = ahead.removeValue(forKey: end + 1) {
                end += 1
                if mark != 0 { reached[end] = mark }
            }
            ahead = ahead.filter { $0.key > end }
            while reached.count > limits.holes, let oldest = reached.keys.min() { reached[oldest] = nil }
        }
        intake = end
        if !doubtful.isEmpty { doubtful = doubtful.filter { $0 > end } }
        if let from = postponedFrom, from <= end { postponedFrom = nil }
        if !wakeups.isEmpty { wakeups = wakeups.filter { $0 > end } }
        if isOpen, reading == nil, end >= liveHigh { isOpen = false }
    }

    // MARK: Reading

    /// Starts reading up to `head` unless nothing is missing or a read is under way.
    mutating func catchUp(to head: Int64) -> ClosedRange<Int64>? {
        guard reading == nil, let intake, head > intake else { return nil }
        return read(upTo: head)
    }

    private mutating func read(upTo end: Int64) -> ClosedRange<Int64>? {
        guard let intake, end > intake else { return nil }
        var start = intake + 1
        // A position that an event claims must not make history of what lies before it.
        let bound = max(min(end, listed ?? end) - max(0, limits.catchUp) + 1, start)
        skipsTo = nil
        if start > promised, bound > start {
            let first = min(bound, postponedFrom.map { max($0, start) } ?? bound)
            if first > end {
                skipped = skipped.adding(saturating: end - intake)
                unseen = end
                advance(to: end)
                return nil
            }
            if first > start {
                start = first
                skipsTo = first - 1
            }
        }
        promised = max(promised, end)
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
    mutating func row(_ sequence: Int64, mark: UInt64 = 0) -> RowVerdict {
        guard let reading, sequence <= reading.upperBound else { return .duplicate }
        skip()
        guard let intake, sequence > intake else {
            // It was taken in ahead of the gap: this one, or another that claimed its position.
            return isMissing(sequence, mark: mark) ? .accept(held: nil) : .duplicate
        }
        let known = ahead[sequence]
        addHoles(intake + 1, sequence - 1)
        let live = held.removeValue(forKey: sequence)
        advance(to: sequence)
        if let known, known == mark || known == 0 || mark == 0 { return .duplicate }
        // History is right about what stands there; another message only claimed to.
        if let live, live.mark != mark, live.mark != 0, mark != 0 { return .accept(held: nil) }
        return .accept(held: live)
    }

    /// The gap is real: what is too much of it is passed over.
    private mutating func skip() {
        guard let end = skipsTo, let intake, end > intake else { return }
        skipsTo = nil
        skipped = skipped.adding(saturating: end - intake)
        advance(to: end)
    }

    /// The lane is full: the rest stays in the guild, and the read goes on with `catchUp` when there is room.
    mutating func pauseReading() {
        reading = nil
    }

    /// How a read ended.
    enum ReadEnd: Equatable, Sendable {
        /// History has shown the end of the gap. The held messages that follow, in order, and the next gap to read.
        case complete([Ready], next: ClosedRange<Int64>?)
        /// History has no more rows, but does not reach the end of the gap: read again, or give up.
        case short(ClosedRange<Int64>)
    }

    /// History has no more rows of the gap.
    mutating func endOfRows() -> ReadEnd {
        guard let range = reading else { return .complete([], next: nil) }
        if let intake, intake < range.upperBound { return .short(max(intake + 1, range.lowerBound)...range.upperBound) }
        reading = nil
        return complete()
    }

    private mutating func complete() -> ReadEnd {
        var ready: [Ready] = []
        while let intake, let next = held[intake + 1], next.message != nil, !doubtful.contains(intake + 1) {
            held[intake + 1] = nil
            advance(to: intake + 1)
            ready.append(Ready(sequence: intake + 1, held: next))
        }
        guard let intake else { return .complete(ready, next: nil) }
        held = held.filter { $0.key > intake }
        if isOpen, intake >= liveHigh { isOpen = false }
        if isOpen { return .complete(ready, next: nil) }
        // The next gap ends with the nearest message that is here in full, so that the order stays.
        let body = held.filter { $0.value.message != nil }.keys.min()
        return .complete(ready, next: read(upTo: body ?? liveHigh))
    }

    /// History does not show the rest of the gap, however often it is asked. Where the guild's list has a head at or
    /// beyond its end, the positions are empty (deleted messages); otherwise whoever claimed them is not believed, and the
    /// gap stays open below the live messages that are taken in now.
    mutating func giveUp(head: Int64?) -> ReadEnd {
        guard let range = reading else { return .complete([], next: nil) }
        reading = nil
        guard let head, head >= range.upperBound else { return openGap() }
        skip()
        guard let intake else { return .complete([], next: nil) }
        var ready = takeHeld { $0 <= range.upperBound }
        let shown = Set(ready.map(\.sequence))
        addHoles(intake + 1, range.upperBound) { !shown.contains($0) }
        if !shown.contains(range.upperBound) { unseen = range.upperBound }
        advance(to: range.upperBound)
        guard case .complete(let more, let next) = complete() else { return .complete(ready, next: nil) }
        ready += more
        return .complete(ready, next: next)
    }

    /// History does not answer: what is here is taken in ahead, and so is what comes, until the gap can be read.
    mutating func openGap() -> ReadEnd {
        reading = nil
        promised = .min
        let ready = takeHeld { _ in true }
        for entry in ready { ahead[entry.sequence] = entry.held.mark }
        isOpen = true
        return .complete(ready, next: nil)
    }

    private mutating func takeHeld(_ isWanted: (Int64) -> Bool) -> [Ready] {
        let taken = held.filter { $0.value.message != nil && isWanted($0.key) }.sorted { $0.key < $1.key }
        for (sequence, _) in taken { held[sequence] = nil }
        return taken.map { Ready(sequence: $0.key, held: $0.value) }
    }

    /// The guild's list says how long its log is, and that everything of it was taken in: positions beyond that were
    /// claimed by nobody who can prove it.
    mutating func believe(head: Int64) {
        guard let intake, reading == nil, head <= intake else { return }
        liveHigh = min(liveHigh, intake)
        isOpen = false
    }

    private mutating func addHoles(_ first: Int64, _ last: Int64, where isHole: (Int64) -> Bool = { _ in true }) {
        guard first <= last else { return }
        for sequence in max(first, last - Int64(limits.holes) + 1)...last where ahead[sequence] == nil {
            if isHole(sequence) { holes.insert(sequence) }
        }
        while holes.count > limits.holes, let oldest = holes.min() { holes.remove(oldest) }
    }
}
