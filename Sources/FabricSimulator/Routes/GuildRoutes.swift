/// The guild's routes but for messages and files.
extension FabricSimulator {
    func guild(_ request: Request, _ guild: String) -> Response {
        let segments = request.segments
        guard segments.first == "api", segments.count > 1 else {
            return request.path.hasPrefix("/socket.io")
                ? .json(["code": 0, "message": "Transport unknown"], status: 400) : .noRoute(request)
        }
        let route = Array(segments.dropFirst())
        do {
            if let response = try unguarded(request, guild, route) { return response }
            guard let user = authenticatedUser(request, guild: guild) else { return unauthorized(request) }
            switch (request.method, route.count, route[0]) {
            case ("GET", 1, "channels"):
                let wanted = request.query["guildId"]
                let rows = wanted == nil || wanted == guild ? world.visibleChannels(guild: guild, user: user) : []
                let shown = rows.filter { !activeFaults.unlisted.contains($0.id) }
                return list(shown.map(world.wire), request)
            case ("POST", 1, "channels"):
                return try createChannel(request, guild, user)
            case ("PATCH", 2, "messages"), ("PUT", 2, "messages"), ("DELETE", 2, "messages"):
                guard switches.messageRoutes == .flat, let channel = channel(holding: route[1]) else {
                    return .noRoute(request)
                }
                return try change(route[1], in: channel, request, user)
            case (_, 2, "canvases") where switches.canvasRoute == .flat:
                return try channelRoute(request, guild, user, id: route[1], rest: ["canvas"])
            case (_, 3, "channels") where route[2] == "canvas" && switches.canvasRoute == .flat:
                return .noRoute(request)
            case (_, 2..., "channels"):
                return try channelRoute(request, guild, user, id: route[1], rest: Array(route.dropFirst(2)))
            case ("GET", 1, "commands"):
                return .text(world.guilds[guild]?.commands ?? Array(#"{"commands":[]}"#.utf8))
            case ("GET", 3, "agents") where route[2] == "presence":
                let status = world.guilds[guild]?.presence[route[1]] ?? "unknown"
                return .json(["userId": route[1], "status": status])
            case ("PUT", 3, "agents") where route[2] == "presence":
                return try setPresence(request, guild, caller: user, user: route[1])
            default:
                return .noRoute(request)
            }
        } catch {
            return .refusal(error)
        }
    }

    /// Routes that do not want a bearer, or not only one.
    private func unguarded(_ request: Request, _ guild: String, _ route: [String]) throws(World.Refusal) -> Response? {
        let key = request.headers.first(name: "x-fabric-system-key")
        switch (request.method, route.count, route[0]) {
        case ("GET", 2, "files"):
            return try download(request, guild, id: route[1])
        case ("POST", 3, "channels") where route[2] == "messages" && key != nil:
            guard key == systemKey else { throw World.Refusal(401, "bad system key") }
            let wakes = request.object["wakeupUserId"] as? String
            return try post(request, guild, user: World.systemAuthor, channel: route[1], system: .init(wakes: wakes))
        case ("PUT", 1, "commands"):
            // The header's real name is not known; each likely one is accepted.
            let keys = ["x-fabric-system-key", "x-commands-sync-key", "x-fabric-commands-sync-key", "x-api-key"]
            let given = keys.compactMap { request.headers.first(name: $0) } + [request.bearer].compactMap { $0 }
            let wanted = switches.syncKeyHeader
            let isGood =
                wanted.isEmpty ? given.contains(systemKey) : request.headers.first(name: wanted) == systemKey
            guard isGood else { throw World.Refusal(403, "bad commands sync key") }
            let isArray = request.body.first { $0 > 0x20 } == UInt8(ascii: "[")
            guard switches.commandsEnvelope == .either || (switches.commandsEnvelope == .array) == isArray else {
                throw World.Refusal(400, "the catalogue must be \(switches.commandsEnvelope)")
            }
            let entries = request.object["commands"] as? [[String: Any]] ?? request.objects
            let key = switches.commandKey.rawValue
            guard switches.commandKey == .any || entries.allSatisfy({ $0[key] is String }) else {
                throw World.Refusal(400, "\(key) must be a string")
            }
            world.guilds[guild]?.commands = request.body
            changed()
            return .text(request.body)
        default: return nil
        }
    }

    /// The channel list, whole or the piece that is asked for.
    private func list(_ rows: [[String: any Sendable]], _ request: Request) -> Response {
        let size = min(max(1, switches.listPageSize), 100_000)
        func number(_ key: String) -> Int? {
            request.query[key].flatMap { Int($0) }.map { max(0, min($0, rows.count)) }
        }
        let start: Int
        switch switches.listPaging {
        case .none: return .json(rows)
        case .cursor: start = number("cursor") ?? 0
        case .offset: start = number("offset") ?? 0
        case .page, .link: start = min(rows.count, (max(1, number("page") ?? 1) - 1) * size)
        }
        let end = min(rows.count, start + size)
        let piece = Array(rows[start..<end])
        let page = start / size + 1
        var object: [String: any Sendable] = ["items": piece, "limit": size, "total": rows.count]
        switch switches.listPaging {
        case .cursor: object = ["items": piece, "nextCursor": end < rows.count ? String(end) : JSONText.null]
        case .page: object["page"] = page
        case .offset: object["offset"] = start
        case .link, .none:
            var response = Response.json(piece)
            let target = "\(request.path)?page=\(page + 1)"
            if end < rows.count { response.headers.append(("Link", "<\(target)>; rel=\"next\"")) }
            return response
        }
        return .json(object)
    }

    private func createChannel(_ request: Request, _ guild: String, _ user: String) throws(World.Refusal) -> Response {
        let body = request.object
        guard let type = (body["xType"] as? String).flatMap(ChannelType.init) else {
            throw World.Refusal(400, "xType must be one of \(ChannelType.allCases.map(\.rawValue))")
        }
        guard let name = body["name"] as? String, !name.isEmpty, name.count <= 120 else {
            throw World.Refusal(400, "name must be a string of 1 to 120 characters")
        }
        func list(_ key: String) -> [String] {
            (body[key] as? [String]) ?? (body[key] as? String).map { [$0] } ?? []
        }
        if let onDuty = body["onDuty"], switches.onDutyForm != .either {
            guard (switches.onDutyForm == .single) == (onDuty is String) else {
                throw World.Refusal(400, "onDuty must be \(switches.onDutyForm)")
            }
        }
        let (channel, emissions) = try world.addChannel(
            World.NewChannel(
                guild: guild, name: name, type: type, creator: user, members: list("memberUserIds"),
                isPublic: body["isPublic"] as? Bool ?? false, bypass: list("bypassUserIds"), onDuty: list("onDuty"),
                listeners: list("listeners"), purpose: body["purpose"] as? String),
            now: guildNow)
        emit(emissions)
        return .json(world.wire(channel), status: switches.postStatus)
    }

    private func channel(holding message: String) -> String? {
        world.channels.first { $0.value.messages.contains { $0.id == message } }?.key
    }
}
