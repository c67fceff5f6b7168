import FabricAPI
import FabricTools
import JSONBytes

/// Tools that change channels and the account's place in them.
extension Account {
    func changeMembership(_ call: ToolCall, joins: Bool) async throws -> JSONValue {
        let place = try await place(of: call)
        try await withGuildToken(place.guild.nodeId) { token in
            if joins {
                try await place.guild.guild.join(channel: place.channel, token: token)
            } else {
                try await place.guild.guild.leave(channel: place.channel, token: token)
            }
        }
        return place.json
    }

    func createChannel(_ call: ToolCall, type: String) async throws -> JSONValue {
        let guild = try await guild(of: call)
        var channel = FabricNewChannel(
            name: call.arguments.need("name"), xType: type, isPublic: call.arguments.truth("isPublic"),
            purpose: call.arguments.text("purpose"))
        channel.memberUserIds = call.arguments.ids("memberUserIds")
        channel.bypassUserIds = call.arguments.ids("bypassUserIds")
        channel.onDuty = call.arguments.ids("onDuty")
        channel.listeners = call.arguments.ids("listeners")
        let made = try await make(channel, in: guild)
        var result: [String: JSONValue] = [
            "guildNodeId": .string(guild.nodeId), "channelId": .string(made.info.id), "channel": Self.row(made),
        ]
        guard let first = call.arguments.text("firstMessage") else { return .object(result) }
        do {
            result["firstMessage"] = try await say(first, in: ToolPlace(guild: guild, channel: made.info.id))
        } catch {
            throw ToolFailure(error, reads: false).afterHalf(
                "the channel \"\(channel.name)\" (\(made.info.id)) was created, but its first message was not posted",
                done: .object(result))
        }
        return .object(result)
    }

    func make(_ channel: FabricNewChannel, in guild: ToolGuild) async throws -> FabricGuild.ChannelRow {
        try await withGuildToken(guild.nodeId) { try await guild.guild.create(channel, token: $0) }
    }

    func setPurpose(_ call: ToolCall) async throws -> JSONValue {
        let place = try await place(of: call)
        let purpose = call.arguments.need("purpose")
        let answer = try await withGuildToken(place.guild.nodeId) {
            try await place.guild.guild.setPurpose(purpose, channel: place.channel, token: $0)
        }
        return place.json.with(["purpose": .string(purpose), "channel": answer])
    }

    func bypass(_ call: ToolCall) async throws -> JSONValue {
        let place = try await place(of: call)
        let user = call.arguments.text("userId") ?? inbox.user
        try await withGuildToken(place.guild.nodeId) {
            try await place.guild.guild.bypass(user: user, channel: place.channel, token: $0)
        }
        return place.json.with(["userId": .string(user)])
    }

    func completeDiscussion(_ call: ToolCall) async throws -> JSONValue {
        let place = try await place(of: call)
        let posted = try await say(call.arguments.need("summary"), in: place, turn: call.turn)
        do {
            try await close(place)
        } catch {
            throw ToolFailure(error, reads: false).afterHalf(
                "the summary was posted, but the channel \(place.channel) was not closed",
                done: place.json.with(["summary": posted]))
        }
        return place.json.with(posted.object ?? [:]).with(["closed": true])
    }

    func close(_ place: ToolPlace) async throws {
        try await withGuildToken(place.guild.nodeId) {
            try await place.guild.guild.close(channel: place.channel, token: $0)
        }
    }

    func useCanvas(_ call: ToolCall) async throws -> JSONValue {
        let arguments = call.arguments
        let action: FabricGuild.CanvasAction
        switch arguments.need("action") {
        case "share":
            guard let content = arguments.text("content") else {
                throw ToolFailure(
                    .invalidArgument, "fabric-canvas: to share a canvas give its \"content\"", argument: "content")
            }
            action = .share(
                title: arguments.text("title"), format: arguments.text("format") ?? "md", content: content)
        case "update":
            guard arguments.has("content") || arguments.has("title") else {
                throw ToolFailure(
                    .invalidArgument, "fabric-canvas: to update a canvas give its new \"content\" or \"title\"",
                    argument: "content")
            }
            action = .update(title: arguments.text("title"), content: arguments.text("content"))
        case "close": action = .remove
        default: action = .read
        }
        let place = try await place(of: call)
        let canvas = try await withGuildToken(place.guild.nodeId) {
            try await place.guild.guild.canvas(action, channel: place.channel, token: $0)
        }
        return place.json.with(["canvas": canvas])
    }
}

extension Account.ToolPlace {
    /// Where it was done.
    var json: JSONValue { ["guildNodeId": .string(guild.nodeId), "channelId": .string(channel)] }
}

extension ToolFailure {
    /// The same failure, of a call that had done something before.
    func afterHalf(_ what: String, done: JSONValue) -> ToolFailure {
        ToolFailure(
            .halfDone, "\(what): \(message)",
            done: done.with(["failedWith": .string(code.rawValue)]).with(self.done?.object ?? [:]))
    }
}
