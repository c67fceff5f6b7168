import Foundation

/// Posting, history and downloads.
extension FabricSimulator {
    func post(
        _ request: Request, _ guild: String, user: String, channel: String, system: DeliveryTable.System?
    ) throws(World.Refusal) -> Response {
        let key = request.headers.first(name: "idempotency-key")
        let record = key.map { key in
            "\(guild) POST:/channels/\(channel)/messages \(switches.idempotencyPerUser ? user : "") \(key)"
        }
        // Looked up before anything else is checked, as the real guild does.
        if switches.idempotency, let record, let reply = world.idempotency[record] {
            counted.repeatedPosts += 1
            return .text(reply.body, status: reply.status)
        }
        let body = request.object
        guard let content = body["content"] as? String else {
            throw World.Refusal(400, "content must be a string")
        }
        try checkSpelling(body)
        let new = World.NewMessage(
            guild: guild, channel: channel, author: user, content: content,
            attachments: attachments(
                body["attachments"] ?? body["attachmentIds"] ?? body["fileIds"], guild: guild,
                areIds: body["attachments"] == nil),
            replyTo: ["replyTo", "replyToMessageId", "replyToId"].lazy.compactMap { body[$0] as? String }.first,
            idempotencyKey: key, system: system)
        let (result, emissions) = try world.post(new, listening: listeningUsers(channel), now: guildNow)
        let reply: [String: any Sendable]
        switch result {
        case .stored(let message):
            reply = world.posted(message)
        case .intercepted(let id):
            reply = ["messageId": id, "intercepted": true]
        }
        let text = JSONText.bytes(reply)
        if let record { world.idempotency[record] = World.StoredReply(status: switches.postStatus, body: text) }
        emit(emissions)
        return .text(text, status: switches.postStatus)
    }

    /// Where only one spelling is taken, the others are refused as the framework does it.
    private func checkSpelling(_ body: [String: Any]) throws(World.Refusal) {
        func check(_ keys: [String], only wanted: String) throws(World.Refusal) {
            guard wanted != "any" else { return }
            for key in keys where key != wanted && body[key] != nil {
                throw World.Refusal(400, "property \(key) should not exist")
            }
        }
        try check(Switches.ReplyKey.allCases.map(\.rawValue), only: switches.postedReply.rawValue)
        try check(Switches.PostedFiles.allCases.map(\.rawValue), only: switches.postedFiles.rawValue)
    }

    /// The attachments of a post: objects with a url or an id, or plain urls; known files bring their own particulars.
    private func attachments(_ value: Any?, guild: String, areIds: Bool) -> [SimulatedAttachment] {
        (value as? [Any] ?? []).compactMap { element in
            let element = areIds ? (element as? String).map { ["id": $0] } ?? element : element
            let object = element as? [String: Any] ?? [:]
            let id = ["id", "fileId"].lazy.compactMap { object[$0] as? String }.first
            guard let url = element as? String ?? object["url"] as? String ?? id.map({ "/api/files/\($0)" }) else {
                return nil
            }
            let known = url.hasPrefix("/api/files/") ? world.guilds[guild]?.files[String(url.dropFirst(11))]?.info : nil
            return SimulatedAttachment(
                url: url,
                name: ["name", "filename", "fileName"].lazy.compactMap { object[$0] as? String }.first ?? known?.name,
                mediaType: ["mimeType", "contentType", "mediaType", "type"].lazy
                    .compactMap { object[$0] as? String }.first ?? known?.mediaType,
                size: (object["size"] as? NSNumber)?.int64Value ?? known?.size)
        }
    }

    func history(_ request: Request, _ channel: World.Channel) -> Response {
        // 50 is our guess of a default; the real one is not known.
        let limit = request.query["limit"].flatMap(Int.init) ?? 50
        let keys =
            switch switches.historyKeys {
            case .seqFrom: ("seqFrom", "seqTo")
            case .fromSeq: ("fromSeq", "toSeq")
            case .from: ("from", "to")
            }
        let from = request.query[keys.0].flatMap(Int64.init)
        let to = request.query[keys.1].flatMap(Int64.init)
        let page = world.history(of: channel, from: from, to: to, limit: limit)
        let rows = page.map { world.wire($0) }
        switch switches.historyEnvelope {
        case .array: return .json(rows)
        case .items: return .json(world.strange(["items": rows, "total": channel.messages.count]))
        case .page:
            var paging: [String: any Sendable] = [
                "limit": min(limit, switches.historyMaximum), "count": rows.count, "lastSeq": channel.info.lastSeq,
            ]
            if let from { paging["seqFrom"] = from }
            if let to { paging["seqTo"] = to }
            return .json(world.strange(["page": world.strange(paging), "messages": rows]))
        }
    }

    /// Wants a bearer or `?access_token=`, both the guild's own.
    func download(_ request: Request, _ guild: String, id: String) throws(World.Refusal) -> Response {
        let token = request.bearer ?? request.query["access_token"]
        guard let token, introspect(token, guild: guild) != nil else { return unauthorized(request) }
        return try file(guild, id: id)
    }

    func file(_ guild: String, id: String) throws(World.Refusal) -> Response {
        guard let stored = world.guilds[guild]?.files[id] else { throw World.Refusal(404, "file not found") }
        if case .discarded = stored.content {
            throw World.Refusal(404, "file was counted and hashed, not kept (switch keepsUploadsUpTo)")
        }
        let name = stored.info.name.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "file"
        return Response(
            status: 200,
            headers: [
                ("Content-Type", Self.headerValue(stored.info.mediaType)),
                ("Content-Disposition", "attachment; filename*=UTF-8''\(name)"),
            ],
            body: .content(stored.content, size: stored.info.size))
    }

    /// What a client made up must not split the header.
    private static func headerValue(_ text: String) -> String {
        String(decoding: text.utf8.filter { $0 >= 0x20 && $0 < 0x7F }, as: UTF8.self)
    }
}
