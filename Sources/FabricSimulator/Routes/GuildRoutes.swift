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
            case (_, 2..., "channels"):
                return try channelRoute(request, guild, user, id: route[1], rest: Array(route.dropFirst(2)))
            case ("GET", 1, "commands"):
                return .text(world.guilds[guild]?.commands ?? Array(#"{"commands":[]}"#.utf8))
            case ("GET", 3, "agents") where route[2] == "presence":
                let status = world.guilds[guild]?.presence[route[1]] ?? "unknown"
                return .json(["userId": route[1], "status": status])
            case ("PUT", 3, "agents") where route[2] == "presence":
                return try setPresence(request, guild, user: route[1])
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
            guard given.contains(systemKey) else { throw World.Refusal(403, "bad commands sync key") }
            world.guilds[guild]?.commands = request.body
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
        let (channel, emissions) = try world.addChannel(
            World.NewChannel(
                guild: guild, name: name, type: type, creator: user, members: list("memberUserIds"),
                isPublic: body["isPublic"] as? Bool ?? false, bypass: list("bypassUserIds"), onDuty: list("onDuty"),
                listeners: list("listeners"), purpose: body["purpose"] as? String),
            now: guildNow)
        emit(emissions)
        return .json(world.wire(channel), status: switches.postStatus)
    }

    private func channelRoute(
        _ request: Request, _ guild: String, _ user: String, id: String, rest: [String]
    ) throws(World.Refusal) -> Response {
        let channel = try world.channel(id, in: guild)
        let reads = world.mayRead(channel.info, user: user)
        switch (request.method, rest) {
        case ("POST", ["join"]):
            // Joining a private channel needs an invitation; only members may repeat it.
            guard reads else { throw .notParticipant }
            emit(world.join(id, user: user))
            return .json(["ok": true, "channelId": id], status: switches.postStatus)
        case ("POST", ["leave"]):
            emit(world.leave(id, user: user))
            return .json(["ok": true, "channelId": id], status: switches.postStatus)
        default: break
        }
        guard reads else { throw .notParticipant }
        switch (request.method, rest) {
        case ("GET", []): return .json(world.wire(channel.info))
        case ("PATCH", []):
            guard let purpose = request.object["purpose"] as? String else {
                throw World.Refusal(400, "purpose must be a string")
            }
            world.channels[id]?.info.purpose = purpose.isEmpty ? nil : purpose
            return .json(world.channels[id].map { world.wire($0.info) } ?? [:])
        case ("POST", ["close"]):
            world.channels[id]?.info.closed = true
            changed()
            return .json(world.channels[id].map { world.wire($0.info) } ?? [:], status: switches.postStatus)
        case ("GET", ["members"]):
            let bypass = channel.turns.bypass
            return .json(channel.info.members.map { ["userId": $0, "bypass": bypass.contains($0)] as [String: Any] })
        case ("POST", ["bypass"]):
            guard let member = request.object["userId"] as? String else {
                throw World.Refusal(400, "userId must be a string")
            }
            world.channels[id]?.turns.moveToBypass(member)
            return .json(["ok": true], status: switches.postStatus)
        case ("GET", ["messages"]): return history(request, channel)
        case ("POST", ["messages"]): return try post(request, guild, user: user, channel: id, system: nil)
        case (_, ["canvas"]): return try canvas(request, guild, user, channel)
        default: return .noRoute(request)
        }
    }

    private func setPresence(_ request: Request, _ guild: String, user: String) throws(World.Refusal) -> Response {
        let known = ["idle", "on_call", "busy", "exhausted", "offline", "unknown"]
        guard let status = request.object["status"] as? String, known.contains(status) else {
            throw World.Refusal(400, "status must be one of \(known)")
        }
        world.guilds[guild]?.presence[user] = status
        changed()
        return .json(["userId": user, "status": status])
    }

    private func canvas(
        _ request: Request, _ guild: String, _ user: String, _ channel: World.Channel
    ) throws(World.Refusal) -> Response {
        let id = channel.info.id
        let body = request.object
        let event: String
        switch request.method {
        case "GET":
            // A channel without one answers 200 with nothing in it.
            return channel.canvas.map { .json(world.wire($0)) } ?? Response(status: 200)
        case "PUT":
            guard let content = body["content"] as? String, let format = body["format"] as? String,
                ["md", "html", "text"].contains(format)
            else { throw World.Refusal(400, "content and format (md, html, text) are required") }
            world.channels[id]?.canvas = World.Canvas(
                sharer: user, title: body["title"] as? String, format: format, content: content, version: 1)
            event = "canvas.updated"
        case "PATCH", "DELETE":
            guard var canvas = channel.canvas else { throw World.Refusal(404, "no canvas") }
            guard canvas.sharer == user else { throw World.Refusal(403, "only the sharer may do this") }
            if request.method == "DELETE" {
                world.channels[id]?.canvas = nil
                event = "canvas.removed"
            } else {
                canvas.title = body["title"] as? String ?? canvas.title
                canvas.content = body["content"] as? String ?? canvas.content
                canvas.version += 1
                world.channels[id]?.canvas = canvas
                event = "canvas.updated"
            }
        default: return .noRoute(request)
        }
        var object: [String: any Sendable] = ["channelId": id]
        if let canvas = world.channels[id]?.canvas { object["canvas"] = world.wire(canvas) }
        emit([.canvas(event: event, channel: id, guild: guild, body: JSONText.bytes(object))])
        guard let canvas = world.channels[id]?.canvas else { return Response(status: 200) }
        return .json(world.wire(canvas))
    }
}
