import FabricAPI
import FabricTools
import JSONBytes

/// Tools that look at guilds, channels and what was said.
extension Account {
    func listGuilds(_ call: ToolCall) async throws -> JSONValue {
        let session = try await environment.sessions.session(for: id)
        let wanted = call.arguments
        let rows = session.fabric.guilds.filter {
            Self.holds($0.name ?? $0.nodeId, wanted.text("nameFilter"))
                && Self.holds($0.purpose ?? "", wanted.text("purposeFilter"))
        }
        return [
            "count": .int(Int64(rows.count)),
            "guilds": .array(
                rows.map { info in
                    let isReady = inbox.number(of: info.nodeId).map { inbox.phase($0) == .ready } ?? false
                    return [
                        "guildNodeId": .string(info.nodeId), "name": text(info.name), "purpose": text(info.purpose),
                        "status": text(info.status), "endpoint": .string(info.endpoint), "connected": .bool(isReady),
                    ]
                }),
        ]
    }

    func listChannels(_ call: ToolCall) async throws -> JSONValue {
        let guild = try await guild(of: call)
        let rows = try await withGuildToken(guild.nodeId) { try await guild.guild.channelRows(token: $0) }
        let type = call.arguments.text("xType")
        let closedToo = call.arguments.truth("includeClosed") ?? false
        let chosen = rows.filter { row in
            (closedToo || !row.info.closed) && (type == nil || row.info.xType.rawValue == type)
                && Self.holds(row.info.name ?? "", call.arguments.text("nameFilter"))
        }
        return [
            "count": .int(Int64(chosen.count)), "guildNodeId": .string(guild.nodeId),
            "channels": .array(chosen.map(Self.row)),
        ]
    }

    func showChannel(_ call: ToolCall) async throws -> JSONValue {
        let place = try await place(of: call)
        let row = try await row(of: place)
        let members = try await withGuildToken(place.guild.nodeId) {
            try await place.guild.guild.memberRows(channel: place.channel, token: $0)
        }
        return [
            "guildNodeId": .string(place.guild.nodeId), "channel": Self.row(row), "members": .array(members),
        ]
    }

    /// What the guild's list says of a channel.
    func row(of place: ToolPlace) async throws -> FabricGuild.ChannelRow {
        let rows = try await withGuildToken(place.guild.nodeId) {
            try await place.guild.guild.channelRows(token: $0)
        }
        guard let row = rows.first(where: { $0.info.id == place.channel }) else {
            throw ToolFailure(
                .notFound,
                "guild \(place.guild.nodeId) shows the account no channel \(place.channel): there is none, or it is "
                    + "private and the account is not a member; fabric-channel-list lists those it sees",
                argument: "channelId")
        }
        return row
    }

    func readMessages(_ call: ToolCall) async throws -> JSONValue {
        let place = try await place(of: call)
        let limit = call.arguments.whole("limit") ?? 20
        var (from, to) = (call.arguments.whole("seqFrom"), call.arguments.whole("seqTo"))
        if let from, let to, from > to {
            throw ToolFailure(
                .invalidArgument, "fabric-message-history: \"seqFrom\" is \(from), beyond \"seqTo\", which is \(to)",
                argument: "seqFrom")
        }
        if from == nil {
            // The newest: without a lower bound a guild may give the oldest.
            var end = to
            if end == nil { end = try await row(of: place).info.lastSeq }
            if let end {
                from = max(0, end &- limit &+ 1)
                to = end
            }
        }
        let (lower, upper) = (from, to)
        let page = try await withGuildToken(place.guild.nodeId) { token in
            try await place.guild.guild.history(
                channel: place.channel, from: lower, to: upper, limit: Int(limit), token: token)
        }
        var range: [String: JSONValue] = ["limit": .int(limit)]
        range["seqFrom"] = from.map { .int($0) }
        range["seqTo"] = to.map { .int($0) }
        let own: [String: JSONValue] = [
            "guildNodeId": .string(place.guild.nodeId), "channelId": .string(place.channel),
            "page": .object((page.rest["page"]?.object ?? [:]).merging(range) { $1 }),
            "messages": .array(page.messages.map { Self.message($0, of: place.guild.guild) }),
        ]
        return .object(page.rest.merging(own) { $1 })
    }

    func showPresence(_ call: ToolCall) async throws -> JSONValue {
        let guild = try await guild(of: call)
        let users = call.arguments.ids("userIds")
        guard users.count <= 50 else {
            throw ToolFailure(
                .invalidArgument, "fabric-presence: \"userIds\" holds \(users.count) users; ask for at most 50 at once",
                argument: "userIds")
        }
        var rows: [JSONValue] = []
        for user in users {
            let answer = try await withGuildToken(guild.nodeId) {
                try await guild.guild.presence(of: user, token: $0)
            }
            rows.append(answer.with(["userId": .string(user), "status": answer["status"] ?? "unknown"]))
        }
        return ["guildNodeId": .string(guild.nodeId), "presence": .array(rows)]
    }

    // MARK: Rows

    /// A channel with the names this module uses, and all else that the guild said.
    static func row(_ row: FabricGuild.ChannelRow) -> JSONValue {
        var fields: [String: JSONValue] = [
            "id": .string(row.info.id), "xType": row.json["xType"] ?? .string(row.info.xType.rawValue),
            "closed": .bool(row.info.closed), "isPublic": .bool(row.info.isPublic),
        ]
        fields["name"] = row.info.name.map { .string($0) }
        fields["purpose"] = row.info.purpose.map { .string($0) }
        fields["lastSeq"] = row.info.lastSeq.map { .int($0) }
        return row.json.with(fields)
    }

    /// A message of history: its fields under the names of a delivery, and all else that the guild said.
    private static func message(_ row: FabricHistory.Row, of guild: FabricGuild) -> JSONValue {
        let json = (try? JSONValue(parsing: row.json)) ?? [:]
        let fields = row.withMessage { view -> [String: JSONValue] in
            var fields: [String: JSONValue] = ["messageId": .string(row.id)]
            fields["seq"] = row.seq.map { .int($0) }
            fields["authorUserId"] = view.author?.string.map { .string($0) }
            fields["content"] = view.content?.string.map { .string($0) }
            let files = FabricAttachment.read(view.attachments)
            if !files.isEmpty {
                fields["attachments"] = .array(
                    files.map { file in
                        var object: [String: JSONValue] = ["fileId": .string(file.url)]
                        object["name"] = file.name.map { .string($0) }
                        object["mediaType"] = file.mediaType.map { .string($0) }
                        object["size"] = file.size.map { .int($0) }
                        return .object(object)
                    })
            }
            return fields
        }
        return json.with((fields ?? nil) ?? [:])
    }

    private static func holds(_ text: String, _ filter: String?) -> Bool {
        guard let filter, !filter.isEmpty else { return true }
        return text.lowercased().contains(filter.lowercased())
    }

    func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
}
