/// A guild that refuses what it is asked with one token and then with the next: another login will not change its mind.
///
/// A value per guild. The first refusal renews the token; when the new one is refused too, refusals renew nothing for a
/// while, which doubles as long as it goes on so.
struct TokenDoubt: Equatable, Sendable {
    /// The first pause, and the longest: as long as Fabric's guild tokens live.
    static let shortest: Duration = .seconds(60)
    static let longest: Duration = .seconds(900)

    private var until: ContinuousClock.Instant?
    private var pause = Self.shortest

    /// Whether a refusal may be the token's fault, so that another one is worth a login.
    func mayRenew(now: ContinuousClock.Instant) -> Bool { until.map { $0 <= now } ?? true }

    /// The successor of a refused token was refused as well.
    mutating func refusedAgain(now: ContinuousClock.Instant) {
        until = now.advanced(by: pause)
        pause = min(pause * 2, Self.longest)
    }

    /// The successor was taken: it had been the token.
    mutating func renewalHelped() { self = TokenDoubt() }
}
