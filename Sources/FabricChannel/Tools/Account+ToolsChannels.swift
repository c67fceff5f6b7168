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
        return ["guildNodeId": .string(place.guild.nodeId), "channelId": .string(place.channel)]
    }
}
