@testable import ChannelStore

/// A store that applies whole commits, in order, some time after they were given to it.
final class SimStore {
    private struct Commit {
        var changes: [StoreChange]
        var completion: () -> Void
    }

    unowned let world: World
    private(set) var durable = StoredAccount()
    /// The deliveries in it: most changes are about one that is not there yet.
    private var deliveries: Set<String> = []
    /// What the disk has for certain: all up to the last commit that must outlive a loss of power. What came since it was
    /// last needed is in `syncedSince`: a copy at every commit would be most of the work.
    private var synced = StoredAccount()
    private var syncedSince: [[StoreChange]] = []
    private var unsynced: [[StoreChange]] = []
    private var queue: [Commit] = []
    private var writing = 0
    private(set) var isGood = true
    /// Counts openings, so that a write of a process that died comes to nothing.
    private var opening = 0

    init(world: World) { self.world = world }

    var isIdle: Bool { queue.isEmpty && isGood }

    /// What a reader sees: everything that was committed, written or not.
    var visible: StoredAccount {
        var account = durable
        for commit in queue { for change in commit.changes { account.apply(change) } }
        return account
    }

    func commit(_ changes: [StoreChange], then completion: @escaping () -> Void) {
        queue.append(Commit(changes: world.mutant?.altered(changes) ?? changes, completion: completion))
        write()
    }

    private func write() {
        guard writing == 0, !queue.isEmpty, isGood else { return }
        writing = queue.count
        let usual = world.plan.has(.slowStore) && world.isFaulty ? 5.0 : 0.01
        let opening = opening
        world.schedule.after(world.schedule.random.delay(usual)) { [self] in
            guard opening == self.opening else { return }
            let batch = queue.prefix(writing)
            let count = writing
            writing = 0
            guard isGood else { return }
            queue.removeFirst(count)
            for commit in batch { apply(commit.changes) }
            for commit in batch { commit.completion() }
            write()
        }
    }

    private func apply(_ changes: [StoreChange]) {
        for change in changes {
            apply(change)
            world.checks.applied(change)
        }
        guard world.plan.has(.powerCuts) else { return }
        unsynced.append(changes)
        if world.mutant != .syncsNothing, StoreBatch.mustOutlivePower(changes) {
            syncedSince += unsynced
            unsynced = []
        }
    }

    private func apply(_ change: StoreChange) {
        switch change {
        case .delivery(let delivery) where deliveries.insert(delivery.id).inserted:
            durable.deliveries.append(delivery)
        case .settled(let id):
            guard deliveries.remove(id) != nil, let at = durable.deliveries.firstIndex(where: { $0.id == id }) else {
                return
            }
            durable.deliveries.remove(at: at)
        default: durable.apply(change)
        }
    }

    func setHealth(_ isGood: Bool) {
        self.isGood = isGood
        world.trace("store good \(isGood)")
        write()
    }

    /// The process dies: of what was being written, some is in the file, some not, each commit whole.
    func crash(losesPower: Bool) {
        opening += 1
        for commit in queue.prefix(isGood ? world.schedule.random.below(writing + 1) : 0) {
            if world.mutant == .tearsBatches {
                apply(Array(commit.changes.prefix(commit.changes.count / 2)))
                break
            }
            apply(commit.changes)
        }
        world.mutant?.afterCrash(queue.map(\.changes)) { apply($0) }
        queue = []
        writing = 0
        guard losesPower else { return }
        durable = synced
        deliveries = Set(durable.deliveries.map(\.id))
        for change in syncedSince.joined() { apply(change) }
        for changes in unsynced.prefix(world.schedule.random.below(unsynced.count + 1)) {
            for change in changes { apply(change) }
        }
        unsynced = []
        syncedSince = []
        synced = durable
        world.checks.powerWasCut(durable)
    }
}
