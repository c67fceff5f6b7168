import ChannelStore

extension LeaseKeeper {
    /// How far an account is.
    enum Phase: Sendable, Equatable {
        /// It does not run here.
        case standby
        /// Another instance of this gateway had it, and gave it to this one.
        case takingOver(AccountLease, since: Instant)
        case running(AccountLease)
        /// Its run is coming to an end in good order; the lease is kept until everything is written.
        case stopping(AccountLease, StopReason)
        /// It was stopped by the host; the lease is kept for a moment, for the case that it starts again at once.
        case parked(AccountLease, since: Instant)
        /// It was handed out: another instance of this gateway goes on with it.
        case out(AccountLease, since: Instant)
        case releasing(AccountLease)
        /// The lease was lost; its run is being torn down.
        case ending

        /// The lease that is held for it here.
        var lease: AccountLease? {
            switch self {
            case .running(let lease), .stopping(let lease, _), .parked(let lease, _), .releasing(let lease): lease
            case .standby, .takingOver, .out, .ending: nil
            }
        }
    }

    enum StopReason: Sendable, Equatable {
        /// The host stops it.
        case host
        /// The host moves it to another instance.
        case handover
        /// Another gateway is to have it.
        case balance
        /// This gateway gives back everything.
        case drain
    }

    /// Who runs an account, as far as it is known.
    enum Runner: Sendable, Equatable {
        case unknown
        case nobody
        case gateway(String)
        /// This gateway ran it when that was last known; it is asked for once more.
        case doubted(String)

        /// What others may be told.
        var name: String? {
            switch self {
            case .gateway(let name), .doubted(let name): name
            case .unknown, .nobody: nil
            }
        }
    }

    struct Record: Sendable {
        var isWanted = true
        var phase = Phase.standby
        var runner = Runner.unknown
        /// It ran here last: another gateway would have to log in first.
        var wasHere = false
        /// It could not be started; not before this time again.
        var notBefore: Instant?
        /// The epoch under which it was last given back for balance: the next one is ours if nobody else had it.
        var returned: Int64?
        /// It was given back, and nobody else took it: it is not given back again before this time.
        var keptUntil: Instant?
        /// How long that was the last time.
        var keeping: Duration?
    }

    /// Why an account is on standby, for operators.
    enum StandbyReason: Sendable, Equatable {
        case runs(gateway: String)
        case waiting
        case noLease
        case draining
        case notStarted
        case ending

        var text: String {
            switch self {
            case .runs(let gateway): "gateway \(gateway) runs it"
            case .waiting: "waiting for its lease"
            case .noLease: "the database does not answer, so that no gateway knows whether it may run"
            case .draining: "this gateway is drained"
            case .notStarted: "it could not be started here; another gateway may, or this one in a moment"
            case .ending: "its lease was lost"
            }
        }
    }
}
