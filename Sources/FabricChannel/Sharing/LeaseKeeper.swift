import ChannelStore

/// Decides which of the accounts that several gateways share run here: events and the time in, actions out.
///
/// The right to run an account is a row of the store that names this member, and lives as long as its beats are heard. What
/// the store thinks is not known here at every moment, so the keeper reckons for itself: its leases last from *before* the
/// last beat that was confirmed was sent, shorter than the store's by a margin. Past that everything is over at once,
/// whatever the store would say, and it begins anew as another member. Time is that of a clock that goes on while the
/// machine sleeps: one that stood still would let a suspended gateway believe in leases that others have by now.
struct LeaseKeeper: Sendable {
    typealias Instant = ContinuousClock.Instant

    struct Settings: Sendable {
        /// This member, but for its id and what is counted.
        var member: Member
        var beat: Duration = .seconds(2)
        var newID: @Sendable () -> String

        var lease: Duration { .seconds(member.leaseSeconds) }
        /// By how much the own reckoning ends before the store's: for clocks that do not go equally fast, and the time
        /// between a look at the clock and what is done then.
        var margin: Duration { lease / 8 }
    }

    enum Event: Sendable {
        /// The host starts the account: it is to run here when its turn comes.
        case wanted(String)
        /// The same, with the lease that another instance of this gateway had.
        case handedIn(AccountLease)
        /// The host stops it, or moves it to another instance; `stopped` follows if it runs.
        case unwanted(String, isHandover: Bool)
        /// The run of the account is over, and everything of it is written, or given up.
        case stopped(String)
        case startFailed(String)
        /// A commit of its present run was refused.
        case refused(String)
        /// `busy`: the accounts that should not be disturbed now.
        case answered(beat: UInt64, ClusterReport, busy: Set<String>)
        case beatFailed(UInt64)
        /// The store knows a member no more.
        case gone(member: String)
        case claimed(UInt64, [AccountLease])
        case claimFailed(UInt64)
        case tookOver(AccountLease, AccountLease?)
        case takeOverFailed(AccountLease)
        case released([AccountLease])
        case runners([String], [String: String], member: String)
        case runnersFailed
        /// Gives back everything; turns may go on until then.
        case drain(until: Instant)
        case undrain
        case tick
    }

    enum Action: Sendable, Equatable {
        case beat(Member, number: UInt64)
        case claim([String], atMost: Int, number: UInt64)
        case takeOver(AccountLease)
        case askRunners([String])
        case release([AccountLease])
        /// Start the account; its lease is in force.
        case start(String)
        /// Let it come to an end in good order, within so long.
        case stop(String, drain: Duration, StopReason)
        /// End these at once: nothing more is posted, their sockets are closed.
        case end([String], reason: String)
        /// How these stand changed; they do not run here.
        case standby([String])
        /// Everything was given back, and others run it.
        case drained
        case notice(String)
    }

    let settings: Settings
    private(set) var member: Member
    var records: [String: Record] = [:]
    /// Until when the leases are in force by the own reckoning; nil while there are none.
    private(set) var deadline: Instant?
    private var beats: [UInt64: Instant] = [:]
    private var lastBeat: UInt64 = 0
    private var lastBegun: Instant?
    /// When the lease of another member ends that is not heard any more: the store is asked then, not at the next beat.
    private var endOfAnother: Instant?
    private var newestReport: UInt64 = 0
    private(set) var report: ClusterReport?
    /// Since when beats fail, and how long none was confirmed.
    private(set) var troubleSince: Instant?
    private(set) var confirmedAt: Instant?
    private(set) var drainUntil: Instant?
    /// Given back while draining, and not yet heard to run elsewhere.
    var given: Set<String> = []
    /// Other processes that call themselves by this gateway's name.
    private(set) var namesakes: [String] = []
    /// The store's time of the first report as this member.
    private var joinedAt: Double?

    /// Reports as this member.
    var reports = 0
    /// The claim under way; `isBeyond`: of more than the share, because nobody else takes these.
    var claim: (number: UInt64, names: [String], isBeyond: Bool)?
    var lastClaim: UInt64 = 0
    var isAsking = false
    /// How often it was asked who runs what, since the last report.
    var questions = 0
    /// Names of claims whose answers got lost: they may be ours.
    var doubtful: Set<String> = []
    /// Reports in a row that show more accounts of ours than are known here.
    var surplus = 0
    /// Leases of members that this instance was before.
    var former: [AccountLease] = []
    /// Leases that were given back, and when that was said last. What the store answered before may still be on its way here, and
    /// would have it run under a lease that is over.
    var givenBack: [AccountLease: Instant] = [:]
    var sinceAsked = 0
    /// Reports in a row that showed that this gateway has too many, and since when.
    var excess = (reports: 0, since: Instant?.none)
    /// Reports in a row in which accounts were run by nobody, though this gateway has its share.
    var starved = 0
    /// Of the accounts the last report counted as run by nobody those that are wanted here, and how many ran here then.
    var atReport = (unrun: 0, held: 0)
    /// By gateway: how many it had.
    var owned: [String: Int] = [:]
    var shares: ClusterShares?
    var busy: Set<String> = []
    /// What many accounts wait for in the same moment is looked at once, then.
    var lookAt: Instant?
    static let gathering: Duration = .milliseconds(50)

