import Locking

/// Bounds how many commands run at once, by `CommandPlaces`; a waiting turn can be cancelled alone.
final class CommandSlots: Sendable {
    private struct State {
        var places: CommandPlaces
        var last: CommandPlaces.Ticket = 0
        var waiting: [CommandPlaces.Ticket: Once<Bool>] = [:]
    }

    private let state: Locked<State>

    init(_ count: Int) { state = Locked(State(places: CommandPlaces(count))) }

    /// Waits for a place for a turn of this account; `false` if the waiting task was cancelled first.
    func enter(_ account: String) async -> Bool {
        let (ticket, turn): (CommandPlaces.Ticket, Once<Bool>?) = state.withLock { state in
            state.last += 1
            guard !state.places.enter(account, ticket: state.last, at: .now) else { return (state.last, nil) }
            let turn = Once<Bool>()
            state.waiting[state.last] = turn
            return (state.last, turn)
        }
        guard let turn else { return true }
        return await withTaskCancellationHandler {
            await turn.value()
        } onCancel: {
            let left = state.withLock { state in
                guard state.places.cancel(ticket) else { return false }
                state.waiting[ticket] = nil
                return true
            }
            if left { turn.decide(false) }
        }
    }

    /// Gives the place to the next that still waits.
    func leave(_ account: String) {
        let given: [Once<Bool>] = state.withLock { state in
            state.places.leave(account).compactMap { state.waiting.removeValue(forKey: $0) }
        }
        for turn in given { turn.decide(true) }
    }

    /// Since when the oldest waiting turn of an account has waited.
    func waitingSince(_ account: String) -> ContinuousClock.Instant? {
        state.withLock { $0.places.waitingSince(account) }
    }
}
