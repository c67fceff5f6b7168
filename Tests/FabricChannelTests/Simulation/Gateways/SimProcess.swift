import ChannelStore

@testable import FabricChannel

/// One instance of the plugin: the real keeper of leases, its store, and the accounts that run. It differs from
/// `PluginInstance` where that meets the world, and nowhere else.
final class SimProcess {
    let machine: SimMachine
    private(set) var keeper: LeaseKeeper
    private(set) var store: SimSharedStore!
    private(set) var accounts: [String: SharedAccount] = [:]
    /// Accounts whose runs are being ended.
    private var ending: [String: SharedAccount] = [:]
    private var loading: Set<String> = []
    private(set) var lostTurns: Set<String> = []
    private var handovers: Set<String> = []
    private var actions: [LeaseKeeper.Action] = []
    private var isPerforming = false
    private var timer: ContinuousClock.Instant?
    private var timers = 0
    private var isOver = false

    init(machine: SimMachine) {
        self.machine = machine
        let world = machine.world
        var member = Member(id: "", gateway: machine.name, weight: machine.weight, leaseSeconds: SimMachine.lease)
        // It believes in its leases for ever, and the store does not.
        if world.mutant == .noLocalDeadline { member.leaseSeconds = 1e6 }
        let name = "\(machine.name)/\(machine.run)/\(machine.instances)"
        let ids = Counter()
        keeper = LeaseKeeper(settings: .init(member: member, newID: { "\(name)/\(ids.next())" }))
        store = SimSharedStore(process: self)
        event(.tick)
    }

    private final class Counter: @unchecked Sendable {  // Unchecked: a simulation has one thread.
        private var value = 0
        func next() -> Int {
            value += 1
            return value
        }
    }

    var world: ClusterWorld { machine.world }
    var host: ClusterHost { machine.host }
    var number: Int { machine.number }
    var gateway: String { machine.name }
    var moment: Inbox.Moment { machine.moment }
    var mayAct: Bool { !isOver && keeper.isInForce(at: machine.now) }

    func seconds(until instant: ContinuousClock.Instant) -> Double { machine.seconds(until: instant) }
    func later(_ seconds: Double, _ body: @escaping () -> Void) { machine.later(seconds) { body() } }

    /// It believes that it may run the account.
    func believes(in account: String) -> Bool {
        switch keeper.records[account]?.phase {
        case .running, .stopping: mayAct
        default: false
        }
    }

    // MARK: Deciding and carrying out

    func event(_ event: LeaseKeeper.Event) {
        guard !isOver else { return }
        keeper.handle(event, now: machine.now, &actions)
        guard !isPerforming else { return }
        isPerforming = true
        var at = 0
        while at < actions.count {
            perform(actions[at])
            at += 1
        }
        actions = []
        isPerforming = false
        armTimer()
    }

    private func armTimer() {
        let due = keeper.due
        guard due != timer, !isOver else { return }
        timer = due
        timers += 1
        let number = timers
        later(seconds(until: due) + 1e-6) { [self] in
            guard number == timers else { return }
            timer = nil
            event(.tick)
        }
    }

    private func perform(_ action: LeaseKeeper.Action) {
        switch action {
        case .beat(var member, let number):
            member.leaseSeconds = SimMachine.lease
            store.beat(member) { [self] result in
                switch result {
                case .success(let report):
                    event(.answered(beat: number, report, busy: Set(accounts.filter { !$0.value.isQuiet }.keys)))
                case .failure(.noAnswer): event(.beatFailed(number))
                case .failure(.gone): event(.gone(member: member.id))
                }
            }
        case .claim(let names, let atMost, let number):
            if world.mutant == .lostClaimsStayLost, atMost == 0 { return event(.claimed(number, [])) }
            store.claim(
                names, atMost,
                heard {
                    .claimed(number, $0)
                } or: {
                    .claimFailed(number)
                })
        case .takeOver(let old):
            store.takeOver(
                old,
                heard {
                    .tookOver(old, $0)
                } or: {
                    .takeOverFailed(old)
                })
        case .askRunners(let names):
            let id = keeper.member.id
            store.runners(names) { [self] runners in
                event(runners.map { .runners(names, $0, member: id) } ?? .runnersFailed)
            }
        case .release(let leases):
            world.trace("\(gateway) releases \(leases.map(\.account))")
            store.release(leases) { [self] isDone in if isDone { event(.released(leases)) } }
        case .start(let account): start(account)
        case .stop(let account, let drain, let reason):
            world.trace("\(gateway) gives back \(account): \(reason)")
            stop(account, drain: drain.inSeconds)
        case .end(let names, let reason): for name in names { end(name, reason) }
        case .standby(let names): for name in names { handovers.remove(name) }
        case .drained: world.trace("\(gateway) is drained")
        case .notice: break
        }
    }

