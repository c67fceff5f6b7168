/// A user as the Center knows it. ``apiKey`` is a secret in real life; here it is made up.
public struct SimulatedUser: Sendable, Codable, Equatable {
    public let id: String
    public var name: String
    public var email: String
    /// `fak_…`
    public var apiKey: String
    /// Node ids of the guilds the user belongs to.
    public var guilds: [String]
}

/// A channel of a guild.
public struct SimulatedChannel: Sendable, Codable, Equatable {
    public let id: String
    public let guild: String
    public var name: String
    public var type: ChannelType
    public var isPublic: Bool
    public var closed: Bool
    public var purpose: String?
    /// User ids in order of joining.
    public var members: [String]
    /// Head of the channel: `seq` of the newest message, or one less than the first.
    public var lastSeq: Int64
    /// ISO 8601.
    public var createdAt: String
}

/// A file attached to a message.
public struct SimulatedAttachment: Sendable, Codable, Equatable {
    /// `/api/files/<id>`, or whatever the poster gave.
    public var url: String
    public var name: String?
    public var mediaType: String?
    public var size: Int64?

    public init(url: String, name: String? = nil, mediaType: String? = nil, size: Int64? = nil) {
        self.url = url
        self.name = name
        self.mediaType = mediaType
        self.size = size
    }
}

/// A message as stored.
public struct SimulatedMessage: Sendable, Codable, Equatable {
    public let id: String
    public let guild: String
    public let channel: String
    public let seq: Int64
    /// A user id, or the all-zero UUID on the system path.
    public let author: String
    public var content: String
    public let mentions: [String]
    public let attachments: [SimulatedAttachment]
    public let replyTo: String?
    /// ISO 8601 with milliseconds.
    public let createdAt: String
    /// Header of the POST, for looking into retries.
    public let idempotencyKey: String?
    /// Members (and others in the room) who were to wake, decided when it was stored.
    public var wakes: [String]
    /// ISO 8601; nil for one that was not changed.
    public var editedAt: String?
    public var deletedAt: String?
}

/// A file of a guild.
public struct SimulatedFile: Sendable, Codable, Equatable {
    public let id: String
    public let guild: String
    public let name: String
    public let mediaType: String
    public let size: Int64
    /// Relative URL as it stands in messages.
    public let url: String
    /// ``ContentHash`` of the bytes, in hexadecimal; nil for generated content, which is not hashed in advance.
    public let hash: String?
    /// Who uploaded it; nil when the test put it there.
    public let uploader: String?

    /// This file as an attachment of a message.
    public var attachment: SimulatedAttachment {
        SimulatedAttachment(url: url, name: name, mediaType: mediaType, size: size)
    }
}

/// A realtime connection as the guild sees it.
public struct SimulatedSocket: Sendable, Codable, Equatable {
    /// Engine.IO session id.
    public let engineID: String
    /// Socket id of `/realtime`; nil before CONNECT.
    public var sid: String?
    public let guild: String
    /// nil until a good token was shown; stays nil for a rejected socket.
    public var user: String?
    /// Seconds since 1970 at which the token of the CONNECT expires.
    public var tokenExpiry: Double?
    /// Channel ids joined.
    public var rooms: Set<String>
    /// Seconds since 1970.
    public let connectedAt: Double
    /// The CONNECT was acknowledged, its token was bad.
    public var rejected: Bool
    /// Struck by ``FabricSimulator/deafen(guild:user:)``.
    public var deaf: Bool
}

/// What happened so far.
public struct Counters: Sendable, Codable, Equatable {
    /// Successful agent logins per user id.
    public var logins: [String: Int] = [:]
    public var refusedLogins = 0
    public var refreshes = 0
    /// TCP connections accepted per server (`center`, a guild's node id, `control`).
    public var connections: [String: Int] = [:]
    /// Namespace CONNECTs per guild, good or bad.
    public var connects: [String: Int] = [:]
    /// CONNECTs with a bad or expired token per guild.
    public var rejectedConnects: [String: Int] = [:]
    /// Requests per `METHOD /path` with ids replaced by `:id`.
    public var requests: [String: Int] = [:]
    /// Answers per status code.
    public var statuses: [String: Int] = [:]
    /// Answers 401, per server.
    public var unauthorized: [String: Int] = [:]
    public var pingsSent = 0
    public var pongsReceived = 0
    /// Engine.IO pings sent by clients, which is a fault of the client.
    public var clientPings = 0
    public var pingTimeouts = 0
    /// Events written to sockets.
    public var events = 0
    /// Posts answered from the idempotency store.
    public var repeatedPosts = 0
    /// Most sockets open at one time.
    public var peakSockets = 0
    public var joins = 0
    /// By user id: for how many seconds at most it has had more than one authenticated socket in one guild at a time,
    /// those still open not counted; see ``FabricSimulator/overlaps``.
    public var overlapSeconds: [String: Double] = [:]
    /// Most logins that had come and were not answered at one time.
    public var peakLogins = 0
    /// Most logins that came within one second, whenever that second begins.
    public var peakLoginsPerSecond = 0

    public init() {}
}

/// One line of the request log.
public struct LoggedRequest: Sendable, Codable, Equatable {
    public let server: String
    public let method: String
    /// Path and query as sent, with `access_token` removed.
    public let target: String
    public let user: String?
    public let idempotencyKey: String?
    /// Whether an `Authorization` header was there.
    public let hadAuthorization: Bool
    /// nil if no answer was sent.
    public var status: Int?
}
