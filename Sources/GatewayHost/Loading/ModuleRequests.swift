import GatewayABI
import GatewayControl
import JSONBytes
import Locking

/// Open requests of one instance by number, and the calls into it that are under way. Shutting down waits for the
/// calls (none of them blocks), so that the table is never used while or after the instance is freed.
final class ModuleRequests: Sendable {
    typealias Answer = Result<[UInt8], ModuleRefusal>

    private struct State {
        var next: UInt64 = 1
        var open: [UInt64: Once<Answer>] = [:]
        var calls = 0
        var closing = false
        var idle: Once<Void>?
    }

    private let state = Locked(State())

    /// Makes one call into the module with a fresh request number.
    /// - Returns: the number, 0 if the module was not called, and where the answer will be.
    func begin(_ call: (UInt64) -> Void) -> (number: UInt64, answer: Once<Answer>) {
        let answer = Once<Answer>()
        let number: UInt64? = state.withLock { state in
            guard !state.closing else { return nil }
            defer { state.next += 1 }
            state.open[state.next] = answer
            state.calls += 1
            return state.next
        }
        guard let number else {
            answer.decide(.failure(ModuleRefusal(.shutDown, "the module is shutting down")))
            return (0, answer)
        }
        call(number)
        leave()
        return (number, answer)
    }

    /// Makes one call into the module with a fresh request number and waits for its completion.
    func perform(_ name: String, within limit: Duration, _ call: (UInt64) -> Void) async -> Answer {
        let (number, once) = begin(call)
        return await answer(to: name, number, once, within: limit)
    }

    /// Waits for the completion of a call that was begun.
    func answer(to name: String, _ number: UInt64, _ answer: Once<Answer>, within limit: Duration) async -> Answer {
        let result = await answer.value(
            within: limit,
            or: .failure(
                ModuleRefusal(
                    .timedOut, "the module did not answer \(name) within \(limit)",
                    remedy: "Look for its last log records; `gateway reload --module` replaces it")),
            cancelled: {
                .failure(ModuleRefusal(.cancelled, "\(name) was given up because the gateway is stopping"))
            })
        // After a timeout or cancellation the number is still there; a late completion then finds nothing.
        state.withLock { _ = $0.open.removeValue(forKey: number) }
        return result
    }

    /// Makes one call without a request number; `false` if the instance is shutting down.
    func callNow(_ call: () -> Void) -> Bool {
        let open = state.withLock { state in
            guard !state.closing else { return false }
            state.calls += 1
            return true
        }
        guard open else { return false }
        call()
        leave()
        return true
    }

    /// The module's `complete`. Unknown numbers (late, or completed twice) are ignored.
    func complete(_ number: UInt64, code: Int32, result: [UInt8]) {
        guard let answer = state.withLock({ $0.open.removeValue(forKey: number) }) else { return }
        answer.decide(Self.answer(code: code, result: result))
    }

    /// Forbids further calls and waits until those under way have returned. `false` if that was done before.
    func close() async -> Bool {
        let idle = Once<Void>()
        let first = state.withLock { state in
            guard !state.closing else { return false }
            state.closing = true
            if state.calls == 0 { idle.decide(()) } else { state.idle = idle }
            return true
        }
        if first { await idle.value() }
        return first
    }

    /// Ends what the module left open. Called after its `shutdown`.
    func abandon() {
        let open = state.withLock { state in
            defer { state.open = [:] }
            return state.open.values
        }
        for answer in open { answer.decide(.failure(ModuleRefusal(.shutDown, "the module was shut down"))) }
    }

    private func leave() {
        let idle: Once<Void>? = state.withLock { state in
            state.calls -= 1
            return state.calls == 0 ? state.idle : nil
        }
        idle?.decide(())
    }

    private static func answer(code: Int32, result: [UInt8]) -> Answer {
        let kind: ModuleRefusal.Kind
        switch Int(code) {
        case Int(GATEWAY_OK): return .success(result)
        case Int(GATEWAY_INVALID): kind = .invalid
        case Int(GATEWAY_FAILED): kind = .failed
        case Int(GATEWAY_UNAVAILABLE): kind = .unavailable
        case Int(GATEWAY_SHUT_DOWN): kind = .shutDown
        default: kind = .failed
        }
        let tree = JSONValue.parsed(result) ?? .null
        let findings = tree["errors"]?.array?.map { finding in
            finding.string
                ?? GatewayError(
                    finding["problem"]?.string ?? finding["error"]?.string ?? finding.line,
                    place: [finding["file"] ?? finding["where"], finding["keyPath"]].compactMap { $0?.string }
                        .filter { !$0.isEmpty }.joined(separator: ": "),
                    remedy: finding["remedy"]?.string ?? ""
                ).description
        }
        return .failure(
            ModuleRefusal(
                kind, tree["error"]?.string ?? "the module gave code \(code) and no reason",
                place: tree["where"]?.string ?? "", remedy: tree["remedy"]?.string ?? "", findings: findings ?? []))
    }
}
