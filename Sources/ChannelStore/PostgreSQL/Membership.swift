import Locking

/// Which member this store writes as, and what belongs to it.
final class Membership: Sendable {
    private struct State {
        var member: Member?
        /// Its row; nil until it was admitted, and when it was let go.
        var row: Int64?
        var held: [String: (lease: AccountLease, row: Int64)] = [:]
        var observers: [@Sendable (String) -> Void] = []
        /// Given back, which is not written yet.
        var releasing: Set<Int64> = []
    }

    private let state = Locked(State())

    /// The row of the member in force.
    var row: Int64? { state.withLock { $0.row } }

    /// The member in force.
    var current: (row: Int64, id: String)? {
        state.withLock { state in
            guard let row = state.row, let id = state.member?.id else { return nil }
            return (row, id)
        }
    }

    var leases: [String: AccountLease] { state.withLock { $0.held.mapValues(\.lease) } }

    /// What commits for an account carry; nil: it is not ours.
    func key(_ account: String) -> AccountKey? {
        state.withLock { state in
            state.held[account].map { AccountKey(account: account, epoch: $0.lease.epoch, row: $0.row) }
        }
    }

    /// Goes on as a member.
    /// - Returns: its row, if it was admitted before.
    func use(_ member: Member) -> Int64? {
        state.withLock { state in
            if state.member?.id != member.id {
                state.row = nil
                state.held = [:]
                state.releasing = []
            }
            state.member = member
            return state.row
        }
    }

    func admitted(_ id: String, row: Int64) {
        state.withLock { if $0.member?.id == id { $0.row = row } }
    }

    /// It was let go.
    func isGone(_ id: String) {
        state.withLock { state in
            guard state.member?.id == id else { return }
            state.member = nil
            state.row = nil
            state.held = [:]
        }
    }

    func take(_ leases: [(lease: AccountLease, row: Int64)]) {
        state.withLock { state in
            for taken in leases where taken.lease.member == state.member?.id && !state.releasing.contains(taken.row) {
                state.held[taken.lease.account] = taken
            }
        }
    }

    /// Gives up a lease, and returns what commits for it carry; nil: it is not ours, or not any more.
    func drop(_ lease: AccountLease) -> AccountKey? {
        state.withLock { state in
            guard let held = state.held[lease.account], held.lease == lease else { return nil }
            state.held[lease.account] = nil
            state.releasing.insert(held.row)
            return AccountKey(account: lease.account, epoch: lease.epoch, row: held.row)
        }
    }

    func released(_ rows: some Sequence<Int64>) { state.withLock { $0.releasing.subtract(rows) } }
    var releasing: Set<Int64> { state.withLock { $0.releasing } }

    func observe(_ body: @escaping @Sendable (String) -> Void) { state.withLock { $0.observers.append(body) } }

    /// Others have these accounts.
    func refused(_ keys: Set<AccountKey>) {
        let (lost, observers) = state.withLock { state in
            var lost: Set<String> = []
            for key in keys {
                // What was committed before the account came back says nothing about now.
                if let held = state.held[key.account], held.lease.epoch != key.epoch { continue }
                state.held[key.account] = nil
                lost.insert(key.account)
            }
            return (lost.sorted(), state.observers)
        }
        for account in lost { for body in observers { body(account) } }
    }
}
