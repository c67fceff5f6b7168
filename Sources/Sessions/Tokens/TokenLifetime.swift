/// How long one received token may be served: the decision alone.
struct TokenLifetime: Equatable {
    /// Until when it may be served, counted from receipt.
    var hard: Duration
    /// How long the token itself says it lives, counted from receipt; nil if it does not say.
    var known: Duration?
    /// Something the operator should know about how this was decided.
    var note: String?

    /// - Parameters:
    ///   - times: what the token says; nil if it is unreadable.
    ///   - wall: seconds since 1970 at receipt.
    ///   - stated: lifetime in seconds the server stated beside the token.
    init(times: JWTTimes?, wall: Double, stated: Int?, configuration: Sessions.Configuration) {
        let soft = configuration.softLifetime
        let fallback = stated.flatMap { $0 > 0 ? min(soft, Self.lessMargin(.seconds($0), configuration)) : nil } ?? soft
        guard let times else {
            self.init(hard: fallback, known: nil, note: nil)
            return
        }
        var seconds = times.expiry - wall
        guard seconds > 0 else {
            let note = """
                a token arrived with an expiry \(Int(min(-seconds, 1e9))) s in the past; the clocks of this machine and of \
                Center differ, or Center hands out dead tokens. The soft lifetime is used instead
                """
            self.init(hard: fallback, known: nil, note: note)
            return
        }
        guard seconds <= Self.longest else {
            self.init(
                hard: fallback, known: nil, note: "a token's expiry lies more than ten years ahead; it is ignored")
            return
        }
        var note: String?
        if let issued = times.issued, times.expiry > issued {
            // A server whose clock is ahead of ours seems to give us more time than it does.
            if issued - wall > 60 {
                note = "Center's clock is \(Int(min(issued - wall, 1e9))) s ahead of this machine's"
            }
            seconds = min(seconds, times.expiry - issued)
        }
        let known = Duration.seconds(seconds)
        self.init(hard: Self.lessMargin(known, configuration), known: known, note: note)
    }

    private init(hard: Duration, known: Duration?, note: String?) {
        self.hard = hard
        self.known = known
        self.note = note
    }

    /// Ten years in seconds: beyond it an `exp` is a mistake, milliseconds for instance.
    private static let longest: Double = 10 * 365 * 86_400

    /// The margin is fixed, but at most a fifth of a lifetime: a token of 5 s would otherwise never be served.
    static func lessMargin(_ lifetime: Duration, _ configuration: Sessions.Configuration) -> Duration {
        lifetime - min(configuration.expiryMargin, lifetime / 5)
    }
}
