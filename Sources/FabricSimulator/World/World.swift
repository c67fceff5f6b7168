import Foundation

/// Everything the simulated deployment knows, as a plain value: requests in, answers and emissions out. No clock of its
/// own (`now` is passed in, seconds since 1970) and no input or output.
struct World: Sendable {
    /// Author of messages on the system path.
    static let systemAuthor = "00000000-0000-0000-0000-000000000000"

    struct Guild: Sendable {
        var nodeID: String
        var endpoint: String
        var name: String
        var purpose: String?
        var status = "online"
        var channels: [String] = []
        var publicChannels: [String] = []
        var presence: [String: String] = [:]
        /// The command catalogue as it was stored.
        var commands: [UInt8]?
        var files: [String: StoredFile] = [:]
    }

    struct Channel: Sendable {
        var info: SimulatedChannel
        /// In the order of their making.
        var number: Int
        var firstSeq: Int64
        var messages: [SimulatedMessage] = []
        /// `wake_mapping`: who wakes in custom (listeners) and triage (on duty) channels.
        var wakeMapping: Set<String> = []
        var turns: TurnEngine
        var canvas: Canvas?
    }

    struct Canvas: Sendable {
        var sharer: String
        var title: String?
        var format: String
        var content: String
        var version: Int
    }

    struct StoredFile: Sendable {
        var info: SimulatedFile
        var content: FileContent
    }

    struct Token: Sendable {
        var user: String
        /// The guild it is good for; nil for a Center token.
        var guild: String?
        var expiresAt: Double
    }

    struct StoredReply: Sendable {
        var status: Int
        var body: [UInt8]
    }

    /// What realtime clients are to be told.
    enum Emission: Sendable {
        case message(SimulatedMessage, DeliveryTable, type: ChannelType)
        case joined(user: String, channel: SimulatedChannel)
        case left(user: String, channel: SimulatedChannel)
        /// To everybody in the channel's room.
        case room(event: String, channel: String, guild: String, body: [UInt8])
        /// To every socket of the guild.
        case guild(event: String, guild: String, body: [UInt8])
    }

    /// A refusal with the status and body the guild gives.
    struct Refusal: Error, Sendable {
        var status: Int
        var body: [UInt8]

        init(status: Int, body: [UInt8]) {
            self.status = status
            self.body = body
        }

        /// The error body that NestJS makes by default.
        init(_ status: Int, _ message: String) {
            self.init(status: status, body: JSONText.error(status: status, message: message))
        }

        static let channelClosed = Refusal(status: 409, body: Array(#"{"error":"channel_closed"}"#.utf8))
        static let noChannel = Refusal(404, "channel not found")
    }

    var switches: Switches
    var random: SeededGenerator
    var users: [String: SimulatedUser] = [:]
    var keys: [String: String] = [:]
    var admin: String?
    var guilds: [String: Guild] = [:]
    var guildOrder: [String] = []
    var channels: [String: Channel] = [:]
    /// The channels that each user is a member of: `info.members` from the other side.
    var memberships: [String: Set<String>] = [:]
    var tokens: [String: Token] = [:]
    var refreshTokens: [String: String] = [:]
    var idempotency: [String: StoredReply] = [:]
    private var tokensIssuedSinceSweep = 0

    init(switches: Switches, seed: UInt64) {
        self.switches = switches
        random = SeededGenerator(seed: seed)
    }

    var notParticipant: Refusal { Refusal(switches.notMemberStatus, "not a participant of this channel") }

    static func newID() -> String { UUID().uuidString.lowercased() }

    // MARK: Tokens

    mutating func issueToken(user: String, guild: String?, now: Double) -> String {
        let lifetime = guild == nil ? switches.centerTokenLifetime : switches.tokenLifetime
        // JWT times are whole seconds; rounding up gives a token at least its lifetime, at most one second more.
        let expiry = (now + lifetime).rounded(.up)
        var claims: [String: any Sendable] = [
            "sub": user, "iat": Int(now), "exp": Int(expiry), "jti": World.newID(),
            "typ": guild == nil ? "center" : "guild",
        ]
        if let guild { claims["guildNodeId"] = guild }
        let text =
            switches.tokenForm == .jwt
            ? TokenText.jwt(claims: claims) : "fgt_" + TokenText.random(bytes: 32)
        tokens[text] = Token(user: user, guild: guild, expiresAt: expiry)
        tokensIssuedSinceSweep += 1
        // Keeps long runs with short lifetimes from growing; an expired token and an unknown one are answered alike.
        if tokensIssuedSinceSweep > 20_000 {
            tokensIssuedSinceSweep = 0
            tokens = tokens.filter { $0.value.expiresAt > now }
        }
        return text
    }

    /// Introspection: who a token belongs to, if it is good for this place now.
    func introspect(_ token: String, guild: String?, now: Double) -> Token? {
        guard let found = tokens[token], found.guild == guild, found.expiresAt > now else { return nil }
        guard let user = users[found.user], guild.map(user.guilds.contains) ?? true else { return nil }
        return found
    }

    /// Makes tokens expire now: of one user or of all, of one guild or of all. Center tokens are left alone unless asked for.
    mutating func expireTokens(user: String?, guild: String?, centerToo: Bool, now: Double) {
        for (text, token) in tokens where user == nil || token.user == user {
            guard centerToo || token.guild != nil, guild == nil || token.guild == guild else { continue }
            tokens[text]?.expiresAt = min(token.expiresAt, now)
        }
    }

    // MARK: Users and guilds

    mutating func addUser(name: String, email: String?, guilds: [String]?) -> SimulatedUser {
        let user = SimulatedUser(
            id: World.newID(), name: name, email: email ?? "\(name)@sim.invalid",
            apiKey: "fak_" + TokenText.random(bytes: 24), guilds: guilds ?? guildOrder)
        users[user.id] = user
        keys[user.apiKey] = user.id
        return user
    }

    func user(named name: String, in guild: String) -> String? {
        users.values.filter { ($0.name == name || $0.email == name) && $0.guilds.contains(guild) }
            .map(\.id).min()
    }

    func session(of user: SimulatedUser, access: String, refresh: String?, now: Double) -> [String: any Sendable] {
        var object: [String: any Sendable] = [
            "accessToken": access,
            "user": ["id": user.id, "email": user.email, "name": user.name],
        ]
        if let refresh { object["refreshToken"] = refresh }
        return object
    }

    /// The `guilds` and `guildAccessTokens` arrays, with fresh tokens.
    mutating func guildArrays(
        of user: SimulatedUser, without missing: Set<String> = [], now: Double
    ) -> [String: any Sendable] {
        var rows: [[String: any Sendable]] = []
        var issued: [[String: any Sendable]] = []
        for id in guildOrder where user.guilds.contains(id) {
            guard let guild = guilds[id] else { continue }
            rows.append([
                "nodeId": id, "name": guild.name, "endpoint": guild.endpoint, "status": guild.status,
                "purpose": guild.purpose ?? JSONText.null,
            ])
            guard !missing.contains(id) else { continue }
            issued.append(["guildNodeId": id, "token": issueToken(user: user.id, guild: id, now: now)])
        }
        var object: [String: any Sendable] = ["guilds": rows, "guildAccessTokens": issued]
        if switches.statesLifetime { object["expiresIn"] = Int(switches.tokenLifetime) }
        return object
    }
}
