import GatewayControl
import JSONBytes

/// The parts of a delivery that the host looks at.
struct DeliveryHead: Equatable, Sendable {
    struct Media: Equatable, Sendable {
        /// Where the file lies; `nil` if its download failed.
        var path: String?
        var name: String?
        var mediaType: String?
    }

    /// The delivery's id.
    var id: String
    var account: String
    var channel: String
    /// Whether an agent is to take a turn; otherwise the message is only for the record.
    var wake: Bool
    var redelivered: Bool
    /// Where an answer goes.
    var conversation: String
    /// The chat system's own ids of where that is, and what people call it.
    var guild: String?
    var room: String?
    var roomName: String?
    /// The message's position in the conversation.
    var sequence: Int64?
    /// The message's text. Never logged.
    var text: String
    /// The author is known to be an agent.
    var authorIsAgent: Bool
    var authorName: String?
    /// The chat system itself wrote it.
    var authorIsSystem = false
    /// What the conversation is for, and what the agent is told in it at every turn.
    var purpose: String?
    var instructions: String?
    /// Id of the message it answers.
    var replyTo: String?
    /// The message is a slash command of this name.
    var command: String?
    var media: [Media]

    /// Reads a delivery; `nil` if a field without which nothing can be done is missing. In one pass and without a tree,
    /// for it runs on the thread that serves the sockets.
    init?(_ bytes: [UInt8]) {
        guard let head = bytes.withUnsafeBytes({ DeliveryHead(text: $0) }) else { return nil }
        self = head
    }

    private init?(text bytes: UnsafeRawBufferPointer) {
        do {
            try JSONBytes.validateWhole(bytes)
        } catch {
            return nil
        }
        var (id, account, conversation): (String?, String?, String?)
        var (channel, text) = ("", "")
        var sequence: Int64?
        var authorIsAgent = false
        var command: String?
        var wake: Bool?
        var redelivered = false
        var media: [Media] = []
        let view = JSONView(validated: bytes, start: 0, end: bytes.count)
        guard view.kind == .object else { return nil }
        view.forEachMember { key, value in
            if key.equals("delivery") {
                id = value.string
            } else if key.equals("account") {
                account = value.string
            } else if key.equals("channel") {
                channel = value.string ?? ""
            } else if key.equals("wake") {
                wake = value.bool
            } else if key.equals("redelivered") {
                redelivered = value.bool ?? false
            } else if key.equals("conversation"), value.kind == .object {
                conversation = value["id"]?.string
            } else if key.equals("command"), value.kind == .object {
                command = value["name"]?.string
            } else if key.equals("message"), value.kind == .object {
                text = value["text"]?.string ?? ""
                sequence = value["seq"]?.int64
                authorIsAgent = value["author"]?["isAgent"]?.bool ?? false
            } else if key.equals("media"), value.kind == .array {
                value.forEachElement { file in
                    media.append(
                        Media(
                            path: file["path"]?.string, name: file["name"]?.string, mediaType: file["mediaType"]?.string
                        ))
                    return true
                }
            }
            return true
        }
        guard let id, !id.isEmpty, let account, let wake, let conversation else { return nil }
        (self.id, self.account, self.wake, self.conversation) = (id, account, wake, conversation)
        (self.channel, self.text, self.redelivered, self.media) = (channel, text, redelivered, media)
        (self.sequence, self.authorIsAgent, self.command) = (sequence, authorIsAgent, command)
        // What only a turn needs; most messages are for the record.
        guard wake else { return }
        let place = view["conversation"]
        (guild, room, roomName) = (place?["guild"]?.string, place?["channel"]?.string, place?["name"]?.string)
        let author = view["message"]?["author"]
        authorName = author?["name"]?.string ?? author?["id"]?.string
        authorIsSystem = author?["isSystem"]?.bool ?? false
        (purpose, instructions) = (place?["purpose"]?.string, view["instructions"]?.string)
        replyTo = view["message"]?["replyTo"]?.string
    }
}
