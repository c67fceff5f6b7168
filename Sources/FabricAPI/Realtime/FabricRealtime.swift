import JSONBytes

/// What is said on a guild's realtime socket (Documentation/Fabric.md, "Realtime").
public enum FabricRealtime {
    /// A message was posted; its argument is a ``FabricMessageView``.
    public static let messageCreated: StaticString = "message.created"
    /// The user is now in a channel; its argument is a ``FabricMembershipEvent``.
    public static let channelJoined: StaticString = "channel.joined"
    /// The user left a channel.
    public static let channelLeft: StaticString = "channel.left"
    /// Subscribes to a channel's events; the argument is ``channelArgument(_:)``.
    public static let join = "join_channel"
    /// Ends the subscription.
    public static let leave = "leave_channel"
    /// What a member says whose turn it is in a `discuss` or `work` channel, and who has nothing to say. The guild takes it
    /// as a command and shows it to nobody.
    public static let noReply = "/no-reply"
    /// Moves the rotation on; like ``noReply`` it is shown to nobody.
    public static let forceProceed = "/force-proceed"

    /// Whether the guild takes a text as a command to itself instead of a message.
    static func isCommand(_ text: String) -> Bool {
        var text = text[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        return text == noReply || text == forceProceed
    }

    /// The author of messages that the guild or the system wrote.
    public static let systemAuthor = "00000000-0000-0000-0000-000000000000"

    /// The CONNECT payload: JSON text.
    public static func authentication(token: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("token")
        writer.string(token)
        writer.endObject()
        return writer.bytes
    }

    /// The argument of ``join`` and ``leave``: JSON text.
    public static func channelArgument(_ channel: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("channelId")
        writer.string(channel)
        writer.endObject()
        return writer.bytes
    }
}

/// The argument of `channel.joined` and `channel.left`.
public struct FabricMembershipEvent: Sendable, Equatable {
    public var channelId: String
    public var userId: String?
    public var xType: FabricChannelType?
    /// Seconds since 1970, by the guild's clock.
    public var occurredAt: Double?

    /// nil if it names no channel.
    public init?(_ argument: JSONView) {
        guard let channel = (argument["channelId"] ?? argument["channel_id"])?.string, !channel.isEmpty else {
            return nil
        }
        channelId = channel
        userId = (argument["userId"] ?? argument["user_id"])?.string
        xType = (argument["xType"] ?? argument["x_type"])?.string.map(FabricChannelType.init(spelling:))
        occurredAt = (argument["occurredAt"] ?? argument["occurred_at"]).flatMap { FabricTime.seconds($0) }
    }
}
