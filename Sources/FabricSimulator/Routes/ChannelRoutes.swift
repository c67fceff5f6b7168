/// The routes of one channel, but for posting and history.
extension FabricSimulator {
    func channelRoute(
        _ request: Request, _ guild: String, _ user: String, id: String, rest: [String]
    ) throws(World.Refusal) -> Response {
        let channel = try world.channel(id, in: guild)
        let reads = world.mayRead(channel.info, user: user)
        switch (request.method, rest) {
        case ("POST", ["join"]):
            // Joining a private channel needs an invitation; only members may repeat it.
            guard reads else { throw world.notParticipant }
            emit(world.join(id, user: user))
            return .json(["ok": true, "channelId": id], status: switches.postStatus)
        case ("POST", ["leave"]):
            emit(world.leave(id, user: user))
            return .json(["ok": true, "channelId": id], status: switches.postStatus)
        default: break
        }
        guard reads else { throw world.notParticipant }
        switch (request.method, rest) {
        case ("GET", []): return .json(world.wire(channel.info))
        case ("PATCH", []):
            guard let purpose = request.object["purpose"] as? String else {
                throw World.Refusal(400, "purpose must be a string")
            }
            world.channels[id]?.info.purpose = purpose.isEmpty ? nil : purpose
            return .json(world.channels[id].map { world.wire($0.info) } ?? [:])
        case ("POST", ["close"]):
            close(channel: id)
            return .json(world.channels[id].map { world.wire($0.info) } ?? [:], status: switches.postStatus)
        case ("GET", ["members"]):
            let bypass = channel.turns.bypass
            return .json(channel.info.members.map { world.strange(["userId": $0, "bypass": bypass.contains($0)]) })
        case ("POST", ["bypass"]): return try bypass(request, channel)
        case ("GET", ["messages"]): return history(request, channel)
        case ("POST", ["messages"]): return try post(request, guild, user: user, channel: id, system: nil)
        case (_, ["canvas"]): return try canvas(request, guild, user, channel)
        default:
            guard rest.count == 2, rest[0] == "messages", switches.messageRoutes == .nested else {
                return .noRoute(request)
            }
            return try change(rest[1], in: id, request, user)
        }
    }

    private func bypass(_ request: Request, _ channel: World.Channel) throws(World.Refusal) -> Response {
        let key = switches.bypassKey
        let given = request.object[key.rawValue]
        guard let member = key == .userIds ? (given as? [String])?.first : given as? String else {
            throw World.Refusal(400, "\(key.rawValue) is missing")
        }
        guard channel.info.members.contains(member) else { throw World.Refusal(404, "no such member") }
        world.channels[channel.info.id]?.turns.moveToBypass(member)
        return .json(["ok": true], status: switches.postStatus)
    }

    /// Edits or deletes a message.
    func change(
        _ message: String, in channel: String, _ request: Request, _ user: String
    ) throws(World.Refusal) -> Response {
        switch request.method {
        case "DELETE":
            let (_, emission) = try world.delete(message, in: channel, by: user, now: guildNow)
            emit([emission])
            return Response(status: 200)
        case switches.editMethod == .patch ? "PATCH" : "PUT":
            guard let content = request.object["content"] as? String, !content.isEmpty else {
                throw World.Refusal(400, "content must be a string")
            }
            let (changed, emission) = try world.edit(message, in: channel, by: user, content: content, now: guildNow)
            emit([emission])
            return .json(world.wire(changed))
        default: return .noRoute(request)
        }
    }

    func setPresence(
        _ request: Request, _ guild: String, caller: String, user: String
    ) throws(World.Refusal) -> Response {
        guard caller == user else { throw World.Refusal(403, "only one's own presence") }
        let known = ["idle", "on_call", "busy", "exhausted", "offline", "unknown"]
        guard let status = request.object["status"] as? String, known.contains(status) else {
            throw World.Refusal(400, "status must be one of \(known)")
        }
        setPresence(guild: guild, user: user, status: status)
        return .json(["userId": user, "status": status])
    }

    private func canvas(
        _ request: Request, _ guild: String, _ user: String, _ channel: World.Channel
    ) throws(World.Refusal) -> Response {
        let id = channel.info.id
        let body = request.object
        let keys = switches.canvasKeys
        let event: String
        switch request.method {
        case "GET":
            // A channel without one answers 200 with nothing in it.
            return channel.canvas.map { .json(world.wire($0)) } ?? Response(status: 200)
        case "PUT":
            guard let content = body[keys.content] as? String, let format = body[keys.format] as? String,
                ["md", "html", "text"].contains(format)
            else { throw World.Refusal(400, "\(keys.content) and \(keys.format) (md, html, text) are required") }
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
                guard body[keys.content] is String || body["title"] is String else {
                    throw World.Refusal(400, "\(keys.content) or title is required")
                }
                canvas.title = body["title"] as? String ?? canvas.title
                canvas.content = body[keys.content] as? String ?? canvas.content
                canvas.version += 1
                world.channels[id]?.canvas = canvas
                event = "canvas.updated"
            }
        default: return .noRoute(request)
        }
        var object: [String: any Sendable] = ["channelId": id, "userId": user]
        if let canvas = world.channels[id]?.canvas { object["canvas"] = world.wire(canvas) }
        emit([.room(event: event, channel: id, guild: guild, body: JSONText.bytes(object))])
        guard let canvas = world.channels[id]?.canvas else { return Response(status: 200) }
        return .json(world.wire(canvas))
    }
}
