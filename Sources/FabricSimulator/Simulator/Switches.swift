/// The points of Fabric's wire that are not certain (Documentation/Fabric.md), each as a switch. The defaults are the
/// likeliest reading.
///
/// On the control route the keys are the property names; durations are seconds.
public struct Switches: Sendable, Codable, Equatable {
    /// What happens to a socket whose CONNECT carried a bad or expired token.
    public enum RejectMode: String, Sendable, Codable {
        /// Acknowledged, then ignored for ever.
        case silent
        /// Acknowledged, then `41/realtime,`.
        case disconnectPacket
        /// Not acknowledged: `44/realtime,{"message":"unauthorized"}`.
        case connectError
        /// Acknowledged, then the connection is closed.
        case close
    }

    public enum TokenForm: String, Sendable, Codable { case jwt, opaque }

    public enum HistoryEnvelope: String, Sendable, Codable {
        /// `[…]`
        case array
        /// `{"page":{…},"messages":[…]}`
        case page
        /// `{"items":[…],"total":n}`
        case items
    }

    /// How the channel list comes in pieces.
    public enum ListPaging: String, Sendable, Codable, CaseIterable {
        /// At once, a mere array.
        case none
        /// `{"items":[…],"nextCursor":"…"}`, asked on with `cursor`
        case cursor
        /// `{"items":[…],"page":1,"limit":n,"total":n}`, asked on with `page`
        case page
        /// `{"items":[…],"offset":0,"limit":n,"total":n}`, asked on with `offset`
        case offset
        /// A mere array with a `Link` header, asked on with `page`
        case link
    }

    public enum IDKey: String, Sendable, Codable { case id, messageId, both }

    /// Under which key the author stands; `author` is the object form, `{"author":{"id":…}}`.
    public enum AuthorKey: String, Sendable, Codable { case authorUserId, authorId, senderUserId, userId, author }

    /// `plain` is `url, name, mimeType, size`; `other` is `url, filename, contentType, bytes`.
    public enum AttachmentKeys: String, Sendable, Codable { case plain, other }

    /// Where a message of one's own is edited and deleted.
    public enum MessageRoutes: String, Sendable, Codable, CaseIterable {
        /// `/channels/:id/messages/:id`
        case nested
        /// `/messages/:id`
        case flat
    }

    public enum EditMethod: String, Sendable, Codable, CaseIterable { case patch, put }

    /// How the body of a bypass names the member; the last is a list.
    public enum BypassKey: String, Sendable, Codable, CaseIterable { case userId, memberUserId, targetUserId, userIds }

    /// How a new channel names who is on duty.
    public enum OnDutyForm: String, Sendable, Codable, CaseIterable { case either, list, single }

    /// The keys of a canvas: what it is, what it holds.
    public enum CanvasKeys: String, Sendable, Codable, CaseIterable {
        case formatContent, typeContent, contentTypeContent, formatBody

        var format: String {
            switch self {
            case .formatContent, .formatBody: "format"
            case .typeContent: "type"
            case .contentTypeContent: "contentType"
            }
        }
        var content: String { self == .formatBody ? "body" : "content" }
    }

    /// How the catalogue of slash commands lies in the body: `{"commands":[…]}` or `[…]`.
    public enum CommandsEnvelope: String, Sendable, Codable, CaseIterable { case either, object, array }

    /// Where the canvas is: `/channels/:id/canvas` or `/canvases/:id`.
    public enum CanvasRoute: String, Sendable, Codable, CaseIterable { case nested, flat }

    /// How the body of an upload's answer looks: `{"id", "url", …}`, one of the two only, in an envelope, in a list.
    public enum UploadAnswer: String, Sendable, Codable, CaseIterable { case whole, url, id, fileId, wrapped, list }

    /// What a post is answered: the row with `messageId`, that and `seq` only, `id` and `seq`, or `{"message":{…}}`.
    public enum PostAnswer: String, Sendable, Codable, CaseIterable { case whole, messageId, id, wrapped }

    /// How history is asked for a range; other keys are ignored, and the oldest messages given.
    public enum HistoryKeys: String, Sendable, Codable, CaseIterable { case seqFrom, fromSeq, from }

    /// The key by which a post says what it answers; a strict one refuses the others (400), `any` takes all.
    public enum ReplyKey: String, Sendable, Codable, CaseIterable { case any, replyToMessageId, replyTo, replyToId }

    /// How a post names its files; a strict form refuses the others (400).
    public enum PostedFiles: String, Sendable, Codable, CaseIterable { case any, attachments, attachmentIds, fileIds }

    /// Under which key an entry of the catalogue has its name.
    public enum CommandKey: String, Sendable, Codable, CaseIterable { case any, name, command }

    /// `mentions` of a message: ids, objects with an `id`, or left out.
    public enum MentionsForm: String, Sendable, Codable, CaseIterable { case ids, objects, omitted }

    /// Whether channel lists say who is on duty, and how.
    public enum ListedDuty: String, Sendable, Codable, CaseIterable { case none, onDuty, onDutyUserIds, single }

    /// What history shows of a deleted message.
    public enum DeletedRows: String, Sendable, Codable, CaseIterable { case blank, omitted }

