import HTTPTransfer
import JSONBytes

/// The same calls as those that give types, with everything the guild said: for who passes it on.
extension FabricGuild {
    /// A channel as the guild lists it, and what is known of it.
    public struct ChannelRow: Sendable {
        public var info: FabricChannelInfo
        public var json: JSONValue
    }

    /// As ``channels(token:)``, with all fields.
    public func channelRows(token: String) async throws(FabricError) -> [ChannelRow] {
        let operation = operation("listing the channels", token)
        let rows = try await list(operation, FabricSpelling.channelsPath(HTTPURL.encode(nodeId)), token)
        var seen: Set<String> = []
        return rows.compactMap { row in
            guard let info = FabricChannelInfo(reading: row), seen.insert(info.id).inserted else { return nil }
            return ChannelRow(info: info, json: row)
        }
    }

    /// The members of a channel, with all fields; the id under `userId`, `bypass` as a truth value.
    public func memberRows(channel: String, token: String) async throws(FabricError) -> [JSONValue] {
        let operation = operation("listing the members", token, channel: channel)
        let rows = try await list(operation, FabricSpelling.membersPath(HTTPURL.encode(channel)), token)
        return rows.compactMap { row in
            guard let member = FabricMember(reading: row) else { return nil }
            return row.with(["userId": .string(member.userId), "bypass": .bool(member.bypass)])
        }
    }
}
