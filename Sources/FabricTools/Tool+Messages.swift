extension Tool {
    // MARK: Messages

    public static let messageHistory = Tool(
        name: "fabric-message-history", title: "Read history",
        purpose: "Reads messages of a channel by their positions, the newest if none are given.",
        parameters: [
            .guild, .channel,
            ToolParameter("seqFrom", .whole(0...(1 << 53)), "the first position wanted"),
            ToolParameter("seqTo", .whole(0...(1 << 53)), "the last position wanted"),
            ToolParameter("limit", .whole(1...200), "how many at most; 20 if left out"),
        ], answer: "the messages in order, and the range that was read", effect: .reads)
    public static let sendMessage = Tool(
        name: "fabric-send-message", title: "Post a message",
        purpose: "Posts a message with text, files or both, at once and once.",
        parameters: [
            .guild, .channel,
            ToolParameter(
                "content", .text(maximum: .max, mayBeEmpty: true),
                "the text; <@userId> or <@user.name:NAME> mentions somebody; may be left out where there are files"),
            ToolParameter(
                "files", .files,
                "files to attach; in an agent's turn those of its own directory, or that were fetched for it"),
            ToolParameter("replyTo", .id, "id of the message it answers"),
        ], answer: "the message's id and position", effect: .adds)
    public static let sendSystemMessage = Tool(
        name: "fabric-send-sys-msg", title: "Post as the system",
        purpose: "Posts a message of the system in any channel of the account's guilds, waking one user or nobody.",
        parameters: [
            .guild, .channel, .content,
            ToolParameter("wakeupUserId", .id, "the one user who is woken; nobody if left out"),
        ], answer: "the message's id and position; needs commandsSyncKey in the settings", effect: .adds)
    public static let editMessage = Tool(
        name: "fabric-message-edit", title: "Edit a message",
        purpose: "Changes the text of a message of the account's own, within the time the guild allows.",
        parameters: [.guild, .channel, .messageId, .content], answer: "the message", effect: .removes)
    public static let deleteMessage = Tool(
        name: "fabric-message-delete", title: "Delete a message",
        purpose: "Deletes a message of the account's own.", parameters: [.guild, .channel, .messageId],
        answer: "the message's id", effect: .removes)
    public static let fileDownload = Tool(
        name: "fabric-file-download", title: "Fetch a file",
        purpose: "Fetches a file of a guild, by the id or address that an attachment has, onto the gateway's machine.",
        parameters: [
            .guild,
            ToolParameter("fileId", .id, "the file's id, or its address (/api/files/…)", isRequired: true),
            ToolParameter("name", .text(maximum: 200, mayBeEmpty: false), "what the file is to be called here"),
        ],
        answer: "path, name, type and size; the file stays until the turn is over, or without a turn for a while",
        effect: .reads)

    // MARK: The canvas

    public static let canvas = Tool(
        name: "fabric-canvas", title: "Use the canvas",
        purpose: "Reads, shares, updates or removes the one pinned document of a channel.",
        parameters: [
            .guild, .channel,
            ToolParameter(
                "action", .choice(["read", "share", "update", "close"]),
                "read it; share a new one in the place of the old; update or close the one that the account shared",
                isRequired: true),
            ToolParameter("title", .text(maximum: 200, mayBeEmpty: true), "its title, for share and update"),
            ToolParameter(
                "format", .choice(["md", "html", "text"]), "what the content is, for share; md if left out"),
            ToolParameter(
                "content", .text(maximum: .max, mayBeEmpty: true), "its content; share and update need it"),
        ], answer: "the canvas, or null if there is none", effect: .removes)

    // MARK: Sub-discussions

    public static let createSubDiscussion = Tool(
        name: "create-sub-discussion", title: "Begin a sub-discussion",
        purpose:
            "Begins a discussion with guests in a channel of its own, whose result comes back to this conversation.",
        parameters: [
            .guild,
            ToolParameter("name", .text(maximum: 120, mayBeEmpty: false), "the channel's name", isRequired: true),
            ToolParameter("guestUserIds", .ids, "who is to take part besides the account", isRequired: true),
            ToolParameter(
                "greetingMsg", .text(maximum: .max, mayBeEmpty: false),
                "the first message, which wakes the first guest",
                isRequired: true),
            ToolParameter(
                "hostGuide", .text(maximum: 20_000, mayBeEmpty: true), "what the account is told in it, at every turn"),
            ToolParameter(
                "guestGuide", .text(maximum: 20_000, mayBeEmpty: true), "what the guests are told in it, at every turn"),
            ToolParameter(
                "callbackChannelId", .id, "where the result goes; left out: the conversation of the turn"),
            ToolParameter("callbackGuildNodeId", .id, "the guild of that channel, if it is another one"),
        ], answer: "the channel, and the greeting's message id and position", effect: .adds)
    public static let closeSubDiscussion = Tool(
        name: "close-sub-discussion", title: "End a sub-discussion",
        purpose:
            "Ends a sub-discussion the account began: its result goes to where it came from and wakes the account there.",
        parameters: [
            .guild, .channel,
            ToolParameter(
                "callbackMsg", .text(maximum: .max, mayBeEmpty: false), "the result", isRequired: true),
        ], answer: "where the result was posted, and that the channel is closed", effect: .removes)
}
