import GatewayControl
import JSONBytes

/// What an account's status says, as far as the supervisor cares. Every field may be absent, and absent is never read
/// as bad (or good) news.
struct AccountReport: Equatable, Sendable {
    enum Lifecycle: String, Sendable {
        case starting, ready, recovering, blocked, stopped
        /// Another gateway runs it, or will.
        case standby
    }

    struct Guild: Equatable, Sendable {
        var connected: Bool?
        /// When bytes last moved on the transport, seconds since 1970.
        var activityAt: Double?
        var reconnectAttempts: Int64?
        init(connected: Bool? = nil, activityAt: Double? = nil, reconnectAttempts: Int64? = nil) {
            self.connected = connected
            self.activityAt = activityAt
            self.reconnectAttempts = reconnectAttempts
        }
    }

    var running: Bool?
    var connected: Bool?
    var lifecycle: Lifecycle?
    var reason: String?
    /// It waits for its turn to connect, behind other accounts of this gateway.
    var isQueued = false
    var guilds: [Guild]
    /// The wall clock when the report was made, seconds since 1970.
    var takenAt: Double

    init(
        running: Bool? = nil, connected: Bool? = nil, lifecycle: Lifecycle? = nil, reason: String? = nil,
        guilds: [Guild] = [], takenAt: Double = 0
    ) {
        self.running = running
        self.connected = connected
        self.lifecycle = lifecycle
        self.reason = reason
        self.guilds = guilds
        self.takenAt = takenAt
    }

    /// Reads the status object of `gateway_channel.h`. Times may be ISO 8601 text, or seconds or milliseconds since
    /// 1970.
    init(status: JSONValue, takenAt: Double) {
        running = status["running"]?.bool
        connected = status["connected"]?.bool
        lifecycle = status["lifecycle"]?.string.flatMap(Lifecycle.init(rawValue:))
        reason = status["reason"]?.string
        isQueued = status["queued"]?.bool == true
        guilds = (status["guilds"]?.array ?? []).map { guild in
            Guild(
                connected: guild["connected"]?.bool,
                activityAt: guild["lastTransportActivityAt"].flatMap(WallTime.seconds),
                reconnectAttempts: guild["reconnectAttempts"]?.int)
        }
        self.takenAt = takenAt
    }

    /// A connected guild whose transport was silent for at least `limit`. A clock that jumped back is not silence.
    func isStale(after limit: Duration) -> Bool {
        guilds.contains { guild in
            guard guild.connected == true, let activity = guild.activityAt else { return false }
            return takenAt - activity >= limit / .seconds(1)
        }
    }

    /// What moves while an account works at getting connected. While it changes, a restart would only disturb.
    struct Progress: Equatable {
        var connected: Bool?
        var lifecycle: Lifecycle?
        var guilds: [Guild]

        /// Times are told by the wall clock, and waver where that is corrected: only more than 2 s is a movement.
        static func == (left: Self, right: Self) -> Bool {
            guard left.connected == right.connected, left.lifecycle == right.lifecycle,
                left.guilds.count == right.guilds.count
            else { return false }
            return zip(left.guilds, right.guilds).allSatisfy { old, new in
                guard old.connected == new.connected, old.reconnectAttempts == new.reconnectAttempts else {
                    return false
                }
                guard let before = old.activityAt, let after = new.activityAt else {
                    return old.activityAt == new.activityAt
                }
                return abs(after - before) <= 2
            }
        }
    }

    var progress: Progress { Progress(connected: connected, lifecycle: lifecycle, guilds: guilds) }
}
