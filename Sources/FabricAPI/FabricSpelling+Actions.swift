import JSONBytes

/// How what changes something is asked for: certain spellings, and for each uncertain one the ways to try, likeliest
/// first. Ids come encoded.
extension FabricSpelling {
    typealias Attempt = FabricGuild.Attempt

    static let channelsRoot = "/channels"
    static func channelPath(_ channel: String) -> String { "/channels/\(channel)" }
    static func presencePath(_ user: String) -> String { "/agents/\(user)/presence" }
    static let commandsPath = "/commands"
    static let systemKeyHeader = "x-fabric-system-key"
    /// Which of them the guild looks for is not known; all go together.
    static let syncKeyHeaders = ["x-fabric-commands-sync-key", "x-commands-sync-key", "x-fabric-system-key"]

    static func createRequests(_ channel: FabricNewChannel, guild: String) -> [Attempt] {
        var body: [String: JSONValue] = [
            "guildId": .string(guild), "name": .string(channel.name), "xType": .string(channel.xType),
        ]
        body["isPublic"] = channel.isPublic.map { .bool($0) }
        body["purpose"] = channel.purpose.map { .string($0) }
        if !channel.memberUserIds.isEmpty { body["memberUserIds"] = .texts(channel.memberUserIds) }
        if !channel.bypassUserIds.isEmpty { body["bypassUserIds"] = .texts(channel.bypassUserIds) }
        if !channel.listeners.isEmpty { body["listeners"] = .texts(channel.listeners) }
        var bodies = [body]
        if !channel.onDuty.isEmpty {
            // One user or a list: not known.
            bodies = [body.merging(["onDuty": .texts(channel.onDuty)]) { $1 }]
            if channel.onDuty.count == 1 {
                bodies.append(body.merging(["onDuty": .string(channel.onDuty[0])]) { $1 })
            }
        }
        return bodies.map { Attempt(method: .post, path: channelsRoot, body: .object($0)) }
    }

    static func purposeRequests(_ channel: String, _ purpose: String) -> [Attempt] {
        [Attempt(method: .patch, path: channelPath(channel), body: ["purpose": .string(purpose)])]
    }

    static func closeRequests(_ channel: String) -> [Attempt] {
        [Attempt(method: .post, path: channelPath(channel) + "/close", body: nil)]
    }

    static func bypassRequests(_ channel: String, _ user: String) -> [Attempt] {
        ["userId", "memberUserId", "targetUserId"].map {
            Attempt(method: .post, path: channelPath(channel) + "/bypass", body: [$0: .string(user)])
        } + [Attempt(method: .post, path: channelPath(channel) + "/bypass", body: ["userIds": .texts([user])])]
    }

    static func messagePaths(_ channel: String, _ message: String) -> [String] {
        [messagesPath(channel) + "/" + message, "/messages/" + message]
    }

    static func editRequests(_ channel: String, _ message: String, _ content: String) -> [Attempt] {
        messagePaths(channel, message).flatMap { path in
            [Attempt(method: .patch, path: path, body: ["content": .string(content)])]
                + [Attempt(method: .put, path: path, body: ["content": .string(content)])]
        }
    }

    static func deleteRequests(_ channel: String, _ message: String) -> [Attempt] {
        messagePaths(channel, message).map { Attempt(method: .delete, path: $0, body: nil) }
    }

    static func canvasPaths(_ channel: String) -> [String] {
        [channelPath(channel) + "/canvas", "/canvases/" + channel]
    }

    static func canvasRequests(_ channel: String, _ action: FabricGuild.CanvasAction) -> [Attempt] {
        canvasPaths(channel).flatMap { canvasRequests(at: $0, action) }
    }

    private static func canvasRequests(at path: String, _ action: FabricGuild.CanvasAction) -> [Attempt] {
        func bodies(_ title: String?, _ format: String?, _ content: String?) -> [JSONValue] {
            [("format", "content"), ("type", "content"), ("contentType", "content"), ("format", "body")].map { keys in
                var body: [String: JSONValue] = [:]
                body["title"] = title.map { .string($0) }
                body[keys.0] = format.map { .string($0) }
                body[keys.1] = content.map { .string($0) }
                return .object(body)
            }
        }
        switch action {
        case .read: return [Attempt(method: .get, path: path, body: nil)]
        case .remove: return [Attempt(method: .delete, path: path, body: nil)]
        case .share(let title, let format, let content):
            return bodies(title, format, content).map { Attempt(method: .put, path: path, body: $0) }
        case .update(let title, let content):
            var seen: [JSONValue] = []
            for body in bodies(title, nil, content) where !seen.contains(body) { seen.append(body) }
            return seen.map { Attempt(method: .patch, path: path, body: $0) }
        }
    }

    /// A catalogue of `{"name", "description", "arguments"?}`, with the name under each key it may have.
    static func commandRequests(_ commands: JSONValue) -> [Attempt] {
        ["name", "command"].flatMap { key in
            let entries = JSONValue.array(
                (commands.array ?? []).map { entry in
                    guard key != "name", var members = entry.object else { return entry }
                    members[key] = members.removeValue(forKey: "name")
                    return .object(members)
                })
            return [
                Attempt(method: .put, path: commandsPath, body: ["commands": entries]),
                Attempt(method: .put, path: commandsPath, body: entries),
            ]
        }
    }
}

extension JSONValue {
    static func texts(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
}
