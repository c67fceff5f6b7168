import Locking

@testable import SocketIO

struct NothingCame: Error {}

/// Things that happen, to be waited for one after the other.
final class Mailbox<Item: Sendable>: Sendable {
    private struct Waiter {
        var id: UInt64
        var continuation: CheckedContinuation<Item?, Never>
    }
    private struct State {
        var items: [Item] = []
        var waiter: Waiter?
        var id: UInt64 = 0
    }
    private let state = Locked(State())

    func put(_ item: Item) {
        let waiter = state.withLock { state -> Waiter? in
            if let waiter = state.waiter {
                state.waiter = nil
                return waiter
            }
            state.items.append(item)
            return nil
        }
        waiter?.continuation.resume(returning: item)
    }

    /// The next item; throws when none comes in time.
    func next(within limit: Duration = .seconds(60)) async throws -> Item {
        let deadline = Locked<Task<Void, Never>?>(nil)
        let item = await withCheckedContinuation { (continuation: CheckedContinuation<Item?, Never>) in
            let (ready, id) = state.withLock { state -> (Item?, UInt64) in
                if !state.items.isEmpty { return (state.items.removeFirst(), 0) }
                state.id += 1
                state.waiter = Waiter(id: state.id, continuation: continuation)
                return (nil, state.id)
            }
            if let ready { return continuation.resume(returning: ready) }
            deadline.withLock {
                $0 = Task {
                    try? await Task.sleep(for: limit)
                    let late = self.state.withLock { state -> Waiter? in
                        guard state.waiter?.id == id else { return nil }
                        defer { state.waiter = nil }
                        return state.waiter
                    }
                    late?.continuation.resume(returning: nil)
                }
            }
        }
        deadline.withLock { $0?.cancel() }
        guard let item else { throw NothingCame() }
        return item
    }

    /// The first item that `wanted` makes something of; others are dropped.
    func first<Wanted: Sendable>(
        within limit: Duration = .seconds(60), _ wanted: (Item) -> Wanted?
    ) async throws -> Wanted {
        let end = ContinuousClock.now.advanced(by: limit)
        while true {
            let item = try await next(within: max(.zero, ContinuousClock.now.duration(to: end)))
            if let found = wanted(item) { return found }
        }
    }

    var waiting: [Item] { state.withLock { $0.items } }
}
