import JSONBytes

/// Every key and path of the wire that is not certain (Documentation/Fabric.md says which), and the certain ones beside
/// them. One correction is one edit here. Lists are in order of preference: the first that is there counts.
enum FabricSpelling {
    // MARK: - Center

    static let loginPath = "/auth/agent/login"
    static let refreshPath = "/auth/refresh"
    static let guildsPath = "/auth/me/guilds"
    static let apiKey: StaticString = "apiKey"
    static let refreshTokenSent: StaticString = "refreshToken"
    static let accessToken = ["accessToken", "access_token"]
    static let refreshToken = ["refreshToken", "refresh_token"]
    static let expiresIn = ["expiresInSeconds", "expiresIn", "expires_in"]
    static let user = ["user"]
    static let userId = ["id", "userId"]
    static let userEmail = ["email"]
    static let userName = ["name", "displayName"]
    static let guilds = ["guilds"]
    static let guildTokens = ["guildAccessTokens"]
    static let guildNodeId = ["nodeId", "guildNodeId"]
    static let guildTokenNodeId = ["guildNodeId", "nodeId"]
    static let guildToken = ["token", "accessToken"]
    static let name = ["name"]
    static let endpoint = ["endpoint"]
    static let status = ["status"]
    static let purpose = ["purpose"]

    // MARK: - Guild

    /// Between a guild's endpoint and its REST paths.
    static let prefix = "/api"
    static let realtimeNamespace = "/realtime"
    static func channelsPath(_ guild: String) -> String { "/channels?guildId=" + guild }
    static func joinPath(_ channel: String) -> String { "/channels/\(channel)/join" }
    static func leavePath(_ channel: String) -> String { "/channels/\(channel)/leave" }
    static func membersPath(_ channel: String) -> String { "/channels/\(channel)/members" }
    static func messagesPath(_ channel: String) -> String { "/channels/\(channel)/messages" }
    static let historyFrom = "seqFrom"
    static let historyTo = "seqTo"
    static let historyLimit = "limit"
    /// The most that clients are known to ask for; the server's own limit is unknown.
    static let historyMaximum = 200
    static let filesPath = "/files"
    static func filePath(_ id: String) -> String { "/api/files/" + id }
    static let filePart = "file"
    static let uploadedURL = ["url"]
    static let uploadedId = ["id", "fileId"]
    static let idempotencyHeader = "idempotency-key"

    /// Where an array may be instead of being the whole answer.
    static let listEnvelopes = ["messages", "channels", "members", "items", "rows", "results", "data", "page"]
    /// Where an object may be instead of being the whole answer.
    static let objectEnvelopes = ["data", "message", "file", "attachment", "item", "result", "files", "attachments"]

    // MARK: - Pages of a list

    /// Where a list says how it goes on, besides at its top.
    static let pageEnvelopes = [
        "page", "meta", "pagination", "paging", "pageInfo", "page_info", "links", "_links", "data",
    ]
    /// A link to the next page, or an object with one.
    static let nextLink = ["next", "nextLink", "next_link", "nextPageUrl", "next_page_url", "@odata.nextLink"]
    static let nextHref = ["href", "url"]
    /// What stands for the next page, and the parameter that asks for it.
    static let nextTokens = [
        ("nextCursor", "cursor"), ("next_cursor", "cursor"), ("nextPageToken", "pageToken"),
        ("next_page_token", "page_token"), ("endCursor", "after"), ("end_cursor", "after"), ("nextPage", "page"),
        ("next_page", "page"), ("nextOffset", "offset"), ("next_offset", "offset"), ("next", "cursor"),
    ]
    static let hasMore = ["hasMore", "has_more", "hasNext", "has_next", "hasNextPage", "has_next_page"]
    static let total = ["total", "totalItems", "totalCount", "total_count", "totalElements"]
    static let totalPages = ["totalPages", "total_pages", "pageCount", "page_count", "lastPage", "last_page", "pages"]
    /// The number of the page at hand; its own spelling asks for another, but for `currentPage`.
    static let pageNumber = [
        ("page", "page"), ("currentPage", "page"), ("current_page", "page"), ("pageNumber", "pageNumber"),
    ]
    static let pageSize = ["limit", "pageSize", "page_size", "perPage", "per_page", "itemsPerPage", "take", "size"]
    static let pageOffset = ["offset", "skip", "start"]

    static let channelId = ["id", "channelId"]
    static let channelType = ["xType", "x_type"]
    static let lastSeq = ["lastSeq", "last_seq"]
    static let closed = ["closed", "isClosed"]
    static let isPublic = ["isPublic", "is_public"]
    static let createdAt = ["createdAt", "created_at"]
    static let onDuty = ["onDuty", "onDutyUserIds", "on_duty"]
    static let memberUserId = ["userId", "id"]
    static let memberBypass = ["bypass"]

    static let postedId = ["messageId", "id"]
    static let postedSeq = ["seq"]

    // MARK: - Sending

