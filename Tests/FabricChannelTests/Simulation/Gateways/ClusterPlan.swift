@testable import FabricChannel

/// What a seed makes happen to gateways that share their accounts.
struct ClusterPlan {
    enum Fault: CaseIterable {
        /// A gateway does not reach the database, or hears nothing of it, for a while.
        case partitions
        /// A process is stopped: time passes, nothing runs, then everything comes late at once.
        case pauses
        case crashes
        case joins, leaves, drains, reloads, restarts
        /// Answers of the database get lost: of beats, claims, hand-overs, releases, and of commits.
        case lostAnswers
        case slowDatabase
        /// The database is away for a while.
        case databaseRestarts
        /// Clocks go faster or slower than they should; this machine's jumps.
        case clockDrift, clockJumps
        /// The database's own clock jumps: leases end before their time.
        case databaseClockJumps
        case disconnects, lostPosts, failingStarts
    }

    var seed: UInt64
    var faults: Set<Fault> = []
    var gateways = 2
    var accounts = 3
    var length = 60.0
    var messages = 20
    var sends = 5
    var agentTime = 2.0
    var weights = false

    init(seed: UInt64, with mutant: ClusterMutant? = nil) {
        self.seed = seed
        var random = SplitMix64(state: seed &* 0x9E37_79B9_7F4A_7C15 ^ 0x6A_7E)
        let density = random.pick([0, 0.15, 0.3, 0.5])
        for fault in Fault.allCases where random.chance(density) { faults.insert(fault) }
        // Rare, for what it excuses.
        if !random.chance(0.2) { faults.remove(.databaseClockJumps) }
        gateways = 2 + random.below(3)
        accounts = 1 + random.below(6)
        length = random.pick([30, 60, 120])
        messages = random.pick([5, 20, 40])
        sends = random.below(8)
        agentTime = random.pick([0.1, 2, 10])
        weights = random.chance(0.2)
        faults.formUnion(mutant?.needs ?? [])
        if mutant != nil { faults.remove(.databaseClockJumps) }
    }

    func has(_ fault: Fault) -> Bool { faults.contains(fault) }
}

/// A mechanism that is broken on purpose, to show that the invariants notice it.
enum ClusterMutant: String, CaseIterable, Sendable {
    /// The store takes a commit without looking at its lease.
    case noEpochCheck
    /// A gateway believes in its leases until the store says otherwise.
    case noLocalDeadline
    /// The look at the clock before something is posted is left out: the timer is to tell.
    case noLookAtTheClock
    /// Each gateway posts with keys of its own.
    case keyNotShared
    /// A claim whose answer got lost is never asked about again.
    case lostClaimsStayLost
    /// What an agent says late, to a turn that another gateway has had, is posted.
    case lateAnswersPosted
    /// Accounts are given back before their run has ended.
    case releasedTooEarly

    var needs: Set<ClusterPlan.Fault> {
        switch self {
        case .noEpochCheck: [.pauses, .partitions, .slowDatabase]
        case .noLocalDeadline: [.partitions, .pauses]
        case .noLookAtTheClock: [.pauses]
        case .keyNotShared: [.pauses, .crashes, .lostPosts]
        case .lostClaimsStayLost: [.lostAnswers, .leaves, .joins]
        case .lateAnswersPosted: [.partitions, .pauses]
        case .releasedTooEarly: [.joins, .drains]
        }
    }
}
