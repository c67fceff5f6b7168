/// Which phase a transfer is in and when that phase ends at the latest. Events and time in, a deadline out.
struct TransferClock {
    enum Stage: Equatable { case queued, connecting, sending, waiting, receiving }

    private(set) var stage = Stage.queued
    /// Another stage was entered; whoever watches the deadline sets it back.
    var hasChanged = false
    private let deadlines: HTTPDeadlines
    private let began: ContinuousClock.Instant
    private var mark: ContinuousClock.Instant

    /// - Parameter began: of the whole, which may be earlier than this leg's start (redirects).
    init(_ deadlines: HTTPDeadlines, began: ContinuousClock.Instant) {
        self.deadlines = deadlines
        self.began = began
        mark = began
    }

    mutating func admitted(at now: ContinuousClock.Instant) { enter(.connecting, now) }

    /// Connected, or a kept connection taken. Comes again when a request is repeated on a new connection.
    mutating func connected(hasBody: Bool, at now: ContinuousClock.Instant) {
        enter(hasBody ? .sending : .waiting, now)
    }

    mutating func sentPiece(at now: ContinuousClock.Instant) {
        // A server may answer before it has read everything.
        if stage == .sending || stage == .receiving { mark = now }
    }

    mutating func sentAll(at now: ContinuousClock.Instant) {
        if stage == .sending { enter(.waiting, now) }
    }

    mutating func headComplete(at now: ContinuousClock.Instant) { enter(.receiving, now) }

    mutating func receivedPiece(at now: ContinuousClock.Instant) {
        if stage == .receiving { mark = now }
    }

    /// The next moment something runs out, and what.
    var deadline: (at: ContinuousClock.Instant, phase: HTTPTransferError.Phase)? {
        let own: (ContinuousClock.Instant, HTTPTransferError.Phase)? =
            switch stage {
            case .queued: nil
            case .connecting: (mark.advanced(by: deadlines.connect), .connect)
            case .sending, .receiving: (mark.advanced(by: deadlines.stall), .stall)
            case .waiting: (mark.advanced(by: deadlines.firstByte), .firstByte)
            }
        guard let total = deadlines.total.map({ began.advanced(by: $0) }) else {
            return own.map { (at: $0, phase: $1) }
        }
        if let own, own.0 < total { return (at: own.0, phase: own.1) }
        return (at: total, phase: .total)
    }

    private mutating func enter(_ next: Stage, _ now: ContinuousClock.Instant) {
        stage = next
        mark = now
        hasChanged = true
    }
}