    static let content: StaticString = "content"
    static let attachments: StaticString = "attachments"
    static let replyTo: StaticString = "replyToMessageId"
    static let sentAttachmentId: StaticString = "id"
    static let sentAttachmentURL: StaticString = "url"
    static let sentAttachmentName: StaticString = "name"
    static let sentAttachmentType: StaticString = "mimeType"
    static let sentAttachmentSize: StaticString = "size"

    // MARK: - Errors

    static let errorWords = ["message", "error", "detail", "reason"]
    static let errorCode = ["code", "error", "message"]
    static let errorStatus = ["statusCode", "status"]
    /// In lower case; one of them in an error's words says that it is about the key.
    static let credentialWords = ["api key", "apikey", "api_key", "credential", "access token"]
    /// In lower case; one of them in a refusal's words says that the user is no member.
    static let membershipWords = ["participant", "member"]

    // MARK: - Messages, the hot path

    /// What a member of a message object is.
    enum MessageField {
        case id, messageId, channelId, guildId, seq, content, createdAt, mentions, attachments, replyTo, xType, wakeup
        /// With its rank: where several are there, the highest counts.
        case author(UInt8)
        case authorName
        /// A wrapped message.
        case message
    }

    /// By length first, then by the whole name; nothing is allocated.
    @inline(__always)
    static func messageField(_ key: JSONView) -> MessageField? {
        switch key.rawBytes.count &- 2 {
        case 2: key.equals("id") ? .id : nil
        case 3: key.equals("seq") ? .seq : nil
        case 4: key.equals("text") ? .content : nil
        case 5: key.equals("xType") ? .xType : nil
        case 6: six(key)
        case 7: seven(key)
        case 8: eight(key)
        case 9: nine(key)
        case 10: ten(key)
        case 11: key.equals("attachments") ? .attachments : key.equals("guildNodeId") ? .guildId : nil
        case 12: key.equals("authorUserId") ? .author(6) : key.equals("senderUserId") ? .author(4) : nil
        case 14: key.equals("authorUsername") || key.equals("senderUsername") ? .authorName : nil
        case 16: key.equals("replyToMessageId") ? .replyTo : nil
        case 17: key.equals("authorDisplayName") || key.equals("senderDisplayName") ? .authorName : nil
        default: nil
        }
    }

    @inline(__always)
    private static func six(_ key: JSONView) -> MessageField? {
        if key.equals("wakeup") { return .wakeup }
        if key.equals("author") { return .author(2) }
        // Of all the likeliest to be somebody else's: the recipient's, say.
        if key.equals("userId") { return .author(1) }
        return key.equals("x_type") ? .xType : nil
    }

    @inline(__always)
    private static func seven(_ key: JSONView) -> MessageField? {
        if key.equals("content") { return .content }
        if key.equals("guildId") { return .guildId }
        if key.equals("replyTo") { return .replyTo }
        return key.equals("message") ? .message : nil
    }

    @inline(__always)
    private static func eight(_ key: JSONView) -> MessageField? {
        if key.equals("mentions") { return .mentions }
        if key.equals("authorId") { return .author(5) }
        return key.equals("senderId") ? .author(3) : nil
    }

    @inline(__always)
    private static func nine(_ key: JSONView) -> MessageField? {
        if key.equals("channelId") { return .channelId }
        if key.equals("messageId") { return .messageId }
        if key.equals("createdAt") { return .createdAt }
        return key.equals("replyToId") ? .replyTo : nil
    }

    @inline(__always)
    private static func ten(_ key: JSONView) -> MessageField? {
        if key.equals("created_at") { return .createdAt }
        if key.equals("channel_id") { return .channelId }
        return key.equals("authorName") || key.equals("senderName") ? .authorName : nil
    }

    // MARK: - Attachments

    enum AttachmentField { case url, id, name, mediaType, size }

    static func attachmentField(_ key: JSONView) -> AttachmentField? {
        if key.equals("url") || key.equals("href") || key.equals("downloadUrl") || key.equals("path") { return .url }
        if key.equals("id") || key.equals("fileId") { return .id }
        if key.equals("name") || key.equals("filename") || key.equals("fileName") || key.equals("originalName") {
            return .name
        }
        if key.equals("mimeType") || key.equals("mediaType") || key.equals("contentType") || key.equals("mimetype")
            || key.equals("type")
        {
            return .mediaType
        }
        return key.equals("size") || key.equals("bytes") || key.equals("sizeBytes") ? .size : nil
    }

    /// Where an object that stands for a message keeps its id.
    static func isMessageId(_ key: JSONView) -> Bool { key.equals("id") || key.equals("messageId") }

    /// Where an object in `mentions` or `author` keeps the user's id.
    static func isUserId(_ key: JSONView) -> Bool { key.equals("id") || key.equals("userId") }
    /// And what it calls the user.
    static func isUserName(_ key: JSONView) -> Bool {
        key.equals("name") || key.equals("displayName") || key.equals("username")
    }
}
