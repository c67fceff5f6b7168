import JSONBytes
import Timing

/// The status of an account: the object that the C header defines.
extension Account {
    /// The whole status.
    var status: JSONValue {
        var object: [String: JSONValue] = [
            "accountId": .string(id), "enabled": .bool(facts.enabled), "configured": .bool(facts.configured),
            "credential": .string(facts.credential), "running": .bool(life.running && life.blocked == nil),
            "connected": .bool(life.connected), "lifecycle": .string(life.lifecycle.rawValue),
            "reason": .string(reason), "queued": .bool(turnAwaited != nil), "lanes": .int(Int64(inbox.laneCount)),
            "waiting": .int(Int64(inbox.waitingCount)), "outbox": .int(Int64(outgoing.count)),
            "deadLetters": .int(Int64(deadCount)), "agentsHeld": .int(Int64(inbox.agentsHeld(now: .now))),
        ]
        object["guilds"] = .array(inbox.openGuilds.map(guildStatus))
        if let stuck = outgoing.longestProblem(now: .now) {
            object["outboxProblem"] = [
                "reason": .string(stuck.reason),
                "seconds": .int(Int64(max(0, min(stuck.since.duration(to: .now).inSeconds, 1e9)))),
            ]
        }
        object["lastInboundAt"] = time(signs.lastInboundAt)
        object["lastOutboundAt"] = time(signs.lastOutboundAt)
        object["tokenExpiresAt"] = time(tokenExpiry)
        object["startedAt"] = time(signs.startedAt)
        return .object(object)
    }

    private var deadCount: Int { outgoing.deadCount + inbox.setAsideCount }

    private var reason: String {
        guard let turnAwaited else { return life.reason }
        return life.problem.map { "\($0); it \(turnAwaited)" } ?? turnAwaited
    }

    /// What it waits for behind other accounts of this gateway, nil if it does not. It is no news: thousands begin to wait in
    /// one moment, and stop one after the other.
    private var turnAwaited: String? {
        guard life.running, life.blocked == nil, !life.connected else { return nil }
        if links.values.contains(where: isQueued) { return "waits for its turn to connect" }
        return environment.sessions.isQueued(id) ? "waits for its turn to log in" : nil
    }

    private func isQueued(_ link: GuildLink) -> Bool {
        link.connectNumber.map { environment.gate.isWaiting(link.endpoint, $0) } ?? false
    }

    private func guildStatus(_ number: Int) -> JSONValue {
        let link = links[number]
        let guild = inbox.signs(of: number)
        let activity = link?.client.flatMap { client in client.assumeIsolated { $0.lastTransportActivity } }
        let sinceActivity = activity.map { $0.duration(to: .now) }
        let socket = link?.client.flatMap { client in client.assumeIsolated { $0.socketID } }
        return [
            "nodeId": .string(inbox.nodeID(number)), "connected": .bool(guild.isReady),
            "state": .string(link.map(isQueued) == true ? "queued" : guild.phase.rawValue),
            "socketId": socket.map { .string($0) } ?? .null,
            "channels": .int(Int64(guild.channels)),
            "reconnectAttempts": .int(Int64(link?.reconnectAttempts ?? 0)),
            "lastTransportActivityAt": time(sinceActivity.map { environment.wallClock() - $0.inSeconds }),
            "lastConnectedAt": time(link?.lastConnectedAt),
            "lastDisconnect": link?.lastDisconnect.map { .string($0) } ?? .null,
            "duplicates": .int(Int64(guild.duplicates)), "deafEvents": .int(Int64(guild.deafEvents)),
            "skipped": .int(guild.skipped), "missing": .int(guild.missing),
            "protocolErrors": .int(Int64(guild.protocolErrors)),
            "openGaps": .int(Int64(guild.openGaps)),
        ]
    }

    private var tokenExpiry: Double? {
        life.guildInfos.keys.compactMap { environment.sessions.cachedGuildToken(for: id, guild: $0) }
            .map { environment.wallClock() + ContinuousClock.now.duration(to: $0.expiresAt).inSeconds }.min()
    }

    private func time(_ seconds: Double?) -> JSONValue {
        guard let seconds else { return .null }
        return .string(TimeText.text(seconds))
    }

    private var storeProblem: String? {
        guard case .failing(let reason) = environment.store.health, !inbox.isStoreGood else { return nil }
        return reason
    }

    /// Tells the gateway when something an operator would care about changed.
    func statusChanged() {
        let (open, ready) = inbox.readiness
        life.settle(guilds: open, ready: ready, away: inbox.guildsAway, storeProblem: storeProblem)
        if ending.isMute { return }
        let mark = StatusMark(
            running: life.running, lifecycle: life.lifecycle, connected: life.connected, reason: life.reason,
            dead: deadCount)
        guard signs.isNews(mark) else { return }
        environment.gateway.accountChanged(status.serialized)
    }
}

/// What of a status is news when it changes.
struct StatusMark: Equatable {
    var running: Bool
    var lifecycle: AccountLife.Lifecycle
    var connected: Bool
    var reason: String
    var dead: Int
}

/// What the inspection of the configuration says of an account.
struct AccountFacts: Sendable, Equatable {
    var enabled: Bool
    var configured: Bool
    var credential: String
    var keyPlace: KeyPlace?
}

extension Duration {
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}

/// What can never be sent, or is not delivered any more.
extension Account {
    /// Tries a dead letter, or a delivery that was set aside, again; false when there is none with this id.
    func resubmit(_ id: String) -> Bool {
        if outgoing.isDead(id) {
            handle(Outgoing.Event.resubmit(id))
        } else if inbox.isSetAside(id) {
            handle(Inbox.Event.resubmit(id))
        } else {
            return false
        }
        return true
    }

    /// Forgets one; false when there is none with this id.
    func dropDeadLetter(_ id: String) -> Bool {
        if outgoing.isDead(id) {
            handle(Outgoing.Event.drop(id))
        } else if inbox.isSetAside(id) {
            handle(Inbox.Event.drop(id))
        } else {
            return false
        }
        return true
    }
}
