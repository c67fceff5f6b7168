import ChannelStore

/// The database that gateways share, and the network to it. What is asked of it over one connection arrives in order.
final class SimDatabase {
    unowned let world: ClusterWorld
    var table = SharedTable()
    var isDown = false
    /// Gateways that do not reach it (nothing arrives), or that hear nothing of it (nothing comes back).
    var unreachable: Set<Int> = []
    var unheard: Set<Int> = []
    var clockJump = 0.0

    init(world: ClusterWorld) { self.world = world }

    var clock: Double { ClusterWorld.epoch + world.schedule.seconds + clockJump }

    /// Asks it for something; `done` hears nil if there is no answer. An answer that got lost may be for ever.
    func ask<Answer>(
        _ connection: SimConnection, mayBeSilent: Bool = false, _ serve: @escaping (SimDatabase) -> Answer,
        _ done: @escaping (Answer?) -> Void
    ) {
        let isSlow = world.isHit(.slowDatabase, 0.2)
        let there = world.schedule.random.delay(0.02) + (isSlow ? world.schedule.random.between(0, 6) : 0)
        let back = world.schedule.random.delay(0.02) + (isSlow ? world.schedule.random.between(0, 3) : 0)
        let isLost = world.isHit(.lostAnswers, 0.1)
        let isSilent = mayBeSilent && world.isHit(.lostAnswers, 0.3)
        let arrival = max(connection.lastArrival, world.schedule.now + Int64(there * 1e6))
        connection.lastArrival = arrival
        world.schedule.after(Double(arrival - world.schedule.now) / 1e6) { [self] in
            let isReached = !isDown && !unreachable.contains(connection.gateway) && connection.isOpen
            // What was sent before the process ended may arrive; what waits in a cut connection does not.
            let answer = isReached ? serve(self) : nil
            world.checks.databaseChanged()
            if isReached, isLost, isSilent { return }
            world.schedule.after(isReached ? back : world.schedule.random.between(0.1, 3)) { [self] in
                let isHeard = !isLost && !isDown && !unheard.contains(connection.gateway)
                done(isHeard ? answer : nil)
            }
        }
    }
}

/// A gateway's connection to the database.
final class SimConnection {
    let gateway: Int
    var isOpen = true
    var lastArrival: Int64 = 0
    init(gateway: Int) { self.gateway = gateway }
}

/// The store of one instance: what is committed is written in order, with the lease there was when it was committed, again and
/// again until the database has answered.
final class SimSharedStore {
    private struct Commit {
        var changes: [StoreChange]
        var account: String
        var lease: AccountLease?
        var completion: (CommitOutcome) -> Void
    }

    unowned let process: SimProcess
    let connection: SimConnection
    private(set) var member: String?
    private var hasJoined = false
    private(set) var leases: [String: AccountLease] = [:]
    private var queue: [Commit] = []
    private var isWriting = false

    init(process: SimProcess) {
        self.process = process
        connection = SimConnection(gateway: process.number)
    }

    private var world: ClusterWorld { process.world }
    var isIdle: Bool { queue.isEmpty }
    func tearDown() { queue = [] }

    func beat(_ member: Member, _ done: @escaping (Result<ClusterReport, SimStoreTrouble>) -> Void) {
        if self.member != member.id { (self.member, hasJoined, leases) = (member.id, false, [:]) }
        let isFirst = !hasJoined
        world.database.ask(connection, mayBeSilent: true) { database -> ClusterReport? in
            try? database.table.beat(member, isFirst: isFirst, at: database.clock)
        } _: { [self] answer in
            process.later(0) { [self] in
                guard let answer else { return done(.failure(.noAnswer)) }
                if let report = answer {
                    if self.member == member.id { hasJoined = true }
                    done(.success(report))
                } else {
                    done(.failure(.gone))
                }
            }
        }
    }

