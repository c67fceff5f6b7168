import CGatewaySystem
import GatewayControl
import Glibc
import Locking

/// Descriptors held back, so that a table full of sockets does not keep turns from starting. What a turn opens takes the
/// place of some of them at once, and what it closes becomes one of them again in the same step: in between is no moment
/// in which somebody else could take the number, but for the one system call that opens.
final class DescriptorReserve: Sendable {
    private struct State {
        var held: [Int32] = []
        /// What should be held when nothing is in use.
        var wanted = 0
        /// Taken from what was held, and not given back.
        var used = 0
    }

    private let state = Locked(State())

    deinit { state.withLock { for descriptor in $0.held { close(descriptor) } } }

    /// Holds back so many. What the system refuses now is taken later.
    func hold(_ count: Int) {
        state.withLock { state in
            state.wanted = max(0, count)
            Self.balance(&state)
        }
    }

    /// Runs `body`, which opens `count` descriptors, with so many of those held free for it. What it opened is to be closed
    /// by `giveBack`.
    func making<R>(_ count: Int, _ body: () throws(POSIXFailure) -> R) throws(POSIXFailure) -> R {
        try state.withLock { state throws(POSIXFailure) in
            for _ in 0..<min(count, state.held.count) {
                if let descriptor = state.held.popLast() { close(descriptor) }
            }
            state.used += count
            do throws(POSIXFailure) {
                return try body()
            } catch {
                state.used -= count
                Self.balance(&state)
                throw error
            }
        }
    }

    /// Closes a descriptor that was opened within `making`.
    func giveBack(_ descriptor: Int32) {
        state.withLock { state in
            state.used = max(0, state.used - 1)
            if state.held.count < state.wanted - state.used, let other = state.held.first,
                gateway_replace(descriptor, other) == 0
            {
                state.held.append(descriptor)
            } else {
                close(descriptor)
            }
            Self.balance(&state)
        }
    }

    /// Descriptors held back at the moment.
    var held: Int { state.withLock { $0.held.count } }

    private static func balance(_ state: inout State) {
        let wanted = max(0, state.wanted - state.used)
        while state.held.count > wanted, let descriptor = state.held.popLast() { close(descriptor) }
        while state.held.count < wanted {
            let descriptor = gateway_open("/dev/null", O_RDONLY, 0)
            guard descriptor >= 0 else { return }
            if DescriptorLimit.isLast(descriptor) {
                close(descriptor)
                return
            }
            state.held.append(descriptor)
        }
    }
}
