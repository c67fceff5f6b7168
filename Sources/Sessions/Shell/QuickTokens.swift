import Locking

/// What a token costs that is simply there: one lock, one look-up.
final class QuickTokens: Sendable {
    private struct Entry: Sendable {
        let guild: String
        /// In the ticks of the session clock.
        let until: Int64
        let token: GuildToken
    }

    /// The tokens of one agent. A class, so that the look-up copies one reference.
    private final class Tokens: Sendable {
        let all: [Entry]

        init(_ all: [Entry]) { self.all = all }
    }

    private let table = Locked<[String: Tokens]>([:])

    /// Replaces what is published for an agent; with no tokens it vanishes.
    func set(_ agent: String, _ tokens: [PublishedToken], _ clock: SessionClock) {
        guard !tokens.isEmpty else {
            table.withLock { $0[agent] = nil }
            return
        }
        let now = clock.now()
        let ticks = clock.ticks()
        let entries = tokens.map { token in
            let left = (now.duration(to: token.until) / .nanoseconds(1)).rounded(.down)
            return Entry(guild: token.guild, until: ticks + Int64(min(max(left, -1e18), 1e18)), token: token.token)
        }
        table.withLock { $0[agent] = Tokens(entries) }
    }

    func token(_ agent: String, _ guild: String, _ ticks: Int64) -> GuildToken? {
        table.withLock { table in
            guard let tokens = table[agent] else { return nil }
            // An agent has a few guilds at most: looking through them costs less than a second hash.
            for entry in tokens.all where entry.guild == guild {
                return ticks < entry.until ? entry.token : nil
            }
            return nil
        }
    }

    var count: Int { table.withLock { $0.count } }
}
