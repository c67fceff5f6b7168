import JSONBytes

/// A user of Fabric.
public struct FabricUser: Sendable, Codable, Equatable {
    /// The id messages carry as their author.
    public var id: String
    public var email: String?
    public var name: String?

    public init(id: String, email: String? = nil, name: String? = nil) {
        self.id = id
        self.email = email
        self.name = name
    }
}

/// A guild the user belongs to.
public struct FabricGuildInfo: Sendable, Codable, Equatable {
    /// The operator's name for the node, unique within a Center.
    public var nodeId: String
    public var name: String?
    /// Base URL without `/api`.
    public var endpoint: String
    public var status: String?
    public var purpose: String?

    public init(nodeId: String, name: String? = nil, endpoint: String, status: String? = nil, purpose: String? = nil) {
        self.nodeId = nodeId
        self.name = name
        self.endpoint = endpoint
        self.status = status
        self.purpose = purpose
    }
}

/// What a login brings. It holds secrets: it is `Codable` for handing over in memory, not for files.
public struct FabricSession: Sendable, Codable, Equatable {
    /// For Center's own routes.
    public var accessToken: String
    public var refreshToken: String?
    /// Who logged in.
    public var user: FabricUser
    /// The guilds that can be reached; entries without id or endpoint are left out.
    public var guilds: [FabricGuildInfo]
    /// Token by node id. A guild may lack one.
    public var guildAccessTokens: [String: String]
    /// The lifetime in seconds, if the server states one.
    public var expiresInSeconds: Int?

    public init(
        accessToken: String, refreshToken: String? = nil, user: FabricUser, guilds: [FabricGuildInfo],
        guildAccessTokens: [String: String], expiresInSeconds: Int? = nil
    ) {
        self.accessToken = accessToken
        self.refreshToken = refreshToken
        self.user = user
        self.guilds = guilds
        self.guildAccessTokens = guildAccessTokens
        self.expiresInSeconds = expiresInSeconds
    }
}

/// The guilds of a session and their tokens, by node id, as they stand in an answer.
private struct GuildAccess {
    var guilds: [FabricGuildInfo]
    var tokens: [String: String] = [:]

    /// Tokens may be an array of objects or one object by node id.
    init(reading value: JSONValue) {
        guilds = (value.first(FabricSpelling.guilds)?.list() ?? []).compactMap(FabricGuildInfo.init(reading:))
        let given = value.first(FabricSpelling.guildTokens)
        for entry in given?.list() ?? [] {
            guard let node = entry.text(FabricSpelling.guildTokenNodeId),
                let token = entry.text(FabricSpelling.guildToken)
            else { continue }
            tokens[node] = token
        }
        for (node, token) in given?.object ?? [:] {
            if let token = token.string { tokens[node] = token }
        }
    }
}

extension FabricGuildInfo {
    init?(reading value: JSONValue) {
        guard let node = value.text(FabricSpelling.guildNodeId), let endpoint = value.text(FabricSpelling.endpoint)
        else {
            return nil
        }
        self.init(
            nodeId: node, name: value.text(FabricSpelling.name), endpoint: endpoint,
            status: value.text(FabricSpelling.status), purpose: value.text(FabricSpelling.purpose))
    }
}

extension FabricSession {
    init?(reading value: JSONValue) {
        guard let value = value.object(with: FabricSpelling.accessToken),
            let token = value.text(FabricSpelling.accessToken), !token.isEmpty,
            let user = value.first(FabricSpelling.user), let id = user.text(FabricSpelling.userId)
        else { return nil }
        let access = GuildAccess(reading: value)
        self.init(
            accessToken: token, refreshToken: value.text(FabricSpelling.refreshToken),
            user: FabricUser(
                id: id, email: user.text(FabricSpelling.userEmail), name: user.text(FabricSpelling.userName)),
            guilds: access.guilds, guildAccessTokens: access.tokens,
            expiresInSeconds: value.whole(FabricSpelling.expiresIn).flatMap { Int(exactly: $0) })
    }
}
