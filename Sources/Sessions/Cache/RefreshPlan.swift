import Timing

/// When to renew, and how long to pause after failures: arithmetic alone.
struct RefreshPlan {
    var configuration: Sessions.Configuration

    /// How long after its receipt a session in use is renewed.
    /// - Parameter chance: evenly drawn from 0 to 1.
    func renewal(of session: Session, chance: Double) -> Duration {
        let soft = configuration.softLifetime
        var wanted = min(soft, configuration.blindRefresh)
        if let known = session.knownLifetime {
            var early = known - min(configuration.refreshLead, known / 2)
            if session.lifetimeIsStated { early = max(early, configuration.statedLifetimeFloor) }
            wanted = min(soft, early)
        }
        let spread = 1 + configuration.refreshJitter * (2 * min(max(chance, 0), 1) - 1)
        // The jitter may shorten, but not below what the floor is there for.
        let floor = session.lifetimeIsStated ? min(wanted, configuration.statedLifetimeFloor) : .zero
        wanted = max(wanted * spread, floor)
        // Where a token is hard-limited by the soft lifetime, the jitter must not carry the renewal past its end.
        let hard = session.receivedAt.duration(to: session.hardDeadline)
        if !session.lifetimeIsStated { wanted = min(wanted, hard - min(.seconds(30), hard / 10)) }
        // Tokens of almost no lifetime must not make a spinning wheel of logins.
        return max(wanted, .seconds(1))
    }

    /// How long a block lasts until the next try.
    /// - Parameters:
    ///   - tries: how many tries it has outlasted.
    ///   - chance: evenly drawn from 0 to 1.
    func blockPause(tries: Int, chance: Double) -> Duration {
        let jitter = configuration.blockJitter > 0 ? min(configuration.blockJitter, 1) : 0
        return Backoff(configuration.blockRetry.lowerBound, upTo: configuration.blockRetry.upperBound)
            .delay(step: tries, share: (1 - jitter)...(1 + jitter), chance: chance)
    }

    /// How long until the next login for the sake of a guild whose token was lost.
    func lostGuildPause(tries: Int) -> Duration {
        Backoff(configuration.lostGuildRetry, upTo: configuration.softLifetime).delay(step: tries)
    }

    /// The pause after the given number of failed logins in a row.
    func pause(failures: Int, chance: Double) -> Duration {
        let least = configuration.backoff.lowerBound
        let limit = Backoff(least, upTo: configuration.backoff.upperBound).delay(step: max(failures, 1))
        return least + (limit - least) * min(max(chance, 0), 1)
    }
}
