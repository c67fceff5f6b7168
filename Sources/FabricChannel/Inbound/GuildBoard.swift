import Locking

/// What the accounts of an instance tell each other about a guild: that it is back.
///
/// After an outage each connection waits out a backoff of up to a minute. With a thousand agents some attempt falls into
/// every instant; the first that gets all the way to ready wakes the others, spread over a little time. Only readiness
/// counts (a server that accepts and drops must not be hammered), and only once in a while.
final class GuildBoard: Sendable {
    private struct Guild {
        var waiting: [UInt64: @Sendable () -> Void] = [:]
        var lastCall: ContinuousClock.Instant?
    }

    private struct State {
        var guilds: [String: Guild] = [:]
        var next: UInt64 = 0
    }

    /// Longest spread of the wake-ups: thousands of connects in one instant would be a new outage.
    static let spread: Duration = .seconds(2)
    private static let pause: Duration = .seconds(5)
    private let state = Locked(State())

    /// Somebody waits for the guild at `endpoint`; `retry` makes it try now. Returns a number for `leave`.
    func wait(_ endpoint: String, retry: @escaping @Sendable () -> Void) -> UInt64 {
        state.withLock { state in
            state.next += 1
            state.guilds[endpoint, default: Guild()].waiting[state.next] = retry
            return state.next
        }
    }

    func leave(_ endpoint: String, _ number: UInt64) {
        state.withLock { state in
            state.guilds[endpoint]?.waiting[number] = nil
            // What is left is a time; a guild whose last waiter is gone need not be remembered.
            if state.guilds[endpoint]?.waiting.isEmpty == true { state.guilds[endpoint] = nil }
        }
    }

    /// A connection to the guild became ready: those who wait, to be woken.
    func reached(_ endpoint: String, now: ContinuousClock.Instant) -> [@Sendable () -> Void] {
        state.withLock { state in
            guard var guild = state.guilds[endpoint], !guild.waiting.isEmpty else { return [] }
            if let last = guild.lastCall, last.advanced(by: Self.pause) > now { return [] }
            let waiting = Array(guild.waiting.values)
            guild.waiting = [:]
            guild.lastCall = now
            state.guilds[endpoint] = guild
            return waiting
        }
    }
}
