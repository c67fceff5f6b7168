import JSONBytes
import Locking

/// The slots of one channel's accounts, for the runtime and for the threads of the module and of turns. A slot is made
/// when it is first needed and goes when nothing is in it.
final class AccountSlots: Sendable {
    private struct State {
        /// Serves every account whose slot names no other.
        var present: PluginModule?
        var slots: [String: AccountSlot] = [:]
        /// Accounts with a report that nobody has looked at.
        var unread: [String] = []
        /// Calls that concern all instances, and have not returned.
        var commonCalls = 0
        var ended = false

        mutating func change<R>(_ account: String, _ body: (inout AccountSlot) -> R) -> R {
            // Looked up twice, so that the slot is changed in place.
            defer { if slots[account]?.isEmpty == true { slots[account] = nil } }
            return body(&slots[account, default: AccountSlot()])
        }
    }

    private let state = Locked(State())
    /// One element whenever there may be unread reports.
    let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    init() { (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    /// The channel's present instance.
    var present: PluginModule? { state.withLock { $0.present } }

    /// The instance that serves an account now, gate or no gate.
    func module(for account: String) -> PluginModule? {
        state.withLock { $0.slots[account]?.module ?? $0.present }
    }

    /// Accounts with anything in their slots, sorted.
    var accounts: [String] { state.withLock { $0.slots.keys.sorted() } }

    /// Whether the account is on its way from one instance to another.
    func isClosed(_ account: String) -> Bool { state.withLock { $0.slots[account]?.gate != nil } }

    // MARK: what the configuration says

    var descriptions: [String: JSONValue] { state.withLock { $0.slots.compactMapValues(\.description) } }

    func describe(_ descriptions: [String: JSONValue]) {
        state.withLock { state in
            for account in Array(state.slots.keys) where descriptions[account] == nil {
                state.change(account) { $0.description = nil }
            }
            for (account, entry) in descriptions { state.change(account) { $0.description = entry } }
        }
    }

    // MARK: calls and gates

    /// Runs `body` with the account's instance once its gate is open; `nil` if the gateway is stopping.
    func use<R: Sendable>(_ account: String, _ body: (PluginModule) -> R) async -> R? {
        while true {
            let (module, wait): (PluginModule?, Once<Void>?) = state.withLock { state in
                guard !state.ended else { return (nil, nil) }
                if let gate = state.slots[account]?.gate { return (nil, gate.opened) }
                guard let module = state.slots[account]?.module ?? state.present else { return (nil, nil) }
                state.change(account) { $0.calls += 1 }
                return (module, nil)
            }
            if let wait {
                await wait.value()
                continue
            }
            guard let module else { return nil }
            let result = body(module)
            let idle: Once<Void>? = state.withLock { state in
                let idle: Once<Void>? = state.change(account) { slot in
                    slot.calls -= 1
                    return slot.calls == 0 ? slot.gate?.idle : nil
                }
                return state.commonCalls == 0 ? idle : nil
            }
            idle?.decide(())
            return result
        }
    }

    /// Runs `body` with every instance that serves accounts, at a moment when none of them is on its way from one to
    /// another; empty if the gateway is stopping.
    func useAll<R: Sendable>(_ body: (PluginModule) -> R) async -> [R] {
        while true {
            let (modules, wait): ([PluginModule], Once<Void>?) = state.withLock { state in
                guard !state.ended, let present = state.present else { return ([], nil) }
                for slot in state.slots.values { if let gate = slot.gate { return ([], gate.opened) } }
                state.commonCalls += 1
                var modules = [present]
                for case let module? in state.slots.values.lazy.map(\.module)
                where !modules.contains(where: { $0 === module }) { modules.append(module) }
                return (modules, nil)
            }
            if let wait {
                await wait.value()
                continue
            }
            guard !modules.isEmpty else { return [] }
            let results = modules.map(body)
            let idle: [Once<Void>] = state.withLock { state in
                state.commonCalls -= 1
                guard state.commonCalls == 0 else { return [] }
                return state.slots.values.compactMap { $0.calls == 0 ? $0.gate?.idle : nil }
            }
            for once in idle { once.decide(()) }
            return results
        }
    }

    /// Closes the gate and waits until the calls under way have returned; they are short.
    func close(_ account: String) async {
        let gate = AccountSlot.Gate()
        let busy = state.withLock { state in
            let common = state.commonCalls > 0
            return state.change(account) { slot in
                slot.gate = gate
                return common || slot.calls > 0
            }
        }
        if busy { await gate.idle.value() }
    }

    /// Opens the gate; the account is served by `module` from now on, or by whom it was before.
    func open(_ account: String, on module: PluginModule? = nil) {
        let gate: AccountSlot.Gate? = state.withLock { state in
            let present = state.present
            return state.change(account) { slot in
                if let module { slot.module = module === present ? nil : module }
                defer { slot.gate = nil }
                return slot.gate
            }
        }
        gate?.opened.decide(())
    }

    /// The instance for everything, but for `accounts`, which stay where they are until they are moved.
    func rebase(on module: PluginModule, keeping accounts: [String] = []) {
        state.withLock { state in
            let old = state.present
            for account in Array(state.slots.keys) { state.change(account) { $0.module = nil } }
            for account in accounts { state.change(account) { $0.module = old } }
            state.present = module
        }
    }

    /// Nothing is served any more; whoever waits is let go.
    func end() {
        let waiting: [AccountSlot.Gate] = state.withLock { state in
            state.ended = true
            state.present = nil
            var gates: [AccountSlot.Gate] = []
            for account in Array(state.slots.keys) {
                state.change(account) { slot in
                    slot.module = nil
                    if let gate = slot.gate { gates.append(gate) }
                    slot.gate = nil
                }
            }
            return gates
        }
        for gate in waiting {
            gate.idle.decide(())
            gate.opened.decide(())
        }
        signal.finish()
    }

    // MARK: runs and reports

    /// What the instance reports from now on is about this run; nil: about none.
    func reporting(_ account: String, _ run: AccountSlot.Run?) {
        state.withLock { state in state.change(account) { $0.run = run } }
    }

    /// The run that an instance's reports of an account speak of.
    func run(of account: String, on generation: ModuleGeneration) -> UInt64? {
        state.withLock { state in
            guard let run = state.slots[account]?.run, run.generation == generation else { return nil }
            return run.number
        }
    }

    /// Keeps the newest report until somebody looks. Bounded by the number of accounts, however fast a module reports.
    func report(_ account: String, _ status: JSONValue, from generation: ModuleGeneration) {
        let isTaken = state.withLock { state in
            guard state.slots[account]?.run?.generation == generation else { return false }
            let isNew = state.change(account) { slot in
                defer { slot.unread = status }
                return slot.unread == nil
            }
            if isNew { state.unread.append(account) }
            return true
        }
        if isTaken { signal.yield() }
    }

    /// The reports that nobody has looked at, of runs that still report.
    func takeReports() -> [(account: String, run: UInt64, status: JSONValue)] {
        state.withLock { state in
            defer { state.unread = [] }
            return state.unread.compactMap { account in
                state.change(account) { slot in
                    defer { slot.unread = nil }
                    guard let status = slot.unread, let run = slot.run else { return nil }
                    return (account, run.number, status)
                }
            }
        }
    }

    // MARK: operations

    /// Puts an operation behind those of the account.
    /// - Parameter make: makes its task, which must wait for the given one first.
    func append(_ account: String, _ make: (Task<Void, Never>?) -> Task<Void, Never>) {
        state.withLock { state in
            state.change(account) { slot in
                slot.last = make(slot.last)
                slot.operations += 1
            }
        }
    }

    /// An operation is over.
    func finished(_ account: String) {
        state.withLock { state in
            state.change(account) { slot in
                slot.operations -= 1
                if slot.operations == 0 { slot.last = nil }
            }
        }
    }

    /// Waits for the operations that an account has now.
    func settled(_ account: String) async { await state.withLock { $0.slots[account]?.last }?.value }

    /// Operations under way are given up.
    func cancelOperations() {
        let tasks = state.withLock { $0.slots.values.compactMap(\.last) }
        for task in tasks { task.cancel() }
    }

    /// The account stays with an instance that does not let go of it; its gate stays closed.
    func strand(_ account: String, run: UInt64) {
        state.withLock { state in state.change(account) { $0.stranded = run } }
    }

    /// The accounts that were stranded, with the run to start.
    func takeStranded() -> [(account: String, run: UInt64)] {
        state.withLock { state in
            Array(state.slots.keys).sorted().compactMap { account in
                state.change(account) { slot in
                    defer { slot.stranded = nil }
                    return slot.stranded.map { (account, $0) }
                }
            }
        }
    }
}
