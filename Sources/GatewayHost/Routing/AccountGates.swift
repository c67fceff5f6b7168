import Locking

/// Which instance of the module serves which account at this moment, and a gate before each account that is closed
/// while it moves: whoever has something for the account waits those milliseconds instead of losing it.
final class AccountGates: Sendable {
    private struct Closed {
        let idle = Once<Void>()
        let opened = Once<Void>()
    }

    private struct State {
        /// Serves every account without an entry in `routes`.
        var base: ChannelModule?
        var routes: [String: ChannelModule] = [:]
        /// Calls under way per account.
        var users: [String: Int] = [:]
        var closed: [String: Closed] = [:]
        var ended = false
    }

    private let state = Locked(State())

    /// The instance that serves an account now, gate or no gate.
    func module(for account: String) -> ChannelModule? {
        state.withLock { $0.routes[account] ?? $0.base }
    }

    /// Runs `body` with the account's instance once its gate is open; `nil` if the gateway is stopping.
    func use<R: Sendable>(_ account: String, _ body: (ChannelModule) -> R) async -> R? {
        while true {
            let (module, wait): (ChannelModule?, Once<Void>?) = state.withLock { state in
                guard !state.ended else { return (nil, nil) }
                if let closed = state.closed[account] { return (nil, closed.opened) }
                guard let module = state.routes[account] ?? state.base else { return (nil, nil) }
                state.users[account, default: 0] += 1
                return (module, nil)
            }
            if let wait {
                await wait.value()
                continue
            }
            guard let module else { return nil }
            let result = body(module)
            leave(account)
            return result
        }
    }

    /// Closes the gate and waits until the calls under way have returned; they are short.
    func close(_ account: String) async {
        let closed = Closed()
        let busy = state.withLock { state in
            state.closed[account] = closed
            return state.users[account] != nil
        }
        if busy { await closed.idle.value() }
    }

    /// Opens the gate; the account is served by `module` from now on, or by whom it was before.
    func open(_ account: String, on module: ChannelModule? = nil) {
        let closed: Closed? = state.withLock { state in
            if let module { state.routes[account] = module === state.base ? nil : module }
            return state.closed.removeValue(forKey: account)
        }
        closed?.opened.decide(())
    }

    /// The instance for everything, but for `accounts`, which stay where they are until they are moved.
    func rebase(on module: ChannelModule, keeping accounts: [String] = []) {
        state.withLock { state in
            let old = state.base
            state.routes = [:]
            for account in accounts { state.routes[account] = old }
            state.base = module
        }
    }

    /// Nothing is served any more; whoever waits is let go.
    func end() {
        let waiting = state.withLock { state in
            state.ended = true
            state.base = nil
            state.routes = [:]
            defer { state.closed = [:] }
            return Array(state.closed.values)
        }
        for closed in waiting { closed.opened.decide(()) }
    }

    private func leave(_ account: String) {
        let closed: Closed? = state.withLock { state in
            let left = (state.users[account] ?? 1) - 1
            state.users[account] = left > 0 ? left : nil
            return left > 0 ? nil : state.closed[account]
        }
        closed?.idle.decide(())
    }
}
