import GatewayControl
import Locking

/// What running turns were given to use tools by: a random text each, good for one account, for one conversation, and
/// while the turn runs. Whoever lacks it can do nothing by it; what is known of it in logs is its number.
final class Capabilities: Sendable {
    struct Grant: Sendable {
        /// The secret.
        var token: String
        /// A name for the calls made by it; no secret.
        var caller: String
        var channel: String
        var account: String
        /// The turn that runs.
        var delivery: String
        var scope: ToolScope
    }

    private struct Entry {
        var number: UInt64
        var caller: String
        var channel: String
        var account: String
        var scope: ToolScope
        /// `nil` while no turn runs: the capability is of a conversation that an agent keeps.
        var delivery: String?
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var last: UInt64 = 0
        var ended: @Sendable (Grant) -> Void = { _ in }
    }

    private let state = Locked(State())

    /// Says who is called when a turn is over by which calls may still be under way.
    func onEnd(_ ended: @escaping @Sendable (Grant) -> Void) { state.withLock { $0.ended = ended } }

    /// Makes a capability that is good for nothing until a turn begins.
    func make(channel: String, account: String, scope: ToolScope) -> String {
        // 256 bits from the system's generator: not to be guessed.
        var generator = SystemRandomNumberGenerator()
        let token = (0..<4).map { _ in
            let part = String(generator.next(), radix: 16)
            return String(repeating: "0", count: 16 - part.count) + part
        }.joined()
        state.withLock { state in
            state.last += 1
            state.entries[token] = Entry(
                number: state.last, caller: "turn-\(state.last)", channel: channel, account: account, scope: scope)
        }
        return token
    }

    /// A turn begins: the capability is good until it ends.
    func begin(_ token: String, delivery: String) {
        state.withLock { $0.entries[token]?.delivery = delivery }
    }

    /// The turn is over, and so is what it may do.
    /// - Parameter delivery: the turn; whichever it is if `nil`.
    func end(_ token: String, delivery: String? = nil) {
        let over: (grant: Grant, ended: @Sendable (Grant) -> Void)? = state.withLock { state in
            guard let entry = state.entries[token], let grant = Self.grant(token, entry),
                delivery == nil || delivery == grant.delivery
            else { return nil }
            state.entries[token]?.delivery = nil
            state.entries[token]?.scope.created = []
            return (grant, state.ended)
        }
        if let over { over.ended(over.grant) }
    }

    /// Forgets a capability.
    func remove(_ token: String) {
        end(token)
        state.withLock { _ = $0.entries.removeValue(forKey: token) }
    }

    /// Who calls by a capability, also when its turn is over.
    func caller(_ token: String) throws(GatewayError) -> String {
        guard let caller = state.withLock({ $0.entries[token]?.caller }) else { throw Self.over }
        return caller
    }

    /// What a capability is good for now.
    func grant(_ token: String) throws(GatewayError) -> Grant {
        let grant: Grant? = state.withLock { state in state.entries[token].flatMap { Self.grant(token, $0) } }
        guard let grant else { throw Self.over }
        return grant
    }

    /// The turn made channels: they are its own too.
    func widen(_ token: String, by channels: Set<String>) {
        guard !channels.isEmpty else { return }
        state.withLock { $0.entries[token]?.scope.created.formUnion(channels) }
    }

    /// Which of all there ever were; 0 if there is none such.
    func number(_ token: String) -> UInt64 { state.withLock { $0.entries[token]?.number ?? 0 } }

    /// Capabilities there are.
    var count: Int { state.withLock { $0.entries.count } }

    private static func grant(_ token: String, _ entry: Entry) -> Grant? {
        entry.delivery.map {
            Grant(
                token: token, caller: entry.caller, channel: entry.channel, account: entry.account, delivery: $0,
                scope: entry.scope)
        }
    }

    private static let over = GatewayError(
        "the capability is not good: the turn it was given to is over, or no turn of this gateway was given it",
        remedy: "Use the tools while the turn runs")
}
