import ChannelStore

@testable import FabricChannel

/// What must hold between gateways, whatever happens.
///
/// - No two gateways run one account with leases that both believe in; and whoever posts or delivers has a lease that is in
///   force in the database at that moment. A database whose clock jumps ends leases before their time: then the second is
///   what the epochs and the keys are for, and it is not asked that both hold.
/// - No gateway has two runs of an account.
/// - When the faults are over, each account runs somewhere within a lease and a few beats, the shares are even, and nothing
///   is started or stopped any more.
/// - Every question has exactly one answer, in the order of the questions; nothing is delivered twice but as `redelivered`.
/// - Everything that the store has taken for sending is in the log, once.
final class ClusterChecks {
    unowned let world: ClusterWorld
    private(set) var starts = 0
    private(set) var posts = 0
    private(set) var deliveries = 0
    private var delivered: [String: Int] = [:]
    private var accepted: Set<String> = []

    init(world: ClusterWorld) { self.world = world }

    // MARK: At every moment

    func databaseChanged() {}

    func starts(_ account: String, _ process: SimProcess) {
        starts += 1
        world.trace("\(process.gateway) starts \(account)")
        if !process.mayAct { world.fail("\(process.gateway) starts \(account) without a lease in force") }
        guard !world.clockHasJumped else { return }
        for machine in world.machines {
            for other in [machine.current, machine.former].compactMap(\.self)
            where other !== process && other.believes(in: account) {
                world.fail("\(process.gateway) starts \(account), and \(other.gateway) believes it has it")
            }
        }
    }

    func acts(_ account: SharedAccount, _ what: @autoclosure () -> String) {
        world.trace("\(account.process.gateway) \(what())")
        if world.clockHasJumped { return }
        guard let lease = account.lease, world.database.table.isInForce(lease) else {
            return world.fail("\(account.process.gateway) \(what()), and its lease is not in force")
        }
    }

    func delivered(_ id: String, _ message: String, _ account: SharedAccount, isMarked: Bool) {
        deliveries += 1
        let count = delivered[message, default: 0] + 1
        delivered[message] = count
        guard count > 1, !isMarked else { return }
        // The database's clock jumped, and two have the account for a moment: what the one was told that it may begin, before
        // the other took the account, is begun by both.
        if world.clockHasJumped, account.lease.map({ !world.database.table.isInForce($0) }) ?? true { return }
        world.fail("\(id) is delivered \(count) times, and is not marked")
    }

    func posts(_ entry: String) { posts += 1 }
    func inLog(_ entry: String) {}

    func kept(_ changes: [StoreChange]) {
        for case .outbox(let entry) in changes where entry.deadReason == nil { accepted.insert(entry.id) }
    }

    // MARK: When the faults are over

    private func runners(_ account: String) -> [SimMachine] {
        world.machines.filter { $0.account(account)?.connected == true }
    }

    var doAllRun: Bool { world.accounts.allSatisfy { runners($0).count == 1 } }

    func allRun(within what: String) {
        for account in world.accounts {
            let runners = runners(account)
            if runners.count != 1 {
                world.fail("after \(what) \(account) is run by \(runners.map(\.name)): \(standing(account))")
            }
        }
    }

    private func standing(_ account: String) -> String {
        world.machines.map { machine in
            let process = machine.current
            return "\(machine.name) \(process.map { "\(String(describing: $0.keeper.records[account]))" } ?? "-")"
        }.joined(separator: "; ")
    }

    /// By how many accounts a gateway has more than its part, rounded up.
    private func excesses() -> [(machine: SimMachine, count: Int, share: Double)] {
        let weights = world.machines.reduce(0) { $0 + $1.weight }
        return world.machines.compactMap { machine in
            let count = world.accounts.count { machine.account($0) != nil }
            let share = (Double(world.accounts.count) * machine.weight / weights - 1e-6).rounded(.up)
            return Double(count) > share ? (machine, count, share) : nil
        }
    }

    var isEven: Bool { excesses().isEmpty }

    func checkShares() {
        for (machine, count, share) in excesses() {
            world.fail("\(machine.name) has \(count) accounts, and its share is \(share)")
        }
    }

    private func missing(_ account: String) -> [String] {
        let room = world.room(account)
        let answers = Set(room.log.filter { $0.author == room.agent }.map(\.content))
        return room.log.filter { $0.content.hasPrefix("q-") }
            .map { $0.content.replacing("q-", with: "a-") }.filter { !answers.contains($0) }
    }

    var isSettled: Bool {
        world.accounts.allSatisfy { account in
            runners(account).first?.account(account)?.isQuiet == true && missing(account).isEmpty
        }
    }

    func end() {
        for account in world.accounts {
            let room = world.room(account)
            let asked = room.log.filter { $0.content.hasPrefix("q-") }.map(\.content)
            let answers = room.log.filter { $0.content.hasPrefix("a-") }.map { $0.content.replacing("a-", with: "q-") }
            if asked != answers {
                world.fail("\(account) was asked \(asked), answered \(answers)")
            }
            let keys = room.log.compactMap(\.key)
            for entry in accepted.sorted() where entry.hasPrefix(account + "/") {
                let key = IdempotencyKey.of(entry)
                let count = keys.count { $0 == key || $0.hasPrefix(key + "@") }
                if count != 1 { world.fail("\(entry) is in the log \(count) times") }
            }
        }
    }
}
