import FabricAPI
import FabricTools

/// Which guild and which channel a call means.
extension Account {
    /// A guild, ready to be asked.
    struct ToolGuild: Sendable {
        var info: FabricGuildInfo
        var guild: FabricGuild
        var nodeId: String { info.nodeId }
    }

    struct ToolPlace: Sendable {
        var guild: ToolGuild
        var channel: String
    }

    /// The channel a call names, or the conversation of its turn.
    func place(of call: ToolCall) async throws -> ToolPlace {
        let (guild, channel) = try named(call)
        guard let channel = channel ?? call.turn?.channel else {
            throw ToolFailure(
                .invalidArgument,
                "\(call.tool.name): the argument \"channelId\" is missing; without a turn there is "
                    + "no conversation to stand for it", argument: "channelId")
        }
        let inTurn = call.turn?.channel == channel ? call.turn?.guild : nil
        let node = guild ?? inTurn ?? inbox.guild(listing: channel)
        if call.isConfined, call.readsWhatOthersSaid, let turn = call.turn,
            channel != turn.channel || node != turn.guild
        {
            throw ToolFailure(
                .otherConversation, "\(call.tool.name): this call may read its own conversation only",
                argument: "channelId")
        }
        return ToolPlace(guild: try await self.guild(node, call), channel: channel)
    }

    /// The guild a call names; left out: that of its turn, or the only one.
    func guild(of call: ToolCall) async throws -> ToolGuild {
        let (guild, _) = try named(call)
        return try await self.guild(guild ?? call.turn?.guild, call)
    }

    /// What the arguments say.
    private func named(_ call: ToolCall) throws(ToolFailure) -> (guild: String?, channel: String?) {
        let guild = call.arguments.text("guildNodeId")
        guard let text = call.arguments.text("channelId"), text.hasPrefix("fabric:") else {
            return (guild, call.arguments.text("channelId"))
        }
        guard let target = OutboundTarget(text) else {
            throw ToolFailure(
                .invalidArgument, "\(call.tool.name): \"channelId\" must be an id or fabric:<guild>/<channel>",
                argument: "channelId")
        }
        if let guild, let other = target.guild, guild != other {
            throw ToolFailure(
                .invalidArgument, "\(call.tool.name): \"guildNodeId\" and \"channelId\" name two guilds",
                argument: "guildNodeId")
        }
        return (guild ?? target.guild, target.channel)
    }

    /// A guild that was named before.
    func toolGuild(_ node: String) async throws -> ToolGuild {
        try await guild(
            node,
            ToolCall(
                tool: .guildList, arguments: ToolArguments([:], for: .guildList), isConfined: false, filesBelow: nil))
    }

    private func guild(_ named: String?, _ call: ToolCall) async throws -> ToolGuild {
        if life.guildInfos.isEmpty {
            let session = try await environment.sessions.session(for: id)
            if life.guildInfos.isEmpty { life.learned(session.fabric.guilds) }
        }
        let known = life.guildInfos.keys.sorted()
        guard let node = named ?? (known.count == 1 ? known[0] : nil) else {
            throw ToolFailure(
                .invalidArgument,
                "\(call.tool.name): \"guildNodeId\" is needed, for the account has several guilds: "
                    + known.joined(separator: ", "), argument: "guildNodeId")
        }
        guard let info = life.guildInfos[node] else {
            throw ToolFailure(
                .notMember,
                "the account is not a member of a guild \"\(node)\"; its guilds: \(known.joined(separator: ", "))",
                argument: "guildNodeId")
        }
        if let number = inbox.number(of: node), let link = links[number] {
            return ToolGuild(info: info, guild: link.guild)
        }
        return ToolGuild(info: info, guild: try makeGuild(info))
    }
}
