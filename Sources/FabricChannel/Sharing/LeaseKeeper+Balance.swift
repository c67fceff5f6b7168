import ChannelStore

/// Who is to have how many: what each report leads to.
extension LeaseKeeper {
    /// How long an account with a running turn is spared, if the only reason to give it back is balance.
    static let patience: Duration = .seconds(60)
    /// How long an account that comes to its end for balance may take.
    static let balanceDrain: Duration = .seconds(10)
    /// An account that nobody else took is given back once more after this time, doubled each time up to the longest: who was
    /// short of it may only have been cut off, or may have another configuration.
    static let keeping: Duration = .seconds(60)
    static let longestKeeping: Duration = .seconds(600)
    /// Reports after which a member is no newcomer any more: until then it takes little at a time, so that gateways that
    /// start together find something each.
    static let settling = 3

    mutating func judge(_ report: ClusterReport, _ now: Instant, _ actions: inout [Action]) {
        questions = 0
        tidy(now, &actions)
        forgetRunners(report)
        // Whether somebody took it is asked for until it is known: else a drain would end well that leaves agents deaf.
        given = given.filter { records[$0]?.isWanted == true }
        for account in given where records[account]?.phase == .standby { records[account]?.runner = .unknown }
        seek(report, now, isNew: true, &actions)
        balance(report, now, &actions)
        if isDraining { giveBackAll(now, &actions) }
    }

    /// A gateway that has less than before does not run some of what it ran.
    private mutating func forgetRunners(_ report: ClusterReport) {
        var now: [String: Int] = [:]
        for row in report.members { now[row.member.gateway, default: 0] += max(0, min(row.owned, 1 << 40)) }
        let less = Set(owned.filter { ($0.value > now[$0.key] ?? 0) || now[$0.key] == nil }.keys)
        owned = now
        sinceAsked += 1
        let isOld = sinceAsked >= (report.unowned > 0 ? 3 : 15)
        if isOld { sinceAsked = 0 }
        guard isOld || !less.isEmpty else { return }
        for (account, record) in records where record.phase == .standby {
            switch record.runner {
            case .gateway(let name) where isOld || less.contains(name) || now[name] == nil,
                .doubted(let name) where now[name] ?? 0 == 0:
                records[account]?.runner = now[name] ?? 0 > 0 ? .doubted(name) : .unknown
            // Others find out by trying to take it.
            case .nobody where isOld && isDraining: records[account]?.runner = .unknown
            default: break
            }
        }
    }

    // MARK: Taking

    /// Looks after accounts that nobody runs.
    /// - Parameter isNew: the report has just come.
    mutating func seek(_ report: ClusterReport, _ now: Instant, isNew: Bool = false, _ actions: inout [Action]) {
        let isAlone = !report.members.contains { $0.member.id != member.id && $0.owned > 0 }
        var unknown: [String] = []
        var free: [String] = []
        var unrun = 0
        for (account, record) in records where record.isWanted && record.phase == .standby {
            switch record.runner {
            case .unknown where isAlone, .doubted where isAlone: records[account]?.runner = .nobody
            case .unknown, .doubted: unknown.append(account)
            case .nobody: break
            case .gateway: continue
            }
            unrun += 1
            if records[account]?.runner == .nobody, record.notBefore == nil { free.append(account) }
        }
        if isNew { atReport = (min(unrun, max(0, report.unowned)), held) }
        // What another has taken since is not yet among what the report says it has: without it all shares would be too small.
        unrun = max(unrun, atReport.unrun - max(0, held - atReport.held))
        shares = ClusterShares(report, unrun: unrun, wanted: (member.id, records.values.count(where: \.isWanted)))
        if !unknown.isEmpty, !isAsking, questions < 2 {
            isAsking = true
            questions += 1
            actions.append(.askRunners(unknown.sorted()))
        }
        guard claim == nil else { return }
        if isNew, findLost(report, &actions) { return }
        guard !free.isEmpty, !isDraining else {
            starved = 0
            return
        }
        var room = min(self.room(report), limit)
        if room <= 0 {
            // Others may have another configuration, and not want these at all.
            if isNew { starved += 1 }
            guard starved > Self.settling else { return }
            room = limit
        }
        let isBeyond = starved > Self.settling
        starved = 0
        ask(Array(inTurn(free).prefix(room)), atMost: room, isBeyond: isBeyond, &actions)
    }

    /// First those that ran here: nobody has to log in for them. Of the others those that other gateways are not about to ask
    /// for: who asks second would be left with what it hears of only later.
    private func inTurn(_ free: [String]) -> [String] {
        let sorted = free.sorted()
        let start = shares?.beginning(of: member.gateway, among: sorted.count) ?? 0
        let order = sorted[start...] + sorted[..<start]
        return order.filter { records[$0]?.wasHere == true } + order.filter { records[$0]?.wasHere != true }
    }

    /// How many more this gateway may have.
    private func room(_ report: ClusterReport) -> Int {
        var others = 0
        var mine = 0
        for row in report.members where row.member.gateway == member.gateway {
            if row.member.id == member.id { mine = row.owned } else { others += max(0, min(row.owned, 1 << 40)) }
        }
        return (shares?.gateways[member.gateway]?.share ?? 0) - others - max(mine, held)
    }

    /// How many are claimed at once.
    private var limit: Int {
        let wanted = records.count
        return reports <= Self.settling ? max(32, wanted / 4) : max(256, wanted / 2)
    }

    private mutating func ask(
        _ names: [String], atMost: Int, isBeyond: Bool = false, _ actions: inout [Action]
    ) {
        lastClaim += 1
        claim = (lastClaim, names, isBeyond)
        actions.append(.claim(names, atMost: atMost, number: lastClaim))
    }