    func claim(_ names: [String], _ atMost: Int, _ done: @escaping (Result<[AccountLease], SimStoreTrouble>) -> Void) {
        guard let member else { return done(.failure(.noAnswer)) }
        world.database.ask(connection) { database -> [AccountLease]? in
            try? database.table.claim(names, atMost: atMost, for: member)
        } _: { [self] answer in
            process.later(0) { [self] in
                guard let answer else { return done(.failure(.noAnswer)) }
                guard let leases = answer else { return done(.failure(.gone)) }
                if self.member == member { for lease in leases { self.leases[lease.account] = lease } }
                done(.success(leases))
            }
        }
    }

    func takeOver(_ lease: AccountLease, _ done: @escaping (Result<AccountLease?, SimStoreTrouble>) -> Void) {
        guard let member else { return done(.failure(.noAnswer)) }
        world.database.ask(connection) { database in
            Result { try database.table.takeOver(lease, for: member) }
        } _: { [self] answer in
            process.later(0) { [self] in
                guard let answer else { return done(.failure(.noAnswer)) }
                guard let new = try? answer.get() else {
                    if case .failure = answer { return done(.failure(.gone)) }
                    return done(.success(nil))
                }
                if self.member == member { leases[new.account] = new }
                done(.success(new))
            }
        }
    }

    /// After everything that was committed for these accounts is written.
    func release(_ given: [AccountLease], _ done: @escaping (Bool) -> Void) {
        let accounts = Set(given.map(\.account))
        guard !queue.contains(where: { accounts.contains($0.account) }) else {
            return process.later(0.05) { [self] in release(given, done) }
        }
        world.database.ask(connection) {
            $0.table.release(given)
        } _: { [self] answer in
            process.later(0) { [self] in
                if answer != nil {
                    for lease in given where leases[lease.account] == lease { leases[lease.account] = nil }
                }
                done(answer != nil)
            }
        }
    }

    func runners(_ names: [String], _ done: @escaping ([String: String]?) -> Void) {
        world.database.ask(connection) {
            $0.table.runners(of: names)
        } _: { [self] answer in
            process.later(0) { done(answer) }
        }
    }

    /// Behind what is not written yet, which is known here only; as `StoreEngine` does.
    func load(_ account: String, _ done: @escaping (StoredAccount?) -> Void) {
        guard !queue.contains(where: { $0.account == account }) else {
            return process.later(0.05) { [self] in load(account, done) }
        }
        world.database.ask(connection) {
            $0.table.load(account)
        } _: { [self] answer in
            process.later(0) { done(answer) }
        }
    }

    func leave() {
        guard let member else { return }
        world.database.ask(connection) {
            $0.table.remove(member)
        } _: { _ in
        }
    }

    // MARK: Commits

    func commit(_ changes: [StoreChange], _ account: String, _ completion: @escaping (CommitOutcome) -> Void) {
        queue.append(Commit(changes: changes, account: account, lease: leases[account], completion: completion))
        write()
    }

    private func write() {
        guard !isWriting, !queue.isEmpty else { return }
        isWriting = true
        let batch = queue
        let isUnfenced = world.mutant == .noEpochCheck
        world.database.ask(connection) { [world] database in
            batch.map { commit -> CommitOutcome in
                if isUnfenced {
                    database.table.commitUnfenced(commit.changes, account: commit.account)
                    return .kept
                }
                let outcome = database.table.commit(commit.changes, account: commit.account, lease: commit.lease)
                if outcome == .kept { world.checks.kept(commit.changes) }
                return outcome
            }
        } _: { [self] answer in
            process.later(answer == nil ? 0.5 : 0) { [self] in
                isWriting = false
                guard let answer else { return write() }
                queue.removeFirst(batch.count)
                for (commit, outcome) in zip(batch, answer) { commit.completion(outcome) }
                write()
            }
        }
    }
}

enum SimStoreTrouble: Error { case noAnswer, gone }
