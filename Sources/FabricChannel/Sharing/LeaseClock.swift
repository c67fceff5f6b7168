import DequeModule
import Locking

/// Until when this instance may act for the accounts it runs. Looked at immediately before everything that others would
/// notice: a process that was stopped and goes on finds its work as it left it, and must not finish it first.
///
/// By `ContinuousClock`, which is CLOCK_BOOTTIME: it goes on while the machine sleeps.
final class LeaseClock: Sendable {
    private let until = Locked<ContinuousClock.Instant?>(nil)

    func set(_ deadline: ContinuousClock.Instant?) { until.withLock { $0 = deadline } }

    var remaining: Duration? { until.withLock { $0 }.map { ContinuousClock.now.duration(to: $0) } }

    var isInForce: Bool { remaining.map { $0 > .zero } ?? false }
}

/// What an account of a shared store knows of its right to run.
struct LeaseGuard: Sendable {
    var clock: LeaseClock
    var lostTurns: LostTurns
    /// A commit of the account was refused: another gateway has it. Called on the loop.
    var refused: @Sendable (Account) -> Void
}

/// Turns that agents of this gateway may still be at, although another gateway has had their accounts since: what they say
/// now has been said by others. The newest are remembered.
///
/// Confined to the realtime loop.
// Unchecked: only code on the loop touches it.
final class LostTurns: @unchecked Sendable {
    /// How many; ours.
    static let most = 10_000

    private var accounts: [String: Set<String>] = [:]
    private var order: Deque<(account: String, turn: String)> = []

    func insert(_ turns: some Sequence<String>, of account: String) {
        for turn in turns where accounts[account, default: []].insert(turn).inserted { order.append((account, turn)) }
        while order.count > Self.most, let oldest = order.popFirst() { remove([oldest.turn], of: oldest.account) }
    }

    /// The account runs here again, and these turns with it.
    func remove(_ turns: some Sequence<String>, of account: String) {
        guard accounts[account] != nil else { return }
        accounts[account]?.subtract(turns)
        if accounts[account]?.isEmpty == true { accounts[account] = nil }
    }

    func contains(_ turn: String, of account: String) -> Bool { accounts[account]?.contains(turn) ?? false }

    /// For another instance of this gateway, which goes on with the account.
    func turns(of account: String) -> [String] { accounts[account]?.sorted() ?? [] }
}

/// The lease of the account is over: nothing is done in its name any more.
struct LeaseOver: Error, CustomStringConvertible {
    var description: String { "the lease of the account is over: another gateway may run it" }
}

extension Account {
    /// Whether the account may still act. Always, where the store is not shared.
    var mayAct: Bool { environment.lease?.clock.isInForce ?? true }

    /// Immediately before something that others notice.
    func checkLease() throws(LeaseOver) { if !mayAct { throw LeaseOver() } }
}