    /// The store says that we have more than we know: the answer to a claim got lost.
    private mutating func findLost(_ report: ClusterReport, _ actions: inout [Action]) -> Bool {
        let mine = report.members.first { $0.member.id == member.id }?.owned ?? 0
        let out = records.values.count { if case .out = $0.phase { true } else { false } }
        surplus = mine > held + out ? surplus + 1 : 0
        guard surplus >= 2 else { return false }
        surplus = 0
        let names = doubtful.union(records.filter { $0.value.isWanted && $0.value.phase == .standby }.keys)
        guard !names.isEmpty else { return false }
        ask(names.sorted(), atMost: 0, &actions)
        return true
    }

    mutating func claimed(_ number: UInt64, _ leases: [AccountLease], _ now: Instant, _ actions: inout [Action]) {
        guard let claim, claim.number == number else {
            // Of a member that this one is no more, or given up for lost.
            former += leases.filter { lease in records[lease.account]?.phase.lease != lease }
            return
        }
        self.claim = nil
        let granted = Set(leases.map(\.account))
        for account in claim.names where !granted.contains(account) {
            if records[account]?.phase == .standby { records[account]?.runner = .unknown }
        }
        doubtful.subtract(claim.names)
        for lease in leases.sorted(by: { $0.account < $1.account }) {
            if givenBack[lease] != nil { continue }
            guard lease.member == member.id, isInForce(at: now) else {
                former.append(lease)
                continue
            }
            guard let record = records[lease.account], record.isWanted, record.phase == .standby else {
                if records[lease.account]?.phase.lease != lease, self.lease(of: lease.account) != lease {
                    former.append(lease)
                }
                continue
            }
            if claim.isBeyond, let returned = record.returned, returned &+ 1 == lease.epoch {
                let time = min(record.keeping.map { $0 * 2 } ?? Self.keeping, Self.longestKeeping)
                records[lease.account]?.keeping = time
                records[lease.account]?.keptUntil = now.advanced(by: time)
            } else {
                records[lease.account]?.keeping = nil
            }
            run(lease, &actions)
        }
        // More at once, if there was enough; else when the next report tells more.
        if let report, leases.count >= claim.names.count || questions < 2 { seek(report, now, &actions) }
    }

    /// Who runs what was asked for.
    mutating func heard(
        _ asked: [String], _ runners: [String: String], _ now: Instant, _ actions: inout [Action]
    ) {
        var changed: [String] = []
        for account in asked where records[account]?.phase == .standby {
            let runner = runners[account].map { Runner.gateway($0) } ?? .nobody
            let before = records[account]?.runner
            // That the same one still runs it is no news.
            if before != runner, runner.name == nil || runner.name != before?.name { changed.append(account) }
            records[account]?.runner = runner
            if case .gateway(let name) = runner, name != member.gateway { given.remove(account) }
        }
        if !changed.isEmpty { actions.append(.standby(changed)) }
        if let report { seek(report, now, &actions) }
    }

    // MARK: Giving

    /// Gives back what is too much, if somebody is short of it: quiet accounts first, a few at a time.
    private mutating func balance(_ report: ClusterReport, _ now: Instant, _ actions: inout [Action]) {
        let mine = report.members.filter { $0.member.gateway == member.gateway && $0.owned > 0 }
        guard !isDraining, let shares, let own = shares.gateways[member.gateway],
            mine.allSatisfy({ $0.member.id == member.id })
        else {
            excess = (0, nil)
            return
        }
        let short = shares.gateways.reduce(0) { $1.key == member.gateway ? $0 : $0 + $1.value.deficit }
        let tooMany = min(held, own.owned) - own.share
        guard tooMany > 0, short > 0 else {
            excess = (0, nil)
            return
        }
        excess = (excess.reports + 1, excess.since ?? now)
        // Once may be the moment in which somebody else is just giving or taking.
        guard excess.reports >= 2 else { return }
        let underWay = records.values.count {
            switch $0.phase {
            case .stopping, .releasing, .parked: true
            default: false
            }
        }
        var count = min(min(tooMany, short) - underWay, max(8, records.count / 16) - underWay)
        let isLong = excess.since.map { $0.duration(to: now) >= Self.patience } ?? false
        let running = records.filter { account, record in
            guard case .running = record.phase, record.isWanted else { return false }
            return (record.keptUntil ?? now) <= now
        }.keys.sorted()
        for account in running.filter({ !busy.contains($0) }) + (isLong ? running.filter(busy.contains) : []) {
            guard count > 0 else { return }
            count -= 1
            giveBack(account, .balance, Self.balanceDrain, &actions)
        }
    }

    private mutating func giveBack(
        _ account: String, _ reason: StopReason, _ drain: Duration, _ actions: inout [Action]
    ) {
        guard case .running(let lease) = records[account]?.phase else { return }
        records[account]?.phase = .stopping(lease, reason)
        actions.append(.stop(account, drain: drain, reason))
    }

    /// All that is left goes back, some at a time, so that the others are not asked for all at once.
    mutating func giveBackAll(_ now: Instant, _ actions: inout [Action]) {
        guard let drainUntil else { return }
        let underWay = records.values.count { if case .stopping = $0.phase { true } else { false } }
        var count = max(16, records.count / 8) - underWay
        let running = records.filter { if case .running = $0.value.phase { true } else { false } }.keys.sorted()
        for account in running.filter({ !busy.contains($0) }) + running.filter(busy.contains) {
            guard count > 0 else { return }
            count -= 1
            giveBack(account, .drain, max(.seconds(1), now.duration(to: drainUntil)), &actions)
        }
    }
}
