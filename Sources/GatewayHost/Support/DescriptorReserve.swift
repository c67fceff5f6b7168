import CGatewaySystem
import Glibc
import Locking

/// Descriptors held back, so that a table full of sockets does not keep turns from starting: they are given up while a
/// command runs, and taken again afterwards.
final class DescriptorReserve: Sendable {
    private struct State {
        var held: [Int32] = []
        /// What should be held when nothing is lent.
        var wanted = 0
        var lent = 0
    }

    private let state = Locked(State())

    /// Holds back so many. What the system refuses now is taken later.
    func hold(_ count: Int) {
        state.withLock { state in
            state.wanted = max(0, count)
            Self.balance(&state)
        }
    }

    deinit { state.withLock { for descriptor in $0.held { close(descriptor) } } }

    /// Frees descriptors for a while.
    /// - Returns: what to give to `takeBack`.
    func lend(_ count: Int) -> Int {
        state.withLock { state in
            let count = max(0, min(count, state.wanted - state.lent))
            state.lent += count
            Self.balance(&state)
            return count
        }
    }

    func takeBack(_ count: Int) {
        state.withLock { state in
            state.lent -= count
            Self.balance(&state)
        }
    }

    /// Descriptors held back at the moment.
    var held: Int { state.withLock { $0.held.count } }

    private static func balance(_ state: inout State) {
        while state.held.count > max(0, state.wanted - state.lent), let descriptor = state.held.popLast() {
            close(descriptor)
        }
        while state.held.count < state.wanted - state.lent {
            let descriptor = gateway_open("/dev/null", O_RDONLY, 0)
            guard descriptor >= 0 else { return }
            state.held.append(descriptor)
        }
    }
}