    init(settings: Settings) {
        self.settings = settings
        member = settings.member
        member.id = settings.newID()
    }

    // MARK: What others may ask

    /// When `tick` is due.
    var due: Instant {
        [nextBeat ?? .now, deadline, lookAt].compactMap(\.self).min() ?? .now
    }

    private var nextBeat: Instant? {
        guard let lastBegun else { return nil }
        let regular = lastBegun.advanced(by: settings.beat)
        guard let endOfAnother, endOfAnother < regular else { return regular }
        // Whatever others call their lease, the store is not asked without end.
        return max(endOfAnother, lastBegun.advanced(by: settings.beat / 8))
    }

    func isInForce(at now: Instant) -> Bool { deadline.map { now < $0 } ?? false }

    /// The account runs here, or is about to, or is coming to its end.
    func isHere(_ account: String) -> Bool {
        switch records[account]?.phase {
        case .running, .stopping, .ending: true
        default: false
        }
    }

    /// The lease to give along when an account is handed to another instance.
    func lease(of account: String) -> AccountLease? {
        switch records[account]?.phase {
        case .out(let lease, _): lease
        case let phase: phase?.lease
        }
    }

    var held: Int { records.values.count { $0.phase.lease != nil } }
    var isDraining: Bool { drainUntil != nil }

    /// Whether the store has said that nobody runs the account, or nobody may.
    func isKnownToRunNowhere(_ account: String) -> Bool {
        guard let record = records[account] else { return false }
        // That this one gave it back is all that a drained gateway knows of it: it asks for nobody.
        return deadline == nil || record.runner == .nobody && report?.unowned ?? 0 > 0
    }

    func reason(of account: String) -> StandbyReason {
        guard let record = records[account] else { return .waiting }
        if record.phase == .ending { return .ending }
        if deadline == nil, troubleSince != nil { return .noLease }
        if let name = record.runner.name, name != member.gateway { return .runs(gateway: name) }
        if isDraining { return .draining }
        return record.notBefore == nil ? .waiting : .notStarted
    }

    // MARK: The entrance

    mutating func handle(_ event: Event, now: Instant, _ actions: inout [Action]) {
        // Before anything else: whoever slept hears of its beats before it looks at the clock.
        if let deadline, now >= deadline { renounce("no beat was confirmed in time", &actions) }
        switch event {
        case .wanted(let account): wanted(account, now, &actions)
        case .handedIn(let lease): handedIn(lease, now, &actions)
        case .unwanted(let account, let isHandover): unwanted(account, isHandover: isHandover, &actions)
        case .stopped(let account): stopped(account, now, &actions)
        case .startFailed(let account): startFailed(account, now, &actions)
        case .refused(let account): refused(account, &actions)
        case .answered(let number, let report, let busy): answered(number, report, busy, now, &actions)
        case .beatFailed(let number): beatFailed(number, now, &actions)
        case .gone(let id):
            if id == member.id, !id.isEmpty { renounce("the store let this gateway go", &actions) }
        case .claimed(let number, let leases): claimed(number, leases, now, &actions)
        case .claimFailed(let number):
            guard claim?.number == number else { break }
            doubtful.formUnion(claim?.names ?? [])
            claim = nil
        case .tookOver(let old, let new): tookOver(old, new, now, &actions)
        case .takeOverFailed(let lease): doubtful.insert(lease.account)
        case .released(let leases): released(leases, &actions)
        case .runners(let asked, let runners, let id):
            isAsking = false
            if id == member.id { heard(asked, runners, now, &actions) }
        case .runnersFailed: isAsking = false
        case .drain(let until): drain(until, now, &actions)
        case .undrain: undrain(now)
        case .tick: break
        }
        if let lookAt, lookAt <= now { look(now, &actions) }
        if event.mayEndDrain { checkDrained(&actions) }
        beat(now, &actions)
    }

    private mutating func look(_ now: Instant, _ actions: inout [Action]) {
        lookAt = nil
        guard isInForce(at: now), let report else { return }
        if isDraining { giveBackAll(now, &actions) } else { seek(report, now, &actions) }
    }

    /// A running gateway gets another weight.
    mutating func adopt(weight: Double) { member.weight = weight }

    // MARK: Beats

    private mutating func beat(_ now: Instant, _ actions: inout [Action]) {
        if let nextBeat, now < nextBeat { return }
        // A store that is slow gets a few at most; it answers in order, and each answer counts from its own beginning.
        beats = beats.filter { $0.value.duration(to: now) < settings.lease }
        lastBegun = now
        endOfAnother = nil
        guard beats.count < 8 else { return }
        lastBeat += 1
        beats[lastBeat] = now
        member.wanted = records.values.count(where: \.isWanted)
        member.isDraining = isDraining
        actions.append(.beat(member, number: lastBeat))
    }

    /// The next beat is due now, for there is news.
    private mutating func hasten() { lastBegun = nil }

