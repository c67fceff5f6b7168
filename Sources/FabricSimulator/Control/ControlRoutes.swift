import Foundation

/// The control port: JSON over HTTP, so that a shell script or Python can drive the simulator. No authentication; it
/// listens on loopback only. Bodies and answers use the property names of the public types.
///
/// | route | body or query | does |
/// |---|---|---|
/// | `GET /_sim` | - | bases, guilds, users with API keys, channels |
/// | `POST /_sim/users` | `{"name", "email"?, "guilds"?}` | creates a user |
/// | `POST /_sim/users/rotate` | `{"user"}` | the old API key is refused; answers `{"apiKey"}` |
/// | `POST /_sim/users/guilds` | `{"user", "guilds"}` | the user's guilds from now on |
/// | `POST /_sim/channels` | `{"name", "type"?, "guild"?, "members"?, "isPublic"?, "bypass"?, "onDuty"?, "listeners"?, "purpose"?}` | creates a channel; users by id or name |
/// | `POST /_sim/channels/join`, `/leave`, `/close` | `{"channel", "user"?}` | changes membership, closes |
/// | `POST /_sim/post` | `{"user", "channel", "content", "attachments"?: [{"url", …}], "replyTo"?}` | posts |
/// | `POST /_sim/edit`, `/_sim/delete` | `{"channel", "message", "content"}` | changes a message as its author |
/// | `POST /_sim/canvas` | `{"user", "channel", "content"?}` | shares a canvas; without content removes it |
/// | `GET /_sim/canvas`, `/_sim/commands` | `channel`; `guild`? | the canvas; the slash commands as they were synced |
/// | `POST /_sim/presence`, `/_sim/typing` | `{"user", "status", "guild"?}`; `{"user", "channel"}` | says it as that user |
/// | `GET /_sim/presence` | `user`, `guild`? | as the guild has it |
/// | `GET /_sim/messages` | `channel` | everything stored |
/// | `GET /_sim/wait` | `channel`, `author`?, `contains`?, `afterSeq`?, `timeout`? (s, 10) | the first message that fits; 408 if none comes |
/// | `GET /_sim/wait-sockets` | `user`?, `guild`?, `channel`?, `count`?, `timeout`? | sockets once there are enough; 408 |
/// | `POST /_sim/files` | `{"name", "mediaType"?, "guild"?, "text"` or `"base64"` or `"size"` (made up)`}` | puts a file |
/// | `GET /_sim/files` | `guild`? | the files, with size and hash |
/// | `GET /_sim/sockets` | `guild`? | realtime connections |
/// | `GET /_sim/counters`, `/_sim/requests`, `/_sim/foreign` | - | what happened; requests at the foreign origin |
/// | `GET`, `POST`, `DELETE /_sim/faults` | ``Faults`` properties | shows, merges over what is set, clears |
/// | `POST /_sim/faults/route` | ``RouteFault`` | adds one |
/// | `GET`, `POST /_sim/switches` | ``Switches`` properties | shows, merges |
/// | `POST /_sim/expire` | `{"user"?, "guild"?, "center"?}` | tokens expire now |
/// | `POST /_sim/drop`, `/_sim/disconnect`, `/_sim/deafen` | `{"guild"?, "user"?, "abruptly"?}` | acts on the sockets of the moment |
/// | `POST /_sim/raw` | `{"text", "guild"?, "user"?}` | sends a text frame |
/// | `POST /_sim/restart`, `/_sim/stop`, `/_sim/start` | `{"server"?: "center" or a guild, "downFor"?: s, "abruptly"?}` | server; default the first guild |
/// | `GET /_foreign/<guild>/<file id>` | - | the file from another origin, bearer noted |
///
/// A user may be named by id or by name, a channel by id or by name.
public enum ControlRoutes {}

extension FabricSimulator {
    func control(_ request: Request) async -> Response {
        let segments = request.segments
        if segments.count == 3, segments[0] == "_foreign" {
            foreign.append(
                LoggedRequest(
                    server: "foreign", method: request.method, target: request.path, user: nil, idempotencyKey: nil,
                    hadAuthorization: request.headers.contains(name: "authorization"), status: 200))
            changed()
            do { return try file(segments[1], id: segments[2]) } catch { return .refusal(error) }
        }
        guard segments.first == "_sim" else { return .noRoute(request) }
        if !request.body.isEmpty, JSONText.object(request.body) == nil {
            return .error(400, "the body is no JSON object")
        }
        do {
            let route = "\(request.method) \(segments.dropFirst().joined(separator: "/"))"
            if let response = try await controlWorld(route, request) { return response }
            if let response = try controlDoings(route, request) { return response }
            if let response = try await controlFaults(route, request) { return response }
            return .noRoute(request)
        } catch let error as SimulatorError {
            return .error(error.description.hasPrefix("timed out") ? 408 : 400, error.description)
        } catch let refusal as World.Refusal {
            return .refusal(refusal)
        } catch {
            return .error(500, "\(error)")
        }
    }

    // MARK: World

