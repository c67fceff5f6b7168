import FabricAPI

/// A guild token that may be used now. One word; copies share.
public struct GuildToken: Sendable {
    private final class Storage: Sendable {
        let token: String
        let guild: String
        let endpoint: String
        let expiresAt: ContinuousClock.Instant

        init(token: String, guild: String, endpoint: String, expiresAt: ContinuousClock.Instant) {
            self.token = token
            self.guild = guild
            self.endpoint = endpoint
            self.expiresAt = expiresAt
        }
    }

    private let storage: Storage

    init(token: String, guild: String, endpoint: String, expiresAt: ContinuousClock.Instant) {
        storage = Storage(token: token, guild: guild, endpoint: endpoint, expiresAt: expiresAt)
    }

    /// The bearer token.
    public var token: String { storage.token }
    /// The guild's node id.
    public var guild: String { storage.guild }
    /// The guild's base URL as Center gave it; empty if Center named the token but not the guild.
    public var endpoint: String { storage.endpoint }
    /// The last moment at which it may be used, margin taken off.
    public var expiresAt: ContinuousClock.Instant { storage.expiresAt }
}

extension GuildToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "token \(token.prefix(8))… for guild \(guild)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["guild": guild, "expiresAt": expiresAt]) }
}

/// One login's result, and until when it may be used.
public struct Session: Sendable {
    /// The agent it belongs to.
    public let agent: String
    /// What Center answered, and tokens of the session before that it did not renew and that still live.
    public private(set) var fabric: FabricSession
    /// When it arrived.
    public let receivedAt: ContinuousClock.Instant
    /// Until when it counts as fresh.
    public let softDeadline: ContinuousClock.Instant
    /// Until when all its guild tokens may be served; the access token's time if there are no guild tokens.
    public let hardDeadline: ContinuousClock.Instant
    /// Remarks for the operator, for instance about clocks that differ.
    public let notes: [String]
    private(set) var tokens: [GuildToken]
    /// When the first token runs out by its own word, or the server's; nil if nobody says.
    let knownLifetime: Duration?
    /// Whether `knownLifetime` is the server's word only.
    let lifetimeIsStated: Bool

    /// The token of a guild, whether it may still be used or not; nil if the session has none.
    public func token(for guild: String) -> GuildToken? { tokens.first { $0.guild == guild } }

    /// Takes over a token that this session's login did not bring.
    mutating func carry(_ token: GuildToken) {
        tokens.append(token)
        fabric.guildAccessTokens[token.guild] = token.token
    }

    /// Whether Center lists the guild as one of the agent's.
    func lists(_ guild: String) -> Bool { fabric.guilds.contains { $0.nodeId == guild } }

    /// Whether `text` is one of the session's tokens.
    func contains(token text: String) -> Bool {
        fabric.accessToken == text || tokens.contains { $0.token == text }
    }
}

extension Session: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "session of \(agent) with \(tokens.count) guild tokens" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["agent": agent, "hardDeadline": hardDeadline]) }
}

extension Session {
    /// Decides the deadlines of an answer at the moment it arrives.
    init(
        agent: String, fabric: FabricSession, now: ContinuousClock.Instant, wall: Double,
        configuration: Sessions.Configuration
    ) {
        var notes: [String] = []
        func lifetime(_ token: String) -> TokenLifetime {
            let result = TokenLifetime(
                times: JWTExpiry.times(of: token), wall: wall, stated: fabric.expiresInSeconds,
                configuration: configuration)
            if let note = result.note, !notes.contains(note) { notes.append(note) }
            return result
        }
        let endpoints = Dictionary(
            fabric.guilds.map { ($0.nodeId, $0.endpoint) }, uniquingKeysWith: { first, _ in first })
        var tokens: [GuildToken] = []
        var shortest: Duration?
        var hard: Duration?
        for (guild, token) in fabric.guildAccessTokens.sorted(by: { $0.key < $1.key }) {
            let life = lifetime(token)
            hard = min(hard ?? life.hard, life.hard)
            if let known = life.known { shortest = min(shortest ?? known, known) }
            tokens.append(
                GuildToken(
                    token: token, guild: guild, endpoint: endpoints[guild] ?? "", expiresAt: now.advanced(by: life.hard)
                ))
        }
        let access = lifetime(fabric.accessToken)
        if tokens.isEmpty { shortest = access.known }
        let stated = fabric.expiresInSeconds.flatMap { $0 > 0 ? Duration.seconds($0) : nil }
        self.init(
            agent: agent, fabric: fabric, receivedAt: now, softDeadline: now.advanced(by: configuration.softLifetime),
            hardDeadline: now.advanced(by: hard ?? access.hard), notes: notes, tokens: tokens,
            knownLifetime: shortest ?? stated,
            lifetimeIsStated: shortest == nil && stated != nil)
    }
}
