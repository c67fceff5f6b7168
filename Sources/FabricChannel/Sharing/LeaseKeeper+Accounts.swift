import ChannelStore

/// What happens to single accounts.
extension LeaseKeeper {
    /// How long the lease of an account that the host stopped is kept: a restart takes less.
    static let parking: Duration = .seconds(1)
    /// How long another instance may take to go on with what it was given.
    static let handover: Duration = .seconds(15)
    /// How late an answer of the store may come.
    static let lateness: Duration = .seconds(120)
    /// How long an account that could not be started here is left to others.
    static let startPause: Duration = .seconds(10)

    mutating func wanted(_ account: String, _ now: Instant, _ actions: inout [Action]) {
        var record = records[account] ?? Record()
        record.isWanted = true
        record.notBefore = nil
        switch record.phase {
        case .parked(let lease, _), .out(let lease, _):
            record.phase = .running(lease)
            actions.append(.start(account))
        case .standby: actions.append(.standby([account]))
        case .takingOver, .running, .stopping, .releasing, .ending: break
        }
        records[account] = record
        if record.phase == .standby, lookAt == nil { lookAt = now.advanced(by: Self.gathering) }
    }

    mutating func handedIn(_ lease: AccountLease, _ now: Instant, _ actions: inout [Action]) {
        let account = lease.account
        if lease.member == member.id, self.lease(of: account) == lease { return wanted(account, now, &actions) }
        guard records[account] == nil || records[account]?.phase == .standby else {
            return wanted(account, now, &actions)
        }
        var record = records[account] ?? Record()
        record.isWanted = true
        record.phase = .takingOver(lease, since: now)
        record.wasHere = true
        records[account] = record
        if isInForce(at: now) { actions.append(.takeOver(lease)) }
    }

    mutating func tookOver(_ old: AccountLease, _ new: AccountLease?, _ now: Instant, _ actions: inout [Action]) {
        if let new, givenBack[new] != nil { return }
        guard case .takingOver(old, _) = records[old.account]?.phase else {
            if let new { former.append(new) }
            return
        }
        guard let new else { return standby(old.account, .unknown, &actions) }
        // Of a member that this one is no more.
        guard new.member == member.id, isInForce(at: now), records[old.account]?.isWanted == true else {
            former.append(new)
            return standby(old.account, .unknown, &actions)
        }
        run(new, &actions)
    }

    mutating func unwanted(_ account: String, isHandover: Bool, _ actions: inout [Action]) {
        guard var record = records[account] else { return }
        record.isWanted = false
        switch record.phase {
        case .running(let lease): record.phase = .stopping(lease, isHandover ? .handover : .host)
        case .standby:
            records[account] = nil
            return
        case .takingOver(let lease, _):
            // It may be ours already.
            doubtful.insert(lease.account)
            records[account] = nil
            return
        case .stopping, .parked, .out, .releasing, .ending: break
        }
        records[account] = record
    }

    mutating func stopped(_ account: String, _ now: Instant, _ actions: inout [Action]) {
        guard let record = records[account] else { return }
        switch record.phase {
        case .stopping(let lease, .handover) where !record.isWanted:
            records[account]?.phase = .out(lease, since: now)
        case .stopping(let lease, .host), .stopping(let lease, .handover):
            guard record.isWanted else {
                records[account]?.phase = .parked(lease, since: now)
                return
            }
            records[account]?.phase = .running(lease)
            actions.append(.start(account))
        case .stopping(let lease, .balance):
            records[account]?.returned = lease.epoch
            records[account]?.wasHere = false
            release(lease, now, &actions)
        case .stopping(let lease, .drain):
            records[account]?.wasHere = false
            release(lease, now, &actions)
            if lookAt == nil { lookAt = now.advanced(by: Self.gathering) }
        case .ending: standby(account, record.runner, &actions)
        case .running, .standby, .takingOver, .parked, .out, .releasing: break
        }
    }

    mutating func startFailed(_ account: String, _ now: Instant, _ actions: inout [Action]) {
        records[account]?.notBefore = now.advanced(by: Self.startPause)
        switch records[account]?.phase {
        case .running(let lease), .stopping(let lease, _): release(lease, now, &actions)
        case .ending: standby(account, .unknown, &actions)
        default: break
        }
    }

    mutating func refused(_ account: String, _ actions: inout [Action]) {
        switch records[account]?.phase {
        case .running, .stopping:
            records[account]?.phase = .ending
            records[account]?.runner = .unknown
            actions.append(.end([account], reason: "another gateway has its lease"))
        default: break
        }
    }

    private mutating func release(_ lease: AccountLease, _ now: Instant, _ actions: inout [Action]) {
        records[lease.account]?.phase = .releasing(lease)
        givenBack[lease] = now
        actions.append(.release([lease]))
    }

    mutating func released(_ leases: [AccountLease], _ actions: inout [Action]) {
        let gone = Set(leases)
        former.removeAll { gone.contains($0) }
        for lease in leases where records[lease.account]?.phase == .releasing(lease) {
            if isDraining, records[lease.account]?.isWanted == true { given.insert(lease.account) }
            standby(lease.account, .nobody, &actions)
        }
    }

    /// It does not run here, and nothing of it is left here.
    private mutating func standby(_ account: String, _ runner: Runner, _ actions: inout [Action]) {
        guard records[account]?.isWanted == true else {
            records[account] = nil
            return
        }
        records[account]?.phase = .standby
        records[account]?.runner = runner
        actions.append(.standby([account]))
    }

    mutating func run(_ lease: AccountLease, _ actions: inout [Action]) {
        guard var record = records[lease.account] else { return }
        (record.phase, record.runner, record.notBefore) = (.running(lease), .gateway(member.gateway), nil)
        records[lease.account] = record
        actions.append(.start(lease.account))
    }

    // MARK: What waits for a report

    /// Repeats what was not answered, and gives back what nobody here goes on with.
    mutating func tidy(_ now: Instant, _ actions: inout [Action]) {
        var back = former.filter { !isHere($0.account) }
        for (account, record) in records {
            switch record.phase {
            case .parked(let lease, let since) where since.duration(to: now) >= Self.parking:
                records[account]?.phase = .releasing(lease)
                back.append(lease)
            case .out(let lease, let since) where since.duration(to: now) >= Self.handover:
                records[account]?.phase = .releasing(lease)
                back.append(lease)
            case .releasing(let lease): back.append(lease)
            case .takingOver(let lease, let since):
                if since.duration(to: now) < Self.handover {
                    actions.append(.takeOver(lease))
                } else {
                    doubtful.insert(account)
                    standby(account, .unknown, &actions)
                }
            default: break
            }
            if let pause = record.notBefore, pause <= now { records[account]?.notBefore = nil }
        }
        givenBack = givenBack.filter { $0.value.duration(to: now) < Self.lateness }
        for lease in back { givenBack[lease] = now }
        if !back.isEmpty { actions.append(.release(back.sorted { $0.account < $1.account })) }
    }
}
