import JSONBytes

/// A message to be posted.
public struct FabricOutgoingMessage: Sendable, Equatable {
    /// The text; Fabric has no limit on its length.
    public var content: String
    /// Files uploaded before.
    public var attachments: [FabricUploadedFile]
    /// Id of the message it answers.
    public var replyTo: String?

    public init(content: String, attachments: [FabricUploadedFile] = [], replyTo: String? = nil) {
        self.content = content
        self.attachments = attachments
        self.replyTo = replyTo
    }

    /// The ways to write it, likeliest first; a plain text has one.
    var bodies: [[UInt8]] {
        let single = FabricSpelling.replyTo.map { [$0] }
        let replies = replyTo == nil ? [[]] : [FabricSpelling.replyTo] + single
        let haveIds = !attachments.isEmpty && attachments.allSatisfy { $0.id != nil }
        let lists: [StaticString?] = [nil] + (haveIds ? FabricSpelling.attachmentIds.map { $0 } : [])
        return lists.flatMap { list in replies.map { json(replyKeys: $0, attachmentIds: list) } }
    }

    private func json(replyKeys: [StaticString], attachmentIds: StaticString?) -> [UInt8] {
        var body = JSONWriter(capacity: content.utf8.count + 64)
        body.beginObject()
        body.key(FabricSpelling.content)
        body.string(content)
        if let attachmentIds {
            body.key(attachmentIds)
            body.beginArray()
            for attachment in attachments { body.string(attachment.id ?? "") }
            body.endArray()
        } else if !attachments.isEmpty {
            body.key(FabricSpelling.attachments)
            body.beginArray()
            for attachment in attachments { attachment.write(&body) }
            body.endArray()
        }
        if let replyTo {
            for key in replyKeys {
                body.key(key)
                body.string(replyTo)
            }
        }
        body.endObject()
        return body.bytes
    }
}

/// A file the guild has taken.
public struct FabricUploadedFile: Sendable, Codable, Equatable {
    public var id: String?
    /// As the guild gave it, usually `/api/files/<id>`.
    public var url: String
    public var name: String?
    public var mediaType: String?
    /// Bytes.
    public var size: Int64?

    public init(id: String? = nil, url: String, name: String? = nil, mediaType: String? = nil, size: Int64? = nil) {
        self.id = id
        self.url = url
        self.name = name
        self.mediaType = mediaType
        self.size = size
    }

    func write(_ body: inout JSONWriter) {
        body.beginObject()
        if let id {
            body.key(FabricSpelling.sentAttachmentId)
            body.string(id)
        }
        body.key(FabricSpelling.sentAttachmentURL)
        body.string(url)
        if let name {
            body.key(FabricSpelling.sentAttachmentName)
            body.string(name)
        }
        if let mediaType {
            body.key(FabricSpelling.sentAttachmentType)
            body.string(mediaType)
        }
        if let size {
            body.key(FabricSpelling.sentAttachmentSize)
            body.int(size)
        }
        body.endObject()
    }
}

/// What the guild answered to a post.
public struct FabricPosted: Sendable, Equatable {
    /// Nil if the guild accepted the message without saying its id.
    public var messageId: String?
    /// Its position in the channel, if the guild said it.
    public var seq: Int64?

    public init(messageId: String?, seq: Int64? = nil) {
        self.messageId = messageId
        self.seq = seq
    }

    init(reading value: JSONValue) {
        let object = value.object(with: FabricSpelling.postedId)
        messageId = object?.text(FabricSpelling.postedId)
        seq = (object ?? value).whole(FabricSpelling.postedSeq)
    }
}
