import Timing

/// A guild that refuses what it is asked with one token and then with the next: another login will not change its mind.
///
/// A value per guild. The first refusal renews the token; when the new one is refused too, refusals renew nothing for a
/// while, which doubles as long as it goes on so.
struct TokenDoubt: Equatable, Sendable {
    /// At the longest as long as Fabric's guild tokens live.
    private static let pause = Backoff(.seconds(60), upTo: .seconds(900))

    private var until: ContinuousClock.Instant?
    private var refusals = 0

    /// Whether a refusal may be the token's fault, so that another one is worth a login.
    func mayRenew(now: ContinuousClock.Instant) -> Bool { until.map { $0 <= now } ?? true }

    /// The successor of a refused token was refused as well.
    mutating func refusedAgain(now: ContinuousClock.Instant) {
        until = now.advanced(by: Self.pause.delay(step: refusals))
        refusals = min(refusals, 1000) + 1
    }

    /// The successor was taken: it had been the token.
    mutating func renewalHelped() { self = TokenDoubt() }
}
