import Foundation
import Locking

@testable import GatewayHost

/// A value that threads change and tasks wait on.
final class Watched<Value: Sendable>: Sendable {
    private struct State {
        var value: Value
        var changed = Once<Void>()
    }
    private let state: Locked<State>

    init(_ value: Value) { state = Locked(State(value: value)) }

    var value: Value { state.withLock { $0.value } }

    func change(_ body: (inout Value) -> Void) {
        let changed = state.withLock { state in
            body(&state.value)
            defer { state.changed = Once() }
            return state.changed
        }
        changed.decide(())
    }

    /// Waits until `condition` gives something, looked at after every change.
    func wait<Result: Sendable>(
        for what: @autoclosure () -> String, within limit: Duration = .seconds(60),
        until condition: (Value) -> Result?
    ) async throws -> Result {
        let deadline = ContinuousClock.now.advanced(by: limit)
        while true {
            let (result, changed) = state.withLock { state in
                // A waiter whose time was up decided it; that is no change.
                if state.changed.decided != nil { state.changed = Once() }
                return (condition(state.value), state.changed)
            }
            if let result { return result }
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { throw TestFailure("never happened: \(what())") }
            await changed.value(within: left, or: ())
        }
    }
}

/// Runs something that blocks on a thread of its own.
func blocking<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { (done: CheckedContinuation<Result, any Error>) in
        Thread.detachNewThread {
            do {
                let result = try body()
                done.resume(returning: result)
            } catch {
                done.resume(throwing: error)
            }
        }
    }
}

/// Asks again and again, with a pause for those who do the work; the deadline only ends a failed test.
func eventually<Result>(
    _ what: String, within limit: Duration = .seconds(60), _ condition: () async throws -> Result?
) async throws -> Result {
    let deadline = ContinuousClock.now.advanced(by: limit)
    while .now < deadline {
        if let result = try await condition() { return result }
        try await Task.sleep(for: .milliseconds(10))
    }
    throw TestFailure("never happened: \(what)")
}
