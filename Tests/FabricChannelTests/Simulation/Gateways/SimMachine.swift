import ChannelStore

@testable import FabricChannel

/// A gateway's process on a machine: instances of the plugin, a host that goes on while they are exchanged, and a clock.
final class SimMachine {
    static let lease = 8.0

    let number: Int
    unowned let world: ClusterWorld
    let weight: Double
    private let drift: Double
    private(set) var current: SimProcess?
    /// The instance before, while accounts move.
    private(set) var former: SimProcess?
    private(set) var host: ClusterHost!
    /// Counts starts of the process, and what is loaded in it.
    private(set) var run = 0
    private(set) var instances = 0
    private(set) var isPaused = false
    private var late: [() -> Void] = []
    /// Instances whose process is gone, until the end of the course.
    private var past: [SimProcess] = []
    private var isBusy = false
    /// Accounts on their way from one instance to the next: what is asked of them waits.
    private var moving: Set<String> = []
    var wallSkew = 0.0

    init(number: Int, world: ClusterWorld) {
        self.number = number
        self.world = world
        weight = world.plan.weights ? world.schedule.random.pick([1, 2]) : 1
        drift = world.plan.has(.clockDrift) ? world.schedule.random.between(-0.01, 0.01) : 0
    }

    var name: String { "gw-\(number)" }
    var isAlive: Bool { current != nil }
    /// It can be expected to take accounts.
    var isGood: Bool {
        isAlive && !isPaused && !world.database.unreachable.contains(number) && !world.database.unheard.contains(number)
    }

    var now: ContinuousClock.Instant {
        ClusterWorld.origin.advanced(by: .microseconds(Int64(Double(world.schedule.now) * (1 + drift))))
    }
    var moment: Inbox.Moment { .init(instant: now, wall: ClusterWorld.epoch + world.schedule.seconds + wallSkew) }
    func seconds(until instant: ContinuousClock.Instant) -> Double { now.duration(to: instant).inSeconds / (1 + drift) }

    /// Runs `body` in this run of the process; while that is stopped it waits, in order.
    func later(_ seconds: Double, _ body: @escaping () -> Void) {
        let run = run
        world.schedule.after(seconds) { [self] in
            guard run == self.run, isAlive else { return }
            if isPaused { late.append(body) } else { body() }
        }
    }

    // MARK: What is done to it

    func start() {
        guard current == nil else { return }
        world.trace("\(name) starts")
        run += 1
        host = ClusterHost(machine: self)
        isBusy = false
        instances += 1
        let process = SimProcess(machine: self)
        current = process
        for account in world.accounts { process.want(account) }
    }

    func crash() {
        guard let current else { return }
        world.trace("\(name) is killed")
        current.crash()
        former?.crash()
        gone()
        startLater()
    }

    private func gone() {
        past += [current, former].compactMap { $0 }
        moving = []
        current = nil
        former = nil
        isPaused = false
        late = []
        run += 1
    }

    private func startLater() {
        world.schedule.after(world.schedule.random.between(1, 20)) { [self] in start() }
    }

    func pause(_ seconds: Double) {
        guard isAlive, !isPaused else { return }
        world.trace("\(name) is stopped for \(seconds) s")
        isPaused = true
        let run = run
        world.schedule.after(seconds) { [self] in if run == self.run { resume() } }
    }

    func resume() {
        guard isPaused else { return }
        world.trace("\(name) goes on")
        isPaused = false
        let bodies = late
        late = []
        let run = run
        for body in bodies where run == self.run { body() }
    }

    /// Ends in order, as a host does: every account is stopped, then the instance shut down.
    func stop() {
        guard let process = current, !isBusy, !isPaused else { return }
        world.trace("\(name) stops")
        isBusy = true
        var left = world.accounts.count
        for account in world.accounts {
            process.unwant(account, isHandover: false, drain: 1) { [self] _ in
                left -= 1
                guard left == 0 else { return }
                process.leave()
                gone()
                startLater()
            }
        }
    }

    /// The module is reloaded: the accounts move to a new instance, one after the other.
    func reload() {
        guard let old = current, !isBusy, !isPaused else { return }
        world.trace("\(name) reloads")
        isBusy = true
        instances += 1
        let new = SimProcess(machine: self)
        former = old
        current = new
        move(world.accounts[...], old, new)
    }

    private func move(_ accounts: ArraySlice<String>, _ old: SimProcess, _ new: SimProcess) {
        guard let account = accounts.first else {
            old.leave()
            if let former { past.append(former) }
            former = nil
            isBusy = false
            return
        }
        moving.insert(account)
        old.unwant(account, isHandover: true, drain: 0) { [self] lease in
            new.takeOver(lostTurns: old.lostTurns)
            new.want(account, lease)
            // The start is answered when the account runs, or after three seconds.
            later(3) { [self] in
                if new.isLoading(account) { return }
                new.forgetHandover(account)
                moving.remove(account)
            }
            later(0.2) { [self] in move(accounts.dropFirst(), old, new) }
        }
    }

    /// One account is stopped and started again.
    func restart(_ account: String) {
        guard let process = current, !isBusy, !isPaused else { return }
        world.trace("\(name) restarts \(account)")
        process.unwant(account, isHandover: false, drain: 1) { [self] _ in
            later(0) { if self.current === process { process.want(account) } }
        }
    }

    func drain(_ seconds: Double) {
        guard let current, !isPaused else { return }
        world.trace("\(name) drains")
        current.event(.drain(until: now.advanced(by: .seconds(seconds))))
    }

    func undrain() { if !isPaused { current?.event(.undrain) } }

    func isMoving(_ account: String) -> Bool {
        guard let current, moving.contains(account) else { return false }
        if current.accounts[account] != nil || current.hasFailed(account) { moving.remove(account) }
        return moving.contains(account)
    }

    /// The account, if it runs here.
    func account(_ id: String) -> SharedAccount? { current?.accounts[id] ?? former?.accounts[id] }

    func end() {
        current?.crash()
        former?.crash()
        gone()
        // What they hold holds them.
        for process in past { process.tearDown() }
        past = []
        late = []
        host = nil
    }
}

/// The gateway around the instances: agents that take their time and then say one thing.
final class ClusterHost {
    private let machine: SimMachine
    private var ledger = SimLedger()
    private var accounts: [String: String] = [:]

    init(machine: SimMachine) { self.machine = machine }

    func deliver(_ id: String, account: String, text: String) -> DeliveryAnswer {
        accounts[id] = account
        switch ledger.arrived(id) {
        case .finished: return .finished
        case .underWay: return .taken
        case .resend(let answer): send(answer, id)
        case .run:
            machine.later(machine.world.schedule.random.delay(machine.world.plan.agentTime)) { [self] in
                let answer = text.replacing("q-", with: "a-")
                ledger.sending(id, answer)
                send(answer, id)
            }
        }
        return .taken
    }

    /// `send`, followed at once by `settle`.
    private func send(_ text: String, _ id: String) {
        machine.world.trace("\(machine.name) answers \(id)")
        if let name = accounts[id], machine.isMoving(name) {
            return machine.later(0.1) { [self] in send(text, id) }
        }
        guard let name = accounts[id], let account = machine.account(name) else {
            if let again = ledger.notSent(id) { machine.later(0) { [self] in send(again, id) } }
            return
        }
        account.send(text, of: id) { [self] isSent in
            if isSent {
                if ledger.finish(id) { machine.account(name)?.settle(id) }
            } else if let again = ledger.notSent(id) {
                machine.later(0) { [self] in send(again, id) }
            }
        }
        account.settle(id)
    }
}
