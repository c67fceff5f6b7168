import Locking

/// Bounds how many commands run at once. First come, first served; a waiting turn can be cancelled alone.
final class CommandSlots: Sendable {
    private struct State {
        var free: Int
        var waiting: [Once<Bool>] = []
    }

    private let state: Locked<State>

    init(_ count: Int) { state = Locked(State(free: max(1, count))) }

    /// Waits for a place; `false` if the waiting task was cancelled first.
    func enter() async -> Bool {
        let turn: Once<Bool>? = state.withLock { state in
            if state.free > 0 {
                state.free -= 1
                return nil
            }
            let turn = Once<Bool>()
            state.waiting.append(turn)
            return turn
        }
        guard let turn else { return true }
        return await withTaskCancellationHandler {
            await turn.value()
        } onCancel: {
            turn.decide(false)
        }
    }

    /// Gives the place to the next that still waits.
    func leave() {
        while true {
            let next: Once<Bool>? = state.withLock { state in
                guard !state.waiting.isEmpty else {
                    state.free += 1
                    return nil
                }
                return state.waiting.removeFirst()
            }
            guard let next else { return }
            if next.decide(true) { return }
        }
    }
}
