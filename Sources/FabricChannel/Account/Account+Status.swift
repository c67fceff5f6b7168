import Foundation
import JSONBytes

/// The status of an account, as the design's section 9 lists it.
extension Account {
    /// The whole status.
    var status: JSONValue {
        var object: [String: JSONValue] = [
            "accountId": .string(id), "enabled": .bool(facts.enabled), "configured": .bool(facts.configured),
            "credential": .string(facts.credential), "running": .bool(life.running && life.blocked == nil),
            "connected": .bool(life.connected), "lifecycle": .string(life.lifecycle.rawValue),
            "reason": .string(life.reason), "lanes": .int(Int64(laneCount)), "waiting": .int(Int64(waitingCount)),
            "outbox": .int(Int64(outbox.count)), "deadLetters": .int(Int64(outbox.deadLetters.count)),
        ]
        object["guilds"] = .array(links.values.sorted { $0.nodeId < $1.nodeId }.map(guildStatus))
        object["lastInboundAt"] = time(lastInboundAt)
        object["lastOutboundAt"] = time(lastOutboundAt)
        object["tokenExpiresAt"] = time(tokenExpiry)
        object["startedAt"] = time(startedAt)
        return .object(object)
    }

    private func guildStatus(_ link: GuildLink) -> JSONValue {
        let activity = link.client.flatMap { client in client.assumeIsolated { $0.lastTransportActivity } }
        let sinceActivity = activity.map { $0.duration(to: .now) }
        let socket = link.client.flatMap { client in client.assumeIsolated { $0.socketID } }
        return [
            "nodeId": .string(link.nodeId), "connected": .bool(link.feed.isReady),
            "state": .string(link.feed.phase.rawValue), "socketId": socket.map { .string($0) } ?? .null,
            "channels": .int(Int64(link.feed.channelCount)),
            "reconnectAttempts": .int(Int64(link.reconnectAttempts)),
            "lastTransportActivityAt": time(sinceActivity.map { environment.wallClock() - $0.inSeconds }),
            "lastConnectedAt": time(link.lastConnectedAt),
            "lastDisconnect": link.lastDisconnect.map { .string($0) } ?? .null,
            "duplicates": .int(Int64(link.duplicates)), "deafEvents": .int(Int64(link.feed.deafEvents)),
        ]
    }

    private var tokenExpiry: Double? {
        links.keys.compactMap { environment.sessions.cachedGuildToken(for: id, guild: $0) }
            .map { environment.wallClock() + ContinuousClock.now.duration(to: $0.expiresAt).inSeconds }.min()
    }

    private var laneCount: Int {
        links.values.reduce(0) { $0 + $1.feed.slots.filter { !$0.lane.isEmpty }.count }
    }

    private var waitingCount: Int {
        links.values.reduce(0) { $0 + $1.feed.slots.reduce(0) { $0 + $1.lane.waitingCount } }
    }

    private func time(_ seconds: Double?) -> JSONValue {
        guard let seconds else { return .null }
        // The date too: `.iso8601.time(…)` would leave it out, and the gateway's health check could not read it.
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        return .string(Date(timeIntervalSince1970: seconds).formatted(style))
    }

    /// Tells the gateway when something an operator would care about changed.
    func statusChanged() {
        life.guilds = links.count
        life.readyGuilds = links.values.lazy.filter { $0.feed.isReady }.count
        life.settle()
        let mark = "\(life.running) \(life.lifecycle) \(life.connected) \(life.reason) \(outbox.deadLetters.count)"
        guard Array(mark.utf8) != lastStatus else { return }
        lastStatus = Array(mark.utf8)
        environment.gateway.accountChanged(status.serialized)
    }
}

/// What the inspection of the configuration says of an account.
struct AccountFacts: Sendable, Equatable {
    var enabled: Bool
    var configured: Bool
    var credential: String
}

extension Duration {
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
