import JSONBytes

/// Every key and path of the wire that is not certain (Documentation/Fabric.md says which), and the certain ones beside
/// them. One correction is one edit here. Lists are in order of preference: the first that is there counts.
enum FabricSpelling {
    // MARK: - Center

    static let loginPath = "/auth/agent/login"
    static let apiKey: StaticString = "apiKey"
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
    /// The ends of a range, both included, likeliest first.
    static let historyRanges = [("seqFrom", "seqTo"), ("fromSeq", "toSeq"), ("from", "to")]
    static let historyLimit = "limit"
    /// The most that clients are known to ask for; the server's own limit is unknown.
    static let historyMaximum = 200
    static let filesPath = "/files"
    /// Below it are the files, behind the endpoint.
    static let filesRoot = "/api/files/"
    static func filePath(_ id: String) -> String { filesRoot + id }
    /// The part of an upload that is the file, likeliest first.
    static let fileParts = ["file", "files", "attachment", "upload"]
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
    /// All go together; where the guild takes no unknown ones, each is tried.
    static let replyTo: [StaticString] = ["replyToMessageId", "replyTo", "replyToId"]
    /// Lists of ids, where the guild does not take attachments as objects.
    static let attachmentIds: [StaticString] = ["attachmentIds", "fileIds"]
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
    /// In lower case; how a guild refuses who comes without its token. Center asks for none at the login.
    static let guardWords = ["missing bearer"]
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
        guard key.isPlain else { return escapedField(key) }
        return messageField(key.rawBytes.count &- 2) { key.equals(plain: $0) }
    }

    /// A name with an escape in it is longer than what it says.
    @inline(never)
    private static func escapedField(_ key: JSONView) -> MessageField? {
        messageField(key.string?.utf8.count ?? 0) { key.equals($0) }
    }

    @inline(__always)
    private static func messageField(_ length: Int, _ isNamed: (StaticString) -> Bool) -> MessageField? {
        switch length {
        case 2: isNamed("id") ? .id : nil
        case 3: isNamed("seq") ? .seq : nil
        case 4: isNamed("text") ? .content : nil
        case 5: isNamed("xType") ? .xType : nil
        case 6: six(isNamed)
        case 7: seven(isNamed)
        case 8: eight(isNamed)
        case 9: nine(isNamed)
        case 10: ten(isNamed)
        case 11: isNamed("attachments") ? .attachments : isNamed("guildNodeId") ? .guildId : nil
        case 12: isNamed("authorUserId") ? .author(6) : isNamed("senderUserId") ? .author(4) : nil
        case 14: isNamed("authorUsername") || isNamed("senderUsername") ? .authorName : nil
        case 16: isNamed("replyToMessageId") ? .replyTo : nil
        case 17: isNamed("authorDisplayName") || isNamed("senderDisplayName") ? .authorName : nil
        default: nil
        }
    }

    @inline(__always)
    private static func six(_ isNamed: (StaticString) -> Bool) -> MessageField? {
        if isNamed("wakeup") { return .wakeup }
        if isNamed("author") { return .author(2) }
        // Of all the likeliest to be somebody else's: the recipient's, say.
        if isNamed("userId") { return .author(1) }
        return isNamed("x_type") ? .xType : nil
    }

    @inline(__always)
    private static func seven(_ isNamed: (StaticString) -> Bool) -> MessageField? {
        if isNamed("content") { return .content }
        if isNamed("guildId") { return .guildId }
        if isNamed("replyTo") { return .replyTo }
        return isNamed("message") ? .message : nil
    }

    @inline(__always)
    private static func eight(_ isNamed: (StaticString) -> Bool) -> MessageField? {
        if isNamed("mentions") { return .mentions }
        if isNamed("authorId") { return .author(5) }
        return isNamed("senderId") ? .author(3) : nil
    }

    @inline(__always)
    private static func nine(_ isNamed: (StaticString) -> Bool) -> MessageField? {
        if isNamed("channelId") { return .channelId }
        if isNamed("messageId") { return .messageId }
        if isNamed("createdAt") { return .createdAt }
        return isNamed("replyToId") ? .replyTo : nil
    }

    @inline(__always)
    private static func ten(_ isNamed: (StaticString) -> Bool) -> MessageField? {
        if isNamed("created_at") { return .createdAt }
        if isNamed("channel_id") { return .channelId }
        return isNamed("authorName") || isNamed("senderName") ? .authorName : nil
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
