import JSONBytes

/// What is said on a guild's realtime socket (Documentation/Fabric.md, "Realtime").
public enum FabricRealtime {
    /// A message was posted; its argument is a ``FabricMessageView``.
    public static let messageCreated: StaticString = "message.created"
    /// The user is now in a channel; its argument is a ``FabricMembershipEvent``.
    public static let channelJoined: StaticString = "channel.joined"
    /// The user left a channel.
    public static let channelLeft: StaticString = "channel.left"
    /// A message was edited, deleted; a canvas was shared or changed, removed. Arguments: ``FabricChangeEvent``.
    public static let messageUpdated: StaticString = "message.updated"
    public static let messageDeleted: StaticString = "message.deleted"
    public static let canvasUpdated: StaticString = "canvas.updated"
    public static let canvasRemoved: StaticString = "canvas.removed"
    /// What somebody being at the keyboard, and a changed presence, may be called: it is not known.
    public static let typingNames: [StaticString] = [
        "typing", "typing.started", "typing.start", "user.typing", "typing.stopped",
    ]
    public static let presenceNames: [StaticString] = [
        "presence.updated", "presence.changed", "presence", "presence.update",
    ]
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
    static let systemAuthorText: StaticString = "00000000-0000-0000-0000-000000000000"

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

/// The argument of an event about a change or a passing state: its parts, wherever they are.
public struct FabricChangeEvent: Sendable, Equatable {
    public var channelId: String?
    public var messageId: String?
    /// Who did it, or whom it is about.
    public var userId: String?
    /// The new text, if it is said.
    public var text: String?
    /// The whole argument.
    public var json: JSONValue

    /// nil if it is no object.
    public init?(_ argument: JSONView) {
        json = JSONValue(argument)
        guard json.object != nil else { return nil }
        let places = [json] + ["message", "canvas", "channel", "user"].compactMap { json[$0] }
        func first(_ keys: [String]) -> String? { places.lazy.compactMap { $0.text(keys) }.first }
        channelId = first(["channelId", "channel_id"])
        messageId = first(["messageId", "message_id"]) ?? json["message"]?.text(["id"]) ?? json.text(["id"])
        text = json.text(["content", "text"]) ?? json["message"]?.text(["content", "text"])
        userId =
            first(["authorUserId", "authorId", "senderUserId", "senderId", "userId", "user_id", "sharedByUserId"])
            ?? json["author"]?.text(FabricSpelling.userId)
            ?? json["message"]?["author"]?.text(FabricSpelling.userId) ?? json["user"]?.text(FabricSpelling.userId)
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
