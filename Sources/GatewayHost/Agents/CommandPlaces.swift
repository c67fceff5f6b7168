/// Who may run a command now: first come, first served, but no account takes all places. The last quarter of them (at
/// least one, where there are two) is for accounts that have none.
struct CommandPlaces: Sendable {
    typealias Instant = ContinuousClock.Instant
    typealias Ticket = UInt64

    private struct Waiting {
        var ticket: Ticket
        var account: String
        var since: Instant
    }

    /// Places in all.
    let count: Int
    /// Places that only an account without one may take.
    let kept: Int
    private var running: [String: Int] = [:]
    private var total = 0
    private var waiting: [Waiting] = []

    init(_ count: Int) {
        self.count = max(1, count)
        kept = self.count < 2 ? 0 : max(1, self.count / 4)
    }

    /// Asks for a place.
    /// - Returns: whether it is given at once; otherwise `leave` names the ticket when it is.
    mutating func enter(_ account: String, ticket: Ticket, at now: Instant) -> Bool {
        guard isFree(for: account) else {
            waiting.append(Waiting(ticket: ticket, account: account, since: now))
            return false
        }
        take(account)
        return true
    }

    /// Gives a place back.
    /// - Returns: the tickets that have places now.
    mutating func leave(_ account: String) -> [Ticket] {
        total -= 1
        let left = (running[account] ?? 1) - 1
        running[account] = left > 0 ? left : nil
        var given: [Ticket] = []
        while let index = next() {
            let next = waiting.remove(at: index)
            take(next.account)
            given.append(next.ticket)
        }
        return given
    }

    /// Somebody does not want to wait any more; `false` if the place was given before.
    mutating func cancel(_ ticket: Ticket) -> Bool {
        guard let index = waiting.firstIndex(where: { $0.ticket == ticket }) else { return false }
        waiting.remove(at: index)
        return true
    }

    /// Since when the oldest turn of an account has waited.
    func waitingSince(_ account: String) -> Instant? { waiting.first { $0.account == account }?.since }

    /// The first of those whose account has the fewest places.
    private func next() -> Int? {
        var best: (index: Int, places: Int)?
        for (index, entry) in waiting.enumerated() where isFree(for: entry.account) {
            let places = running[entry.account] ?? 0
            if places == 0 { return index }
            if best.map({ places < $0.places }) ?? true { best = (index, places) }
        }
        return best?.index
    }

    private func isFree(for account: String) -> Bool {
        total < (running[account] == nil ? count : count - kept)
    }

    private mutating func take(_ account: String) {
        total += 1
        running[account, default: 0] += 1
    }
}
