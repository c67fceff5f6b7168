import Locking

/// A value that is decided once and may be awaited by any number of tasks: the meeting point of a callback from a
/// foreign thread, a deadline and a cancellation. The first to decide wins; the others learn that they lost.
final class Once<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var waiters: [CheckedContinuation<Value, Never>] = []
    }

    private let state = Locked(State())

    /// Decides the value; `false` if it was decided before.
    @discardableResult
    func decide(_ value: Value) -> Bool {
        let waiters: [CheckedContinuation<Value, Never>]? = state.withLock { state in
            guard state.value == nil else { return nil }
            state.value = value
            defer { state.waiters = [] }
            return state.waiters
        }
        guard let waiters else { return false }
        for waiter in waiters { waiter.resume(returning: value) }
        return true
    }

    /// The value if it is decided already.
    var decided: Value? { state.withLock { $0.value } }

    /// Waits for the value. Whoever waits is responsible that somebody decides.
    func value() async -> Value {
        await withCheckedContinuation { continuation in
            let ready: Value? = state.withLock { state in
                if let value = state.value { return value }
                state.waiters.append(continuation)
                return nil
            }
            if let ready { continuation.resume(returning: ready) }
        }
    }

    /// Waits for the value, at most `limit`; then, or when the waiting task is cancelled, decides it itself.
    func value(
        within limit: Duration, or late: @autoclosure @escaping @Sendable () -> Value,
        cancelled: (@Sendable () -> Value)? = nil
    ) async -> Value {
        let timer = Task {
            try? await Task.sleep(for: limit)
            if !Task.isCancelled { self.decide(late()) }
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await value()
        } onCancel: {
            decide(cancelled?() ?? late())
        }
    }
}