    private func controlWorld(_ route: String, _ request: Request) async throws -> Response? {
        let arguments = Arguments(request)
        switch route {
        case "GET ": return .encoded(overview)
        case "POST users":
            return .encoded(
                try await createUser(
                    name: try arguments.need("name"), email: arguments.text("email"), guilds: arguments.list("guilds")),
                status: 201)
        case "POST users/rotate":
            return .json(["apiKey": try rotateKey(of: try user(arguments.need("user")))])
        case "POST users/guilds":
            setGuilds(of: try user(arguments.need("user")), arguments.list("guilds") ?? [])
            return .json(["ok": true])
        case "POST channels":
            let name = arguments.text("type") ?? "general"
            guard let type = ChannelType(rawValue: name) else { throw SimulatorError("no channel type '\(name)'") }
            return .encoded(
                try await createChannel(
                    guild: arguments.text("guild"), name: try arguments.need("name"), type: type,
                    members: try users(arguments, "members"), isPublic: arguments.bool("isPublic") ?? false,
                    bypass: try users(arguments, "bypass"), onDuty: try users(arguments, "onDuty"),
                    listeners: try users(arguments, "listeners"), purpose: arguments.text("purpose")),
                status: 201)
        case "POST channels/join", "POST channels/leave":
            let (channel, member) = (try channelID(arguments), try user(arguments.need("user")))
            if route.hasSuffix("join") { join(channel, user: member) } else { leave(channel, user: member) }
            return .json(["ok": true])
        case "POST channels/close":
            close(channel: try channelID(arguments))
            return .json(["ok": true])
        case "POST post":
            let attachments = (request.object["attachments"] as? [[String: Any]] ?? []).compactMap { row in
                (row["url"] as? String).map {
                    SimulatedAttachment(
                        url: $0, name: row["name"] as? String, mediaType: row["mediaType"] as? String,
                        size: (row["size"] as? NSNumber)?.int64Value)
                }
            }
            let message = try await post(
                as: try user(arguments.need("user")), in: try channelID(arguments),
                content: try arguments.need("content"), attachments: attachments, replyTo: arguments.text("replyTo"))
            return .encoded(message, status: 201)
        case "GET messages": return .encoded(history(try channelID(arguments)))
        case "GET wait":
            let author = try arguments.text("author").map(user)
            let (contains, after) = (arguments.text("contains"), arguments.text("afterSeq").flatMap(Int64.init))
            return .encoded(
                try await waitForMessage(in: try channelID(arguments), timeout: arguments.timeout) { message in
                    (author == nil || message.author == author) && (contains.map(message.content.contains) ?? true)
                        && message.seq > (after ?? .min)
                })
        case "GET wait-sockets":
            return .encoded(
                try await waitForSockets(
                    guild: arguments.text("guild"), user: try arguments.text("user").map(user),
                    joined: arguments.text("channel") == nil ? nil : try channelID(arguments),
                    count: arguments.text("count").flatMap(Int.init) ?? 1, timeout: arguments.timeout))
        case "POST files": return .encoded(try file(arguments), status: 201)
        case "GET files": return .encoded(files(guild: arguments.text("guild")))
        case "GET sockets": return .encoded(sockets(guild: arguments.text("guild")))
        case "GET counters": return .encoded(counted)
        case "GET requests": return .encoded(log)
        case "GET foreign": return .encoded(foreign)
        default: return nil
        }
    }

    // MARK: Faults

    private func controlFaults(_ route: String, _ request: Request) async throws -> Response? {
        let arguments = Arguments(request)
        let guild = arguments.text("guild")
        switch route {
        case "GET faults": return .encoded(activeFaults)
        case "DELETE faults":
            setFaults(Faults())
            return .encoded(activeFaults)
        case "POST faults":
            setFaults(
                try Self.merged(activeFaults, request.object, known: Faults.CodingKeys.allCases.map(\.rawValue)))
            return .encoded(activeFaults)
        case "POST faults/route":
            do {
                let fault = try JSONDecoder().decode(RouteFault.self, from: Data(request.body))
                updateFaults { $0.routes.append(fault) }
            } catch {
                throw SimulatorError("not a route fault: \(error)")
            }
            return .encoded(activeFaults)
        case "GET switches": return .encoded(switches)
        case "POST switches":
            world.switches = try Self.merged(
                switches, request.object, known: Switches.CodingKeys.allCases.map(\.rawValue))
            return .encoded(switches)
        case "POST expire":
            expireTokens(
                user: try arguments.text("user").map(user), guild: guild, centerToo: arguments.bool("center") ?? false)
        case "POST drop":
            dropSockets(
                guild: guild, user: try arguments.text("user").map(user),
                abruptly: arguments.bool("abruptly") ?? false)
        case "POST disconnect": disconnectSockets(guild: guild, user: try arguments.text("user").map(user))
        case "POST deafen": deafen(guild: guild, user: try arguments.text("user").map(user))
        case "POST raw":
            sendRaw(try arguments.need("text"), guild: guild, user: try arguments.text("user").map(user))
        case "POST restart":
            try await restart(
                try server(arguments), downFor: .seconds(arguments.number("downFor") ?? 0),
                abruptly: arguments.bool("abruptly") ?? false)
        case "POST stop": await close(try server(arguments), abruptly: arguments.bool("abruptly") ?? false)
        case "POST start": try await listen(try server(arguments))
        default: return nil
        }
        return .json(["ok": true])
    }

    /// The value with some properties replaced; unknown names are an error, so that a typing mistake is noticed.
    private static func merged<Value: Codable>(
        _ value: Value, _ changes: [String: Any], known: [String]
    ) throws(SimulatorError) -> Value {
        for key in changes.keys where !known.contains(key) {
            throw SimulatorError("no property '\(key)'; there are \(known.sorted().joined(separator: ", "))")
        }
        var object = JSONText.object(JSONText.encode(value)) ?? [:]
        for (key, change) in changes { object[key] = change is NSNull ? nil : change }
        do {
            return try JSONDecoder().decode(Value.self, from: Data(JSONText.bytes(object)))
        } catch {
            throw SimulatorError("bad value: \(error)")
        }
    }
}
