import ChannelStore

@testable import FabricChannel

/// A database, two to four gateways, some accounts, and a person who asks each of them, in virtual time.
final class ClusterWorld {
    static let epoch = 1_774_000_000.0
    static let origin = ContinuousClock.now

    let plan: ClusterPlan
    let mutant: ClusterMutant?
    let schedule: Schedule
    private(set) var checks: ClusterChecks!
    private(set) var database: SimDatabase!
    private(set) var machines: [SimMachine] = []
    let accounts: [String]
    private var rooms: [String: ClusterRoom] = [:]
    var isFaulty = true
    var entries = 0
    private var questions = 0
    private var sayings = 0
    /// The database's clock may have ended leases before their time.
    private(set) var clockHasJumped = false
    private(set) var failures: [String] = []
    private(set) var lines: [String] = []
    let isTracing: Bool

    init(plan: ClusterPlan, mutant: ClusterMutant? = nil, isTracing: Bool = false) {
        self.plan = plan
        self.mutant = mutant
        self.isTracing = isTracing
        schedule = Schedule(seed: plan.seed)
        accounts = (0..<plan.accounts).map { "a\($0)" }
        checks = ClusterChecks(world: self)
        database = SimDatabase(world: self)
        for account in accounts { rooms[account] = ClusterRoom(account: account) }
        machines = (0..<plan.gateways).map { SimMachine(number: $0, world: self) }
    }

    func room(_ account: String) -> ClusterRoom { rooms[account] ?? ClusterRoom(account: account) }

    func trace(_ text: @autoclosure () -> String) { if isTracing { lines.append("\(schedule.seconds) \(text())") } }

    func fail(_ text: String) {
        trace("FAILED: \(text)")
        if failures.count < 20 { failures.append("at \(schedule.seconds) s: \(text)") }
    }

    func isHit(_ fault: ClusterPlan.Fault, _ probability: Double) -> Bool {
        isFaulty && plan.has(fault) && schedule.random.chance(probability)
    }

    // MARK: The course

    func play() {
        for machine in machines {
            let isLate = plan.has(.joins) && machine.number > 0
            schedule.after(isLate ? schedule.random.between(0, plan.length) : schedule.random.between(0, 3)) {
                machine.start()
            }
        }
        schedule.run(for: 20)
        for _ in 0..<plan.messages { sometime { $0.ask() } }
        for _ in 0..<plan.sends { sometime { $0.say() } }
        planFaults()
        schedule.run(for: plan.length)
        settle()
    }

    private func sometime(_ body: @escaping (ClusterWorld) -> Void) {
        schedule.after(schedule.random.between(0, plan.length)) { [unowned self] in body(self) }
    }

    private func several(_ fault: ClusterPlan.Fault, _ most: Int, _ body: @escaping (ClusterWorld) -> Void) {
        guard plan.has(fault) else { return }
        for _ in 0...schedule.random.below(most) { sometime { if $0.isFaulty { body($0) } } }
    }

    private func afterwards(_ seconds: Double, _ end: @escaping (ClusterWorld) -> Void) {
        schedule.after(seconds) { [unowned self] in end(self) }
    }

    private func ask() {
        let account = schedule.random.pick(accounts)
        // A new account begins at the head of its channel: what is asked before it has a position is not for it.
        guard !database.table.load(account).cursors.isEmpty else { return }
        questions += 1
        room(account).post("u-human", "q-\(questions)")
        trace("\(account) is asked q-\(questions)")
    }

    /// An agent says something by itself, where it runs.
    private func say() {
        let account = schedule.random.pick(accounts)
        sayings += 1
        machines.first { $0.account(account)?.isRunning == true && !$0.isPaused }?.account(account)?
            .send("say-\(sayings)", of: nil) { _ in }
    }

    private func planFaults() {
        let anyone = { (world: ClusterWorld) in world.schedule.random.pick(world.machines) }
        several(.partitions, 4) { world in
            let machine = anyone(world).number
            let isDeaf = world.schedule.random.chance(0.4)
            world.trace("gw-\(machine) is cut off, \(isDeaf ? "hears nothing" : "reaches nothing")")
            if isDeaf { world.database.unheard.insert(machine) } else { world.database.unreachable.insert(machine) }
            world.afterwards(world.schedule.random.between(1, 30)) { world in
                world.trace("gw-\(machine) is back")
                world.database.unheard.remove(machine)
                world.database.unreachable.remove(machine)
            }
        }
        several(.pauses, 4) { world in anyone(world).pause(world.schedule.random.pick([0.5, 5, 12, 30])) }
        several(.crashes, 4) { anyone($0).crash() }
        several(.leaves, 3) { anyone($0).stop() }
        several(.reloads, 3) { anyone($0).reload() }
        several(.restarts, 4) { world in anyone(world).restart(world.schedule.random.pick(world.accounts)) }
        several(.drains, 2) { world in
            let machine = anyone(world)
            machine.drain(world.schedule.random.between(1, 20))
            world.afterwards(world.schedule.random.between(10, 40)) { _ in machine.undrain() }
        }
        several(.databaseRestarts, 2) { world in
            world.trace("the database is away")
            world.database.isDown = true
            world.afterwards(world.schedule.random.between(1, 25)) { world in
                world.trace("the database is back")
                world.database.isDown = false
            }
        }
        several(.clockJumps, 3) { world in anyone(world).wallSkew += world.schedule.random.between(-20000, 20000) }
        several(.databaseClockJumps, 2) { world in
            world.clockHasJumped = true
            world.database.clockJump += world.schedule.random.between(-20, 60)
        }
        several(.disconnects, 6) { world in
            for machine in world.machines {
                for account in world.accounts where world.schedule.random.chance(0.5) {
                    machine.account(account)?.drop()
                }
            }
        }
    }

    // MARK: The end

    private var good: [SimMachine] { machines.filter(\.isGood) }

    /// The faults end; then everything runs somewhere, evenly, and is answered.
    private func settle() {
        trace("the faults end")
        isFaulty = false
        database.isDown = false
        database.unreachable = []
        database.unheard = []
        for machine in machines {
            machine.resume()
            machine.start()
            machine.undrain()
        }
        // The lease of those that died, some beats, and what was under way when it ended.
        schedule.run(for: SimMachine.lease + 5 * 2 + 6)
        // One that is just on its way to another gateway may take as long as a running turn is given, and some beats.
        for _ in 0..<20 where !checks.doAllRun { schedule.run(for: 1) }
        checks.allRun(within: "a lease and a few beats")
        for _ in 0..<40 where !checks.isSettled { schedule.run(for: 10) }
        for machine in machines { machine.undrain() }
        schedule.run(for: 60)
        // What a gateway that was cut off did not take stays where it is for a minute or two.
        for _ in 0..<12 where !checks.isEven { schedule.run(for: 15) }
        checks.checkShares()
        let starts = checks.starts
        schedule.run(for: 60)
        checks.allRun(within: "all that time")
        if checks.starts != starts { fail("\(checks.starts - starts) starts in a minute in which nothing happened") }
        for account in accounts { room(account).post("u-human", "q-last-\(account)") }
        for _ in 0..<40 where !checks.isSettled { schedule.run(for: 10) }
        checks.end()
    }

    func tearDown() {
        for machine in machines { machine.end() }
        machines = []
        rooms = [:]
        schedule.clear()
    }
}