    /// What the events of changed messages carry.
    public enum ChangeEvents: String, Sendable, Codable, CaseIterable {
        /// The message's own fields at the top.
        case flat
        /// `{"channelId", "message": {…}}`
        case wrapped
        /// Only ids.
        case ids
    }

    /// Seconds a guild token lives; 900 at the real one.
    public var tokenLifetime: Double = 900
    /// Seconds a Center access token lives; the real number is not known.
    public var centerTokenLifetime: Double = 3600
    public var tokenForm: TokenForm = .jwt
    /// Whether session objects state `expiresIn`, the guild tokens' lifetime in seconds.
    public var statesLifetime = false
    /// Whether a guild can check no token while the Center is stopped (503, and CONNECTs are rejected).
    public var guildNeedsCenter = false
    public var rejectMode: RejectMode = .silent
    /// Whether a live socket is closed when the token it connected with expires.
    public var cutAtExpiry = false
    /// Whether the author's own sockets get the message too (`wakeup: false`).
    public var authorEcho = true
    /// Whether `idempotency-key` is looked at.
    public var idempotency = true
    /// Whether an idempotency key is bound to the user who sent it.
    public var idempotencyPerUser = false
    public var listPaging: ListPaging = .none
    /// Channels on one page of the list, at least 1.
    public var listPageSize = 50
    public var historyEnvelope: HistoryEnvelope = .page
    /// The server's own limit on one page of history.
    public var historyMaximum = 200
    /// Whether history comes newest first.
    public var historyDescending = false
    public var idKey: IDKey = .id
    public var authorKey: AuthorKey = .authorUserId
    public var attachmentKeys: AttachmentKeys = .plain
    /// Status of a successful POST (NestJS says 201).
    public var postStatus = 201
    /// The first sequence number of a channel created from now on.
    public var firstSeq: Int64 = 1
    /// Whether `join_channel` and `leave_channel` are acknowledged when the client asks for it.
    public var acknowledgesJoin = true
    /// Whether `channel.joined` and `channel.left` are sent (older guilds never did).
    public var emitsMembership = true
    /// Largest upload in bytes; 100 MB is the real default.
    public var uploadLimit: Int64 = 100_000_000
    /// Uploads up to this many bytes are kept on disk and can be downloaded; larger ones are only counted and hashed.
    public var keepsUploadsUpTo: Int64 = 100_000_000
    /// Seconds between server pings; 25 at the real one.
    public var pingInterval: Double = 25
    /// Seconds the server waits for a pong (20 is socket.io's default).
    public var pingTimeout: Double = 20

    /// Seconds by which the guilds' clocks are ahead of this machine's; negative: behind. Center's is right.
    public var guildClock: Double = 0
    /// Whether answers have a `Date` header.
    public var sendsDate = true

    public var messageRoutes: MessageRoutes = .nested
    public var editMethod: EditMethod = .patch
    /// Seconds within which a message may be edited.
    public var editWindow: Double = 900
    public var bypassKey: BypassKey = .userId
    public var onDutyForm: OnDutyForm = .either
    public var canvasKeys: CanvasKeys = .formatContent
    /// The header that PUT /commands wants the key in; empty: each likely one.
    public var syncKeyHeader = ""
    public var commandsEnvelope: CommandsEnvelope = .either
    /// Status for who is not a member of a channel.
    public var notMemberStatus = 403
    public var deletedRows: DeletedRows = .blank
    public var changeEvents: ChangeEvents = .flat
    /// Whether a changed presence is told to the sockets of the guild, and under which name.
    public var emitsPresence = false
    public var presenceEvent = "presence.updated"
    public var typingEvent = "typing"
    /// Whether `replyTo` of a message is an object with an `id`.
    public var replyAsObject = false
    public var canvasRoute: CanvasRoute = .nested
    /// The name of the part that is the file; empty: any.
    public var uploadPart = ""
    public var uploadAnswer: UploadAnswer = .whole
    public var postAnswer: PostAnswer = .whole
    public var historyKeys: HistoryKeys = .seqFrom
    public var postedReply: ReplyKey = .any
    public var postedFiles: PostedFiles = .any
    public var commandKey: CommandKey = .any
    public var mentionsForm: MentionsForm = .ids
    public var listedDuty: ListedDuty = .none
    /// Fields nobody knows, in channels, members, messages and canvases.
    public var unknownFields = false

    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
        case tokenLifetime, centerTokenLifetime, tokenForm, statesLifetime, guildNeedsCenter, rejectMode
        case cutAtExpiry, authorEcho, idempotency, idempotencyPerUser, listPaging, listPageSize
        case historyEnvelope, historyMaximum
        case historyDescending, idKey, authorKey, attachmentKeys, postStatus, firstSeq, acknowledgesJoin,
            emitsMembership, uploadLimit, keepsUploadsUpTo
        case pingInterval, pingTimeout, guildClock, sendsDate
        case messageRoutes, editMethod, editWindow, bypassKey, onDutyForm, canvasKeys, syncKeyHeader, commandsEnvelope
        case notMemberStatus, deletedRows, changeEvents, emitsPresence, presenceEvent, typingEvent, replyAsObject
        case unknownFields
        case canvasRoute, uploadPart, uploadAnswer, postAnswer, historyKeys, postedReply, postedFiles, commandKey
        case mentionsForm, listedDuty
    }
}
