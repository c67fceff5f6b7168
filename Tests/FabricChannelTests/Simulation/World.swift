@testable import FabricChannel

/// Guilds, a network, a disk, a gateway and an account, in virtual time. What is random comes from the seed.
final class World {
    /// Seconds since 1970 at which virtual time begins.
    static let epoch = 1_774_000_000.0
    static let otherAgents = ["u-bot1", "u-bot2"]
    private static let origin = ContinuousClock.now

    let plan: Plan
    let mutant: Mutant?
    let schedule: Schedule
    private(set) var guilds: [SimGuild] = []
    private(set) var checks: Checks!
    private(set) var store: SimStore!
    var liar: Liar!
    private(set) var center: SimCenter!
    private(set) var host: SimHost?
    private(set) var supervisor: SimSupervisor?
    private(set) var account: SimAccount?
    /// The faults have not ended yet.
    var isFaulty = true
    /// How far this machine's clock is off.
    var wallSkew = 0.0
    /// Counts the ends of the process that may have lost what was not kept.
    private(set) var losses = 0
    private(set) var isMoving = false
    /// Counts what is done to the process, so that a crash overtakes a stop.
    private var changes = 0
    var messageCount = 0
    var entries = 0
    var powerWasCut = false
    private(set) var failures: [String] = []
    private(set) var lines: [String] = []
    let isTracing: Bool

    init(plan: Plan, mutant: Mutant? = nil, isTracing: Bool = false) {
        self.plan = plan
        self.mutant = mutant
        self.isTracing = isTracing
        schedule = Schedule(seed: plan.seed)
        checks = Checks(world: self)
        store = SimStore(world: self)
        liar = Liar(world: self)
        center = SimCenter(world: self)
        for number in 0..<plan.guilds {
            let skew = plan.has(.clockSkew) ? schedule.random.between(-40, 40) : 0
            guilds.append(SimGuild(number: number, world: self, skew: skew))
        }
    }

    var moment: Inbox.Moment {
        if lastMoment.time != schedule.now {
            lastMoment = (schedule.now, Self.origin.advanced(by: .microseconds(schedule.now)))
        }
        return Inbox.Moment(instant: lastMoment.instant, wall: Self.epoch + schedule.seconds + wallSkew)
    }
    private var lastMoment: (time: Int64, instant: ContinuousClock.Instant) = (0, World.origin)

    func seconds(until instant: ContinuousClock.Instant) -> Double { moment.instant.duration(to: instant).inSeconds }

    var inboxSettings: Inbox.Settings {
        var settings = plan.inbox
        if mutant == .turnsMissed { settings.turnPatience = .zero }
        return settings
    }

    /// A turn may have been run again.
    var hasBegunAgain: Bool { changes > 0 || wasRestarted }
    private var wasRestarted = false

    func trace(_ text: @autoclosure () -> String) {
        if isTracing { lines.append("\(schedule.seconds) \(text())") }
    }

    func fail(_ text: String) {
        trace("FAILED: \(text)")
        if failures.count < 20 { failures.append("at \(schedule.seconds) s: \(text)") }
    }

    /// Whether a fault of the plan strikes now.
    func isHit(_ fault: Plan.Fault, _ probability: Double) -> Bool {
        isFaulty && plan.has(fault) && schedule.random.chance(probability)
    }

    // MARK: The process

    func startProcess() {
        trace("the process starts")
        host = SimHost(world: self)
        checks.processStarted()
        supervisor = SimSupervisor(world: self)
        supervisor?.begin()
    }

    /// The supervisor starts the account.
    func startAccount() {
        guard let host, account == nil, !isMoving else { return }
        trace("the account starts")
        account = SimAccount(world: self, host: host, run: losses, stored: store.visible, isHandover: false)
    }

    /// The process dies, with all that was in its memory.
    func crash(losesPower: Bool) {
        guard host != nil else { return }
        trace(losesPower ? "the power is cut" : "the process is killed")
        powerWasCut = powerWasCut || losesPower
        end(isLossy: true, losesPower: losesPower)
        startLater()
    }

    private func end(isLossy: Bool, losesPower: Bool) {
        changes += 1
        isMoving = false
        account?.crash()
        account = nil
        host?.end()
        host = nil
        supervisor?.end()
        supervisor = nil
        if isLossy { losses += 1 }
        store.crash(losesPower: losesPower)
        guard isLossy else { return }
        checks.died(losesPower: losesPower, store.durable)
        guard mutant != .runningNotKept else { return }
        if !store.durable.isRunning {
            checks.forgot(onlyWakes: false)
        } else if losesPower {
            checks.forgot(onlyWakes: true)
        }
    }

    private func startLater() {
        let change = changes
        let time = plan.has(.gaps) ? schedule.random.between(1, 200) : schedule.random.between(1, 10)
        schedule.after(time) { [self] in if change == changes, host == nil { startProcess() } }
    }

    /// The gateway ends in good order, and starts again later.
    func stop() {
        guard let account, !isMoving else { return }
        trace("the process stops")
        isMoving = true
        let change = changes
        account.stop(drain: schedule.random.pick([0, 3])) { [self] in
            guard change == changes else { return }
            // What a failing store has not taken by now is lost as in a crash.
            end(isLossy: !store.isIdle, losesPower: false)
            startLater()
        }
    }

    /// The account moves to another instance of the module, in the same process, or is restarted in the same one.
    func move(handsOver: Bool, _ done: @escaping () -> Void = {}) {
        guard let account, let host, !isMoving else { return }
        trace(handsOver ? "the account moves" : "the account is restarted")
        isMoving = true
        wasRestarted = wasRestarted || !handsOver
        let change = changes
        account.stop(drain: handsOver ? 0 : 2) { [self] in
            guard change == changes else { return }
            isMoving = false
            trace("the account has moved")
            self.account = SimAccount(
                world: self, host: host, run: losses, stored: store.visible, isHandover: handsOver,
                session: handsOver ? account.session : nil)
            done()
        }
    }

    /// Lets go of everything, for the parts hold each other.
    func tearDown() {
        account?.crash()
        account = nil
        host = nil
        supervisor = nil
        guilds = []
        schedule.clear()
    }
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
