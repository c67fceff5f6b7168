import Locking
import SocketIO

/// Where the accounts of an instance wait until they may connect: one queue for each guild, so that one that does not answer
/// holds up nobody else.
final class ConnectGate: Sendable {
    private struct Guild {
        var queue: ConnectQueue
        var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var hasTimer = false
    }

    private struct State {
        var limit: Int
        var lastNumber: UInt64 = 0
        var guilds: [String: Guild] = [:]
    }

    private let loop: RealtimeLoop
    private let state: Locked<State>

    init(loop: RealtimeLoop, limit: Int) {
        self.loop = loop
        state = Locked(State(limit: limit))
    }

    func setLimit(_ limit: Int) {
        let guilds = state.withLock { state in
            state.limit = limit
            for guild in state.guilds.keys { state.guilds[guild]?.queue.most = limit }
            return Array(state.guilds.keys)
        }
        for guild in guilds { admit(guild) }
    }

    /// Somebody wants to connect to the guild at `endpoint`; ``pass(_:_:)`` waits until it may.
    /// - Returns: a number for `pass` and `leave`.
    func enter(_ endpoint: String) -> UInt64 {
        let number = state.withLock { state in
            state.lastNumber += 1
            let fresh = Guild(queue: ConnectQueue(most: state.limit))
            state.guilds[endpoint, default: fresh].queue.enter(state.lastNumber)
            return state.lastNumber
        }
        admit(endpoint)
        return number
    }

    /// Returns when it may begin, or has left.
    func pass(_ endpoint: String, _ number: UInt64) async {
        await withCheckedContinuation { continuation in
            let mayBegin = state.withLock { state in
                guard state.guilds[endpoint]?.queue.isWaiting(number) == true else { return true }
                state.guilds[endpoint]?.waiting[number] = continuation
                return false
            }
            if mayBegin { continuation.resume() }
        }
    }

    func isWaiting(_ endpoint: String, _ number: UInt64) -> Bool {
        state.withLock { $0.guilds[endpoint]?.queue.isWaiting(number) ?? false }
    }

    /// Its attempt is over, or it waits no more.
    func leave(_ endpoint: String, _ number: UInt64, _ outcome: ConnectQueue.Outcome) {
        let waiting = state.withLock { state in
            let waiting = state.guilds[endpoint]?.waiting.removeValue(forKey: number)
            state.guilds[endpoint]?.queue.leave(number, outcome, now: .now)
            return waiting
        }
        waiting?.resume()
        admit(endpoint)
    }

    private func admit(_ endpoint: String) {
        let (admitted, due) = state.withLock {
            state -> ([CheckedContinuation<Void, Never>], ContinuousClock.Instant?) in
            guard var guild = state.guilds[endpoint] else { return ([], nil) }
            let admitted = guild.queue.admit(now: .now).compactMap { guild.waiting.removeValue(forKey: $0) }
            let due = guild.hasTimer ? nil : guild.queue.due
            guild.hasTimer = guild.hasTimer || due != nil
            state.guilds[endpoint] = guild.queue.isEmpty && !guild.hasTimer ? nil : guild
            return (admitted, due)
        }
        for continuation in admitted { continuation.resume() }
        guard let due else { return }
        loop.schedule(after: max(.zero, ContinuousClock.now.duration(to: due))) { [weak self] in
            self?.state.withLock { $0.guilds[endpoint]?.hasTimer = false }
            self?.admit(endpoint)
        }
    }
}
