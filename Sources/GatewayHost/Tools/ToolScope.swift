import GatewayControl
import JSONBytes

/// The conversation that an agent's calls are confined to.
struct ToolScope: Equatable, Sendable {
    /// How far the tools of a turn reach; the `tools` of an agent's settings.
    typealias Reach = AgentTools

    var reach: Reach
    /// As deliveries name it: `fabric:<guild>/<channel>`.
    var conversation: String
    var guild: String?
    /// The channel's own id.
    var room: String?
    /// Where files that the turn sends by a tool may lie, besides those that were fetched for it.
    var directories: [String] = []
    /// Channels that calls of the same turn made.
    var created: Set<String> = []

    /// Why a call with these arguments is refused; `nil` if it is not.
    ///
    /// Arguments that name a channel have names of one form, whatever the tool: `channelId`, `channel_id`,
    /// `callbackChannelId`. One that is left out means the turn's own conversation, at the module too.
    func refusal(of arguments: JSONValue) -> JSONValue? {
        guard reach == .conversation, let members = arguments.object else { return nil }
        var namesOwn = false
        for (name, value) in members.sorted(by: { $0.key < $1.key }) where value != .null && Self.isChannel(name) {
            let ids = value.string.map { [$0] } ?? value.texts
            guard !ids.isEmpty, ids.allSatisfy(isWithin) else {
                return Self.refusal(
                    "other_conversation",
                    "this turn may act in its own conversation only, not in the one that “\(name)” names",
                    argument: name)
            }
            namesOwn = namesOwn || ids.contains { !created.contains($0) }
        }
        // A channel's id may exist in another guild too.
        guard namesOwn, let guild else { return nil }
        for (name, value) in members.sorted(by: { $0.key < $1.key }) where value != .null && Self.isGuild(name) {
            guard value.string == guild else {
                return Self.refusal(
                    "other_conversation", "the conversation of this turn is in another guild than “\(name)” names",
                    argument: name)
            }
        }
        return nil
    }

    private func isWithin(_ id: String) -> Bool {
        id == conversation || id == room || created.contains(id)
    }

    /// The channel that the result of a call speaks of: one it made, or the turn's own, for others it may not name.
    static func created(by result: JSONValue) -> Set<String> {
        var ids: Set<String> = []
        if let id = result["channel"]?["id"]?.string { ids.insert(id) }
        if let id = result["channelId"]?.string { ids.insert(id) }
        return ids
    }

    private static func isChannel(_ name: String) -> Bool {
        let plain = plain(name)
        return plain.hasSuffix("channelid") || plain.hasSuffix("channelids") || plain == "channel" || plain == "to"
            || plain == "conversation"
    }

    private static func isGuild(_ name: String) -> Bool {
        let plain = plain(name)
        return plain.hasSuffix("guildnodeid") || plain.hasSuffix("guildid") || plain == "guild"
    }

    private static func plain(_ name: String) -> String { name.lowercased().filter { $0 != "_" && $0 != "-" } }

    /// A refusal in the form of a tool's answer.
    static func refusal(
        _ code: String, _ message: String, argument: String? = nil, retryable: Bool = false
    ) -> JSONValue {
        var error: [String: JSONValue] = [
            "code": .string(code), "message": .string(message), "retryable": .bool(retryable),
        ]
        error["argument"] = argument.map { .string($0) }
        return ["ok": false, "error": .object(error)]
    }
}
