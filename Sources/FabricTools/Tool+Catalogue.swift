extension Tool {
    /// All tools, in the order in which they are listed.
    public static let all: [Tool] =
        [.register, .guildList, .channelList, .channel, .messageHistory, .sendMessage, .sendSystemMessage]
        + [.createChat, .createWork, .createReport, .createDiscussion, .discussionComplete]
        + [.createSubDiscussion, .closeSubDiscussion, .canvas, .setPurpose]
        + [.join, .leave, .bypass, .editMessage, .deleteMessage, .fileDownload, .presence]

    /// The tool of that name.
    public static func named(_ name: String) -> Tool? { byName[name] }

    private static let byName = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

    // MARK: The account and its guilds

    public static let register = Tool(
        name: "fabric-register", title: "Renew the API key",
        purpose: "Replaces the API key of the account by a newer one of the same Fabric user, proved by a login first.",
        parameters: [
            ToolParameter("apiKey", .id, "the new key, fak_…, as Center's command line printed it", isRequired: true)
        ],
        answer: "the Fabric user's id and name; the key is used after the next reload of the gateway's settings",
        effect: .removes)
    public static let guildList = Tool(
        name: "fabric-guild-list", title: "List guilds",
        purpose: "Lists the guilds the account is a member of.",
        parameters: [
            .nameFilter,
            ToolParameter(
                "purposeFilter", .text(maximum: 200, mayBeEmpty: true),
                "only those whose purpose holds this text, in any case"),
        ],
        answer: "the guilds with node id, name, purpose, status and endpoint, and whether they are connected",
        effect: .reads)
    public static let channelList = Tool(
        name: "fabric-channel-list", title: "List channels",
        purpose: "Lists the channels of a guild that the account can see.",
        parameters: [
            .guild, .nameFilter, ToolParameter("xType", .choice(channelTypes), "only channels of this type"),
            ToolParameter("includeClosed", .truth, "also channels that are closed; false if left out"),
        ],
        answer: "their number, and each with id, name, type, last position and purpose", effect: .reads)
    public static let presence = Tool(
        name: "fabric-presence", title: "See who is busy",
        purpose: "Tells what members of a guild are doing: idle, on_call, busy, exhausted, offline or unknown.",
        parameters: [.guild, ToolParameter("userIds", .ids, "the users", isRequired: true)],
        answer: "the status of each", effect: .reads)

    static let channelTypes = ["general", "work", "report", "discuss", "triage", "custom", "dm", "announce"]

    // MARK: Channels

    public static let channel = Tool(
        name: "fabric-channel", title: "Look at a channel",
        purpose: "Shows one channel: name, type, purpose, whether it is closed, and its members.",
        parameters: [.guild, .channel], answer: "the channel and its members", effect: .reads)
    public static let createChat = create("create-chat-channel", "general", "in which everybody is woken")
    public static let createWork = create("create-work-channel", "work", "in which the members work in turns")
    public static let createReport = create("create-report-channel", "report", "in which nobody is woken")
    public static let createDiscussion = create(
        "create-discussion-channel", "discuss", "in which the members speak in turns")
    public static let setPurpose = Tool(
        name: "fabric-channel-set-purpose", title: "Set a channel's purpose",
        purpose: "Says what a channel is for.",
        parameters: [
            .guild, .channel,
            ToolParameter(
                "purpose", .text(maximum: .max, mayBeEmpty: true), "the purpose; an empty text clears it",
                isRequired: true),
        ], answer: "the channel", effect: .removes)
    public static let join = Tool(
        name: "fabric-channel-join", title: "Join a channel",
        purpose: "Makes the account a member of a public channel, or of one it was invited to.",
        parameters: [.guild, .channel], answer: "the channel's id", effect: .adds)
    public static let leave = Tool(
        name: "fabric-channel-leave", title: "Leave a channel",
        purpose: "Ends the account's membership of a channel.", parameters: [.guild, .channel],
        answer: "the channel's id", effect: .removes)
    public static let bypass = Tool(
        name: "fabric-channel-bypass", title: "Leave the rotation",
        purpose: "Takes a member out of the rotation of a work or discussion channel: only a mention wakes it then.",
        parameters: [
            .guild, .channel, ToolParameter("userId", .id, "the member; the account itself if left out"),
        ], answer: "the channel's and the member's id", effect: .removes)
    public static let discussionComplete = Tool(
        name: "discussion-complete", title: "End a discussion",
        purpose: "Posts a summary in a channel and then closes it for good.",
        parameters: [
            .guild, .channel,
            ToolParameter(
                "summary", .text(maximum: .max, mayBeEmpty: false), "what the discussion came to", isRequired: true),
        ], answer: "the summary's message id and position, and that the channel is closed", effect: .removes)

    private static func create(_ name: String, _ type: String, _ what: String) -> Tool {
        Tool(
            name: name, title: "Create a \(type) channel", purpose: "Creates a \(type) channel, \(what).",
            parameters: ToolParameter.newChannel,
            answer: "the channel, and the first message's id and position if there was one", effect: .adds)
    }

    /// The type of the channels that a create tool makes; nil for other tools.
    public var createdType: String? {
        switch name {
        case Self.createChat.name: "general"
        case Self.createWork.name: "work"
        case Self.createReport.name: "report"
        case Self.createDiscussion.name: "discuss"
        default: nil
        }
    }
}
