/// Guilds that a login brought no token for.
extension SessionCache {
    /// Keeps what the session before had and the new one has not: Center may leave out a guild in a bad moment, and a token
    /// that lives is as good as before.
    func carrying(
        _ session: Session, into entry: inout SessionEntry, _ now: ContinuousClock.Instant
    ) -> Session {
        var session = session
        let had = entry.session?.tokens ?? []
        let brought = Set(session.tokens.map(\.guild))
        entry.carried = []
        for token in had where !brought.contains(token.guild) {
            noteMissing(token.guild, &entry, session, hadToken: true, now)
            guard now < token.expiresAt, !entry.rejected.contains(token.token) else { continue }
            session.carry(token)
            entry.carried.insert(token.guild)
        }
        entry.missing = entry.missing.filter { guild, missing in
            guard !brought.contains(guild) else { return false }
            // Names that somebody made up must not gather.
            return missing.isKnown || now < missing.since.advanced(by: configuration.missingGuildGrace)
        }
        return session
    }

    /// A login did not bring a token for a guild that somebody wants.
    func noteMissing(
        _ guild: String, _ entry: inout SessionEntry, _ session: Session, hadToken: Bool,
        _ now: ContinuousClock.Instant
    ) {
        guard entry.missing[guild] == nil else { return }
        let pause = RefreshPlan(configuration: configuration).lostGuildPause(tries: 0)
        entry.missing[guild] = SessionEntry.MissingGuild(
            since: now, isKnown: hadToken || session.lists(guild), nextTry: hadToken ? now.advanced(by: pause) : nil)
    }

    /// Whether a login for the guild's sake is of use now; if so it is counted.
    func mayTry(_ guild: String, _ entry: inout SessionEntry, _ now: ContinuousClock.Instant) -> Bool {
        guard var missing = entry.missing[guild] else { return true }
        guard let next = missing.nextTry, now >= next else { return false }
        missing.tries += 1
        let isPassing = missing.isPassing(now, configuration)
        let pause = RefreshPlan(configuration: configuration).lostGuildPause(tries: missing.tries)
        missing.nextTry = isPassing ? now.advanced(by: pause) : nil
        entry.missing[guild] = missing
        return isPassing
    }

    /// What a caller is told who wants a token that there is none of.
    func lacking(
        _ guild: String, _ agent: String, _ entry: SessionEntry, _ session: Session, _ now: ContinuousClock.Instant
    ) -> SessionError {
        guard let missing = entry.missing[guild], missing.isPassing(now, configuration) else {
            return Self.missing(guild, agent, session)
        }
        let next = [missing.nextTry, entry.plan?.at].compactMap(\.self).min() ?? session.softDeadline
        let reason = """
            Center gave no token for guild \(guild) at a new login, though the agent is a member of it; it is asked for again
            """
        let pause = max(.seconds(1), now.duration(to: next))
        return SessionError(kind: .unavailable(retryIn: pause), agent: agent, reason: reason)
    }

    static func missing(_ guild: String, _ agent: String, _ session: Session) -> SessionError {
        let known = session.tokens.map(\.guild)
        let has = known.isEmpty ? "none" : known.joined(separator: ", ")
        let reason = """
            Center gave no token for it at a new login (guilds with a token: \(has)); check that the agent is a member of \
            that guild and that the node id is right
            """
        return SessionError(kind: .guildMissing(guild: guild), agent: agent, reason: reason)
    }
}

extension SessionEntry {
    /// Whether the session has no token of its own login for the guild.
    func lacks(_ guild: String) -> Bool { carried.contains(guild) || session?.token(for: guild) == nil }
}

extension SessionEntry.MissingGuild {
    func isPassing(_ now: ContinuousClock.Instant, _ configuration: Sessions.Configuration) -> Bool {
        isKnown && now < since.advanced(by: configuration.missingGuildGrace)
    }
}
