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

/// The guilds of a logged-in user with fresh tokens.
public struct FabricGuildAccess: Sendable, Equatable {
    public var guilds: [FabricGuildInfo]
    /// Token by node id.
    public var guildAccessTokens: [String: String]

    public init(guilds: [FabricGuildInfo], guildAccessTokens: [String: String]) {
        self.guilds = guilds
        self.guildAccessTokens = guildAccessTokens
    }
}

/// What a refresh brings: tokens for Center. Guild tokens are not renewed by it.
public struct FabricRefreshedAccess: Sendable, Equatable {
    public var accessToken: String
    /// The next refresh token, if the server rotates them.
    public var refreshToken: String?
    public var expiresInSeconds: Int?

    public init(accessToken: String, refreshToken: String? = nil, expiresInSeconds: Int? = nil) {
        self.accessToken = accessToken
        self.refreshToken = refreshToken
        self.expiresInSeconds = expiresInSeconds
    }
}

extension FabricGuildAccess {
    /// Tokens may be an array of objects or one object by node id.
    init(reading value: JSONValue) {
        guilds = (value.first(FabricSpelling.guilds)?.list() ?? []).compactMap(FabricGuildInfo.init(reading:))
        guildAccessTokens = [:]
        let tokens = value.first(FabricSpelling.guildTokens)
        for entry in tokens?.list() ?? [] {
            guard let node = entry.text(FabricSpelling.guildTokenNodeId),
                let token = entry.text(FabricSpelling.guildToken)
            else { continue }
            guildAccessTokens[node] = token
        }
        for (node, token) in tokens?.object ?? [:] {
            if let token = token.string { guildAccessTokens[node] = token }
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

extension FabricRefreshedAccess {
    init?(reading value: JSONValue) {
        guard let value = value.object(with: FabricSpelling.accessToken),
            let token = value.text(FabricSpelling.accessToken), !token.isEmpty
        else { return nil }
        self.init(
            accessToken: token, refreshToken: value.text(FabricSpelling.refreshToken),
            expiresInSeconds: value.whole(FabricSpelling.expiresIn).flatMap { Int(exactly: $0) })
    }
}

extension FabricSession {
    init?(reading value: JSONValue) {
        guard let value = value.object(with: FabricSpelling.accessToken),
            let access = FabricRefreshedAccess(reading: value), let user = value.first(FabricSpelling.user),
            let id = user.text(FabricSpelling.userId)
        else { return nil }
        let guilds = FabricGuildAccess(reading: value)
        self.init(
            accessToken: access.accessToken, refreshToken: access.refreshToken,
            user: FabricUser(
                id: id, email: user.text(FabricSpelling.userEmail), name: user.text(FabricSpelling.userName)),
            guilds: guilds.guilds, guildAccessTokens: guilds.guildAccessTokens,
            expiresInSeconds: access.expiresInSeconds)
    }
}
