import ChannelStore

/// A mechanism that is broken on purpose, at the driver or the store, to show that the invariants notice it.
enum Mutant: String, CaseIterable, Sendable {
    /// What was seen before is delivered once more.
    case doublesDelivered
    /// A gap is not read: history seems to be empty.
    case gapNotRead
    /// What may have made it the agent's turn is not waited on.
    case turnsMissed
    /// Of every page one message is lost.
    case rowLost
    /// Of a full page, as an overflow reads many, a part is lost.
    case overflowLost
    /// A deaf socket is kept.
    case staysDeaf
    case settleIgnored
    /// What was committed counts as kept before it is.
    case storeNotAwaited
    /// A crash keeps the positions of commits whose messages it loses.
    case cursorEarly
    /// A crash keeps half a commit.
    case tearsBatches
    case wakeupsNotKept
    case takenNotKept
    case settledNotKept
    case waitingNotKept
    case handingOverNotKept
    case runningNotKept
    case outboxNotKept
    /// Where the last post of a channel lies.
    case lastPostNotKept
    /// How often a log went back, and which beginning is looked for.
    case logNotKept
    /// An account that could not be started is not started again.
    case startsOnce
    /// A login that failed is not repeated.
    case logsInOnce
    /// Every attempt has a key of its own.
    case keyNotReused
    /// A post whose answer got lost is not looked for.
    case readBackSkipped
    /// A turn is settled before its answer is sent.
    case answersLast
    /// A loss of power takes back what was accepted to be sent.
    case syncsNothing

    /// What has to happen for it to show.
    var needs: Set<Plan.Fault> {
        switch self {
        case .overflowLost: [.overflow]
        case .staysDeaf, .turnsMissed: [.deafness]
        case .storeNotAwaited, .cursorEarly, .tearsBatches: [.crashes, .slowStore, .bursts]
        case .wakeupsNotKept: [.stops, .handovers, .failingHistory, .reorders, .bursts]
        case .takenNotKept: [.crashes, .failingHistory, .drops]
        case .settledNotKept, .waitingNotKept, .handingOverNotKept: [.crashes]
        case .runningNotKept: [.crashes, .slowStore]
        case .outboxNotKept: [.crashes, .sendFaults]
        case .logNotKept: [.crashes, .backups, .failingHistory, .bursts]
        case .startsOnce: [.failingStarts]
        case .logsInOnce: [.failingLogins]
        case .keyNotReused, .readBackSkipped: [.lostAnswers]
        case .syncsNothing: [.powerCuts]
        case .answersLast, .doublesDelivered, .gapNotRead, .lastPostNotKept, .rowLost, .settleIgnored: []
        }
    }

    /// A seed that notices it.
    var knownSeed: UInt64 {
        switch self {
        case .doublesDelivered, .settleIgnored, .settledNotKept, .handingOverNotKept: 1
        case .waitingNotKept, .runningNotKept, .startsOnce, .readBackSkipped, .syncsNothing: 1
        case .gapNotRead, .rowLost, .storeNotAwaited, .cursorEarly, .answersLast: 2
        case .keyNotReused: 3
        case .outboxNotKept: 4
        case .takenNotKept, .tearsBatches: 6
        case .logNotKept: 8
        case .wakeupsNotKept: 23
        case .staysDeaf: 76
        case .overflowLost: 1
        case .turnsMissed: 93
        case .logsInOnce: 41
        case .lastPostNotKept: 67174
        }
    }

    func altered(_ changes: [StoreChange]) -> [StoreChange] {
        changes.compactMap { change in
            switch (self, change) {
            case (.wakeupsNotKept, .wakeup), (.takenNotKept, .taken), (.settledNotKept, .settled),
                (.runningNotKept, .running(true)), (.outboxNotKept, .outbox), (.lastPostNotKept, .note),
                (.logNotKept, .log):
                return nil
            case (.waitingNotKept, .delivery(let delivery)):
                return delivery.handedOver ? change : nil
            case (.handingOverNotKept, .delivery(var delivery)):
                delivery.handedOver = false
                return .delivery(delivery)
            default: return change
            }
        }
    }

    func afterCrash(_ lost: [[StoreChange]], _ apply: ([StoreChange]) -> Void) {
        guard self == .cursorEarly else { return }
        for changes in lost { apply(changes.filter { if case .cursor = $0 { true } else { false } }) }
    }
}
