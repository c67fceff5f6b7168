extension World {
    /// A channel as lists show it.
    func wire(_ channel: SimulatedChannel) -> [String: any Sendable] {
        var object: [String: any Sendable] = [
            "id": channel.id, "guildId": channel.guild, "name": channel.name, "xType": channel.type.rawValue,
            "kind": "text", "purpose": channel.purpose ?? JSONText.null, "isPublic": channel.isPublic,
            "closed": channel.closed, "lastSeq": channel.lastSeq, "createdAt": channel.createdAt,
        ]
        if channel.type == .triage, let duty = channels[channel.id]?.wakeMapping.sorted() {
            switch switches.listedDuty {
            case .none: break
            case .onDuty, .onDutyUserIds: object[switches.listedDuty.rawValue] = duty
            case .single: object["onDuty"] = duty.first ?? JSONText.null
            }
        }
        return strange(object)
    }

    /// With a field that no client knows, if so switched.
    func strange(_ object: [String: any Sendable]) -> [String: any Sendable] {
        switches.unknownFields ? object.merging(["xUnheardOf": 7]) { $1 } : object
    }

    /// Message object; key spellings by the switches. History rows have no `xType` and no `wakeup`.
    func wire(_ message: SimulatedMessage) -> [String: any Sendable] {
        var object: [String: any Sendable] = [
            "channelId": message.channel, "guildId": message.guild, "seq": message.seq, "content": message.content,
            "createdAt": message.createdAt,
            "attachments": message.attachments.map(wire), "replyTo": replyTo(message),
        ]
        switch switches.mentionsForm {
        case .ids: object["mentions"] = message.mentions
        case .objects: object["mentions"] = message.mentions.map { ["id": $0] }
        case .omitted: break
        }
        if let time = message.editedAt { object["editedAt"] = time }
        if let time = message.deletedAt { object["deletedAt"] = time }
        if switches.idKey != .messageId { object["id"] = message.id }
        if switches.idKey != .id { object["messageId"] = message.id }
        if switches.authorKey == .author {
            object["author"] = ["id": message.author, "name": users[message.author]?.name ?? "system"]
        } else {
            object[switches.authorKey.rawValue] = message.author
        }
        return strange(object)
    }

    private func replyTo(_ message: SimulatedMessage) -> any Sendable {
        guard let id = message.replyTo else { return JSONText.null }
        return switches.replyAsObject ? ["id": id, "content": "what it answers"] : id
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

    /// What an upload is answered.
    func uploaded(_ file: SimulatedFile) -> any Sendable {
        switch switches.uploadAnswer {
        case .whole: wire(file)
        case .url: ["url": file.url]
        case .id: ["id": file.id]
        case .fileId: ["fileId": file.id]
        case .wrapped: ["file": wire(file)] as [String: any Sendable]
        case .list: [wire(file)]
        }
    }

    /// What a post is answered.
    func posted(_ message: SimulatedMessage) -> [String: any Sendable] {
        var row = wire(message)
        row["messageId"] = message.id
        switch switches.postAnswer {
        // A post's answer has this key, whatever the id key of rows is.
        case .whole: return row
        case .messageId: return ["messageId": message.id, "seq": message.seq]
        case .id: return ["id": message.id, "seq": message.seq]
        case .wrapped: return ["message": row]
        }
    }

    func wire(_ canvas: Canvas) -> [String: any Sendable] {
        strange([
            "title": canvas.title ?? JSONText.null, switches.canvasKeys.format: canvas.format,
            switches.canvasKeys.content: canvas.content, "version": canvas.version, "sharedByUserId": canvas.sharer,
        ])
    }

    /// The object of `message.created` but for `wakeup`.
    func wireEvent(_ message: SimulatedMessage, type: ChannelType, omitsSeq: Bool) -> [String: any Sendable] {
        var object = wire(message)
        object["xType"] = type.rawValue
        if omitsSeq { object["seq"] = nil }
        return object
    }
}
