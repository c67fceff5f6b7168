import Locking

/// The calls of tools that are under way, by the ids they have at the module. Bounded, so that no agent takes all
/// connections of the control socket; the calls of one caller can be ended together.
final class ToolCalls: Sendable {
    /// Calls at once in the whole gateway. Each holds a connection of the control socket, which has twice as many.
    static let maximum = 64
    /// Calls at once of one caller.
    static let maximumPerCaller = 16

    enum Refusal: Equatable {
        case tooMany(limit: Int)
        /// The caller has a call of this id already.
        case repeated
    }

    private struct Call {
        var caller: String
        var account: String
        var channel: String
    }

    private let state = Locked<[String: Call]>([:])

    /// A call begins; it must be ended.
    /// - Parameter id: unique in the gateway.
    func begin(_ id: String, caller: String, account: String, channel: String) -> Refusal? {
        state.withLock { calls in
            guard calls[id] == nil else { return .repeated }
            guard calls.count < Self.maximum else { return .tooMany(limit: Self.maximum) }
            guard calls.values.count(where: { $0.caller == caller }) < Self.maximumPerCaller else {
                return .tooMany(limit: Self.maximumPerCaller)
            }
            calls[id] = Call(caller: caller, account: account, channel: channel)
            return nil
        }
    }

    func end(_ id: String) { state.withLock { _ = $0.removeValue(forKey: id) } }

    /// Where a call is under way; `nil` if it is over, or not this caller's.
    func place(of id: String, caller: String) -> (account: String, channel: String)? {
        state.withLock { calls in
            guard let call = calls[id], call.caller == caller else { return nil }
            return (call.account, call.channel)
        }
    }

    /// The ids of a caller's calls.
    func ids(of caller: String) -> [String] {
        state.withLock { calls in calls.filter { $0.value.caller == caller }.keys.sorted() }
    }
}
