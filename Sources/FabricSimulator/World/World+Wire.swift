extension World {
    /// A channel as lists show it.
    func wire(_ channel: SimulatedChannel) -> [String: any Sendable] {
        [
            "id": channel.id, "guildId": channel.guild, "name": channel.name, "xType": channel.type.rawValue,
            "kind": "text", "purpose": channel.purpose ?? JSONText.null, "isPublic": channel.isPublic,
            "closed": channel.closed, "lastSeq": channel.lastSeq, "createdAt": channel.createdAt,
        ]
    }

    /// Message object; key spellings by the switches. History rows have no `xType` and no `wakeup`.
    func wire(_ message: SimulatedMessage) -> [String: any Sendable] {
        var object: [String: any Sendable] = [
            "channelId": message.channel, "guildId": message.guild, "seq": message.seq, "content": message.content,
            "createdAt": message.createdAt, "mentions": message.mentions,
            "attachments": message.attachments.map(wire), "replyTo": message.replyTo ?? JSONText.null,
        ]
        if switches.idKey != .messageId { object["id"] = message.id }
        if switches.idKey != .id { object["messageId"] = message.id }
        if switches.authorKey == .author {
            object["author"] = ["id": message.author, "name": users[message.author]?.name ?? "system"]
        } else {
            object[switches.authorKey.rawValue] = message.author
        }
        return object
    }

    func wire(_ attachment: SimulatedAttachment) -> [String: any Sendable] {
        var object: [String: any Sendable] = ["url": attachment.url]
        let plain = switches.attachmentKeys == .plain
        if let name = attachment.name { object[plain ? "name" : "filename"] = name }
        if let type = attachment.mediaType { object[plain ? "mimeType" : "contentType"] = type }
        if let size = attachment.size { object[plain ? "size" : "bytes"] = size }
        return object
    }

    func wire(_ file: SimulatedFile) -> [String: any Sendable] {
        var object = wire(file.attachment)
        object["id"] = file.id
        return object
    }

    func wire(_ canvas: Canvas) -> [String: any Sendable] {
        [
            "title": canvas.title ?? JSONText.null, "format": canvas.format, "content": canvas.content,
            "version": canvas.version, "sharedByUserId": canvas.sharer,
        ]
    }

    /// The object of `message.created` but for `wakeup`.
    func wireEvent(_ message: SimulatedMessage, type: ChannelType, omitsSeq: Bool) -> [String: any Sendable] {
        var object = wire(message)
        object["xType"] = type.rawValue
        if omitsSeq { object["seq"] = nil }
        return object
    }
}