    private mutating func answered(
        _ number: UInt64, _ report: ClusterReport, _ busy: Set<String>, _ now: Instant, _ actions: inout [Action]
    ) {
        guard let begun = beats.removeValue(forKey: number) else { return }
        let end = begun.advanced(by: settings.lease - settings.margin)
        guard now < end else { return }
        let isNew = deadline == nil
        deadline = max(deadline ?? end, end)
        confirmedAt = max(confirmedAt ?? begun, begun)
        if troubleSince != nil || isNew {
            troubleSince = nil
            tellStandby(&actions)
        }
        guard number > newestReport else { return }
        newestReport = number
        self.report = report
        lookForNamesakes(report, &actions)
        endOfAnother = nextEnd(report, now)
        self.busy = busy
        reports += 1
        judge(report, now, &actions)
    }

    /// When the first lease of another ends, if that is before the next beat. A little later, for the store lets go of a member
    /// whose lease is over, not of one whose lease is just ending.
    private func nextEnd(_ report: ClusterReport, _ now: Instant) -> Instant? {
        let beat = settings.beat / .seconds(1)
        let lefts = report.members.lazy.filter { $0.member.id != member.id }
            .map { $0.member.leaseSeconds - $0.secondsSinceBeat }.filter { $0 >= 0 && $0 < beat }
        return lefts.min().map { now.advanced(by: .seconds($0) + .milliseconds(10)) }
    }

    /// Two gateways of one name count as one: neither gets a share of its own. Another instance of this process is none, nor is
    /// the process before this one, whose last beat is older than our first.
    private mutating func lookForNamesakes(_ report: ClusterReport, _ actions: inout [Action]) {
        let joined = joinedAt ?? report.time
        joinedAt = joined
        let own = settings.member
        let found = report.members.filter { row in
            row.member.gateway == own.gateway && row.member.id != member.id
                && (row.member.host != own.host || row.member.processIdentifier != own.processIdentifier)
                && report.time - row.secondsSinceBeat > joined
        }
        let names = Set(found.map { "process \($0.member.processIdentifier) on \($0.member.host)" }).sorted()
        guard names != namesakes else { return }
        namesakes = names
        guard !names.isEmpty else { return }
        actions.append(
            .notice(
                "\(names.joined(separator: ", ")) calls itself gateway \(own.gateway) too: they count as one, so that one of "
                    + "them may run nothing; give each its own store.postgresql.gateway, or leave it out"))
    }

    private mutating func beatFailed(_ number: UInt64, _ now: Instant, _ actions: inout [Action]) {
        guard beats.removeValue(forKey: number) != nil, troubleSince == nil else { return }
        troubleSince = now
        if deadline == nil { tellStandby(&actions) }
    }

    /// Everything is over: what ran here may be run by others from now on. It begins anew as another member.
    private mutating func renounce(_ why: String, _ actions: inout [Action]) {
        deadline = nil
        member.id = settings.newID()
        beats = [:]
        reports = 0
        (claim, isAsking, doubtful, surplus, starved) = (nil, false, [], 0, 0)
        // What was not heard to run elsewhere is waited for all the same.
        given = isDraining ? given.union(records.lazy.filter { $0.value.phase.lease != nil }.map(\.key)) : []
        excess = (0, nil)
        (report, joinedAt, endOfAnother) = (nil, nil, nil)
        shares = nil
        owned = [:]
        hasten()
        var ended: [String] = []
        for (account, record) in records {
            if let lease = record.phase.lease { former.append(lease) }
            records[account]?.runner = .unknown
            switch record.phase {
            case .running, .stopping:
                records[account]?.phase = .ending
                records[account]?.wasHere = true
                ended.append(account)
            case .parked, .out, .releasing, .takingOver: records[account]?.phase = .standby
            case .standby, .ending: break
            }
        }
        records = records.filter { $0.value.isWanted || $0.value.phase == .ending }
        if !ended.isEmpty {
            actions.append(.end(ended.sorted(), reason: why))
            actions.append(
                .notice("\(why): the leases of \(ended.count) accounts are lost, and they are ended at once"))
        }
        tellStandby(&actions)
    }

    func tellStandby(_ actions: inout [Action]) {
        let names = records.filter { $0.value.isWanted && $0.value.phase == .standby }.keys.sorted()
        if !names.isEmpty { actions.append(.standby(names)) }
    }

    // MARK: Draining

    private mutating func drain(_ until: Instant, _ now: Instant, _ actions: inout [Action]) {
        drainUntil = max(until, now)
        hasten()
        giveBackAll(now, &actions)
        tellStandby(&actions)
    }

    private mutating func undrain(_ now: Instant) {
        drainUntil = nil
        given = []
        hasten()
    }

    private func checkDrained(_ actions: inout [Action]) {
        if isDraining, given.isEmpty, !records.values.contains(where: { $0.phase.lease != nil }) {
            actions.append(.drained)
        }
    }
}

extension LeaseKeeper.Event {
    fileprivate var mayEndDrain: Bool {
        switch self {
        case .drain, .released, .stopped, .answered, .runners, .unwanted, .gone: true
        default: false
        }
    }
}
