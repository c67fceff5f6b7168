/// What several gateways share, as a value: members, who runs which account, and what is kept of each. The meaning of
/// ``SharedStore``, for stores in memory and for simulations; time goes in.
public struct SharedTable: Sendable {
    private struct MemberRow: Sendable {
        var member: Member
        var beatAt: Double
    }

    private struct AccountRow: Sendable {
        var owner: String?
        var epoch: Int64 = 0
        var kept = StoredAccount()
    }

    private var members: [String: MemberRow] = [:]
    private var rows: [String: AccountRow] = [:]

    public init() {}

    /// Says that a member lives, lets those go whose lease is over, and tells how things stand.
    /// - Parameters:
    ///   - isFirst: the member joins; else one that is not there any more is gone.
    ///   - time: the store's clock, seconds since 1970.
    public mutating func beat(_ member: Member, isFirst: Bool, at time: Double) throws(MemberGone) -> ClusterReport {
        expire(at: time)
        guard isFirst || members[member.id] != nil else { throw MemberGone() }
        members[member.id] = MemberRow(member: member, beatAt: time)
        var owned: [String: Int] = [:]
        var unowned = 0
        for row in rows.values {
            if let owner = row.owner { owned[owner, default: 0] += 1 } else { unowned += 1 }
        }
        let rows = members.values.sorted { $0.member.id < $1.member.id }.map {
            ClusterReport.Row(
                member: $0.member, owned: owned[$0.member.id] ?? 0, secondsSinceBeat: max(0, time - $0.beatAt))
        }
        return ClusterReport(members: rows, accounts: self.rows.count, unowned: unowned, time: time)
    }

    private mutating func expire(at time: Double) {
        for (id, row) in members where time - row.beatAt > row.member.leaseSeconds { remove(id) }
    }

    /// The member is no more, and nobody runs what it ran.
    public mutating func remove(_ id: String) {
        members[id] = nil
        for (account, row) in rows where row.owner == id { rows[account]?.owner = nil }
    }

    /// Gives a member those of the accounts that nobody runs, at most so many; and says again which it has already.
    public mutating func claim(
        _ accounts: [String], atMost: Int, for member: String
    ) throws(MemberGone) -> [AccountLease] {
        guard members[member] != nil else { throw MemberGone() }
        var leases: [AccountLease] = []
        var left = atMost
        for account in accounts {
            var row = rows[account] ?? AccountRow()
            if row.owner == nil {
                guard left > 0 else { continue }
                left -= 1
                row.owner = member
                row.epoch += 1
                rows[account] = row
            }
            if row.owner == member { leases.append(AccountLease(account: account, member: member, epoch: row.epoch)) }
        }
        return leases
    }

    /// Gives a member an account that another has, if that lease is in force.
    public mutating func takeOver(_ lease: AccountLease, for member: String) throws(MemberGone) -> AccountLease? {
        guard members[member] != nil else { throw MemberGone() }
        guard isInForce(lease) else { return nil }
        rows[lease.account]?.owner = member
        rows[lease.account]?.epoch += 1
        return AccountLease(account: lease.account, member: member, epoch: rows[lease.account]?.epoch ?? 0)
    }

    public mutating func release(_ leases: [AccountLease]) {
        for lease in leases where isInForce(lease) { rows[lease.account]?.owner = nil }
    }

    public func isInForce(_ lease: AccountLease) -> Bool {
        guard let row = rows[lease.account] else { return false }
        return row.owner == lease.member && row.epoch == lease.epoch && members[lease.member] != nil
    }

    /// The gateways that run these accounts.
    public func runners(of accounts: [String]) -> [String: String] {
        var runners: [String: String] = [:]
        for account in accounts {
            guard let owner = rows[account]?.owner, let member = members[owner] else { continue }
            runners[account] = member.member.gateway
        }
        return runners
    }

    public func notes(_ name: String) -> [String: [UInt8]] { rows.compactMapValues { $0.kept.notes[name] } }

    /// Who has the account; nil if nobody.
    public func owner(of account: String) -> String? { rows[account]?.owner }

    /// Applies changes, if the lease is in force.
    public mutating func commit(_ changes: [StoreChange], account: String, lease: AccountLease?) -> CommitOutcome {
        guard let lease, lease.account == account, isInForce(lease) else { return .refused }
        for change in changes { rows[account]?.kept.apply(change) }
        return .kept
    }

    /// The same without looking at the lease: for tests that show what the fence is for.
    public mutating func commitUnfenced(_ changes: [StoreChange], account: String) {
        for change in changes { rows[account, default: AccountRow()].kept.apply(change) }
    }

    public func load(_ account: String) -> StoredAccount { rows[account]?.kept ?? StoredAccount() }
    public mutating func forget(_ account: String) { rows[account]?.kept = StoredAccount() }
    public var accounts: [String] { rows.keys.sorted() }
}
