@testable import FabricChannel

/// What a seed makes happen: each seed has a few of all possible faults, so that they are seen alone as well as together.
struct Plan {
    enum Fault: Int, CaseIterable {
        case drops, duplicates, reorders, disconnects, deafness, vanishing
        case lostRequests, lostAnswers, slowAnswers, refusedTokens, failingLogins
        case failingHistory, lyingHistory, failingLists, lyingLists, lyingEvents
        case crashes, powerCuts, stops, handovers, restarts, failingStarts
        case slowStore, failingStore
        case guildRestarts, backups, membership, guildLeaves
        case clockJumps, clockSkew
        case bursts, overflow, gaps, smallCatchUp
        case failingAgents, silentAgents, takenRecords, adoption, agentsTalk, files
        case sendFaults
    }

    var seed: UInt64
    var faults: Set<Fault> = [] {
        didSet { mask = Self.mask(faults) }
    }
    /// The same, asked at every step.
    private var mask: UInt64 = 0
    var guilds = 1
    var channels = 2
    /// Seconds in which things happen; then the faults end.
    var length = 300.0
    var messages = 30
    var sends = 5
    var firstSequence: Int64 = 0
    var answersJoins = true
    var honoursKeys = true
    /// Its answers have a date.
    var tellsTime = true
    var coalesces = true
    var syncPeriod = 60.0
    var catchUp: Int64 = 1_000_000
    /// How long tokens live.
    var tokenLife = 900.0
    /// How long an agent takes at most.
    var agentTime = 20.0
    /// How often a turn that died with the process is begun again.
    var redeliveries = 50
    /// Plays without this excuse.
    var without: Excuse?

    init(seed: UInt64) {
        self.seed = seed
        var random = SplitMix64(state: seed &* 0x9E37_79B9_7F4A_7C15 ^ 0x51_4D)
        let density = random.pick([0, 0.1, 0.2, 0.35])
        faults = Set(Fault.allCases.filter { _ in random.chance(density) })
        // Rare: thousands of messages each.
        if !random.chance(0.02) { faults.remove(.overflow) }
        guilds = random.chance(0.2) ? 2 : 1
        channels = 1 + random.below(3)
        length = random.pick([60, 200, 600])
        messages = random.pick([5, 20, 40])
        sends = random.below(6)
        firstSequence = random.chance(0.5) ? 1 : 0
        answersJoins = random.chance(0.7)
        honoursKeys = random.chance(0.6)
        tellsTime = random.chance(0.8)
        coalesces = random.chance(0.7)
        syncPeriod = random.pick([20, 60])
        agentTime = random.pick([0.1, 5, 60])
        tokenLife = random.pick([120, 300, 900])
        redeliveries = random.pick([0, 1, 3, 50])
        if faults.contains(.smallCatchUp) { catchUp = random.pick([0, 1, 5]) }
        mask = Self.mask(faults)
    }

    private static func mask(_ faults: Set<Fault>) -> UInt64 { faults.reduce(0) { $0 | 1 << UInt64($1.rawValue) } }

    /// The same, with what a mutant needs to show.
    init(seed: UInt64, with mutant: Mutant?) {
        self.init(seed: seed)
        faults.formUnion(mutant?.needs ?? [])
        // An initializer's changes are not observed.
        mask = Self.mask(faults)
    }

    func has(_ fault: Fault) -> Bool { mask & 1 << UInt64(fault.rawValue) != 0 }

    var inbox: Inbox.Settings {
        var settings = Inbox.Settings()
        settings.feed.syncPeriod = .seconds(syncPeriod)
        settings.feed.limits.catchUp = catchUp
        settings.turnTimeout = .seconds(Self.turnTimeout)
        settings.redeliveries = redeliveries
        return settings
    }

    static let turnTimeout = 300.0
}
