/// Arguments that several tools share.
extension ToolParameter {
    static let guild = ToolParameter(
        "guildNodeId", .id,
        "the guild's node id; may be left out where the account has one guild, or the channel tells which")
    static let channel = ToolParameter(
        "channelId", .id,
        "the channel's id, or fabric:<guild>/<channel>; left out during a turn: the conversation of the turn")
    static let content = ToolParameter(
        "content", .text(maximum: .max, mayBeEmpty: false),
        "the text; <@userId> or <@user.name:NAME> mentions somebody; there is no limit on its length", isRequired: true)
    static let nameFilter = ToolParameter(
        "nameFilter", .text(maximum: 200, mayBeEmpty: true), "only those whose name holds this text, in any case")
    static let messageId = ToolParameter("messageId", .id, "the message's id", isRequired: true)

    static let newChannel: [ToolParameter] = [
        .guild,
        ToolParameter("name", .text(maximum: 120, mayBeEmpty: false), "the channel's name", isRequired: true),
        ToolParameter("isPublic", .truth, "whether everybody in the guild may read it and join; false if left out"),
        ToolParameter("memberUserIds", .ids, "who is to be a member besides the account"),
        ToolParameter("bypassUserIds", .ids, "members that are not in the rotation, woken by a mention only"),
        ToolParameter("onDuty", .ids, "who is on duty"),
        ToolParameter("listeners", .ids, "who is woken by messages"),
        ToolParameter("purpose", .text(maximum: .max, mayBeEmpty: true), "what the channel is for"),
        ToolParameter(
            "firstMessage", .text(maximum: .max, mayBeEmpty: false), "a message to post as soon as it is there"),
    ]
}