    private func heard<Answer>(
        _ good: @escaping (Answer) -> LeaseKeeper.Event, or bad: @escaping () -> LeaseKeeper.Event
    ) -> (Result<Answer, SimStoreTrouble>) -> Void {
        let id = keeper.member.id
        return { [self] result in
            switch result {
            case .success(let answer): event(good(answer))
            case .failure(.noAnswer): event(bad())
            case .failure(.gone):
                event(bad())
                event(.gone(member: id))
            }
        }
    }

    // MARK: Runs

    private func start(_ account: String) {
        if accounts[account] != nil || ending[account] != nil || loading.contains(account) {
            return world.fail("\(gateway) has two runs of \(account)")
        }
        world.checks.starts(account, self)
        let isHandover = handovers.remove(account) != nil
        loading.insert(account)
        if world.isHit(.failingStarts, 0.2) {
            return later(0.1) { [self] in
                loading.remove(account)
                event(.startFailed(account))
            }
        }
        store.load(account) { [self] stored in
            loading.remove(account)
            guard let stored else { return event(.startFailed(account)) }
            guard case .running = keeper.records[account]?.phase, !isOver else { return event(.stopped(account)) }
            let run = SharedAccount(
                account, process: self, room: world.room(account), stored: stored, isHandover: isHandover)
            accounts[account] = run
            lostTurns.subtract(run.openTurns)
        }
    }

    func stop(_ account: String, drain: Double, _ done: @escaping () -> Void = {}) {
        guard let run = accounts.removeValue(forKey: account) else {
            if !loading.contains(account) { event(.stopped(account)) }
            return done()
        }
        ending[account] = run
        if world.mutant == .releasedTooEarly {
            ending[account] = nil
            event(.stopped(account))
        }
        run.stop(drain: drain) { [self] in
            lostTurns.formUnion(run.openTurns)
            ending[account] = nil
            event(.stopped(account))
            done()
        }
    }

    private func end(_ account: String, _ reason: String) {
        world.trace("\(gateway) ends \(account): \(reason)")
        guard let run = accounts.removeValue(forKey: account) ?? ending[account] else {
            if !loading.contains(account) { event(.stopped(account)) }
            return
        }
        let isStopping = ending[account] != nil
        run.abandon()
        lostTurns.formUnion(run.openTurns)
        ending[account] = run
        if isStopping { return }
        later(world.schedule.random.between(0.01, 0.3)) { [self] in
            ending[account] = nil
            event(.stopped(account))
        }
    }

    func refused(_ run: SharedAccount) {
        if accounts[run.id] === run || ending[run.id] === run { event(.refused(run.id)) }
    }

    // MARK: The host's requests

    func want(_ account: String, _ lease: AccountLease? = nil) {
        guard let lease else { return event(.wanted(account)) }
        handovers.insert(account)
        event(.handedIn(lease))
    }

    /// What the instance before knows of turns that agents may still be at.
    func takeOver(lostTurns: Set<String>) { self.lostTurns.formUnion(lostTurns) }

    func forgetHandover(_ account: String) { handovers.remove(account) }
    func isLoading(_ account: String) -> Bool { loading.contains(account) }
    /// It could not be started: it is on standby, and the host knows.
    func hasFailed(_ account: String) -> Bool { keeper.records[account]?.notBefore != nil }

    /// `done` hears the lease, if the account is handed over.
    func unwant(
        _ account: String, isHandover: Bool, drain: Double, _ done: @escaping (AccountLease?) -> Void = { _ in }
    ) {
        event(.unwanted(account, isHandover: isHandover))
        guard let run = accounts[account] else {
            later(drain) { [self] in ending[account]?.hurry() }
            return ended(account) { done(nil) }
        }
        stop(account, drain: drain) { [self] in
            done(isHandover && run.commits == 0 ? keeper.lease(of: account) : nil)
        }
    }

    /// As `stopAccount` of an account that is being given back: the answer comes when that is over.
    private func ended(_ account: String, _ done: @escaping () -> Void) {
        guard ending[account] != nil else { return done() }
        later(0.1) { [self] in ended(account, done) }
    }

    /// The end, in order: what it has is free at once.
    func leave() {
        isOver = true
        for run in accounts.values { run.vanish() }
        for run in ending.values { run.vanish() }
        accounts = [:]
        store.leave()
    }

    /// The end, out of order.
    func crash() {
        isOver = true
        store.connection.isOpen = world.schedule.random.chance(0.5)
        for run in accounts.values { run.vanish() }
        for run in ending.values { run.vanish() }
        accounts = [:]
    }

    /// Nothing is played any more.
    func tearDown() {
        accounts = [:]
        ending = [:]
        store.tearDown()
    }
}
