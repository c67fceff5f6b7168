import FabricAPI
import JSONBytes

/// The parts of a delivery that are the same for every message of a conversation, written once. A class, so that one
/// reference is counted per message, not three arrays.
final class ConversationText: Sendable {
    /// `{"delivery":"` and what the delivery's id begins with
    let opening: [UInt8]
    /// What stands between the ids of delivery and message of one for the record, as nearly all are:
    /// `","account":…,"wake":false,"caughtUp":false,"redelivered":false,"conversation":{…},"message":{"id":`
    let record: [UInt8]
    /// Of that: `,"account":…,"channel":"fabric","self":{…}`
    let account: Range<Int>
    /// `,"conversation":{…}`
    let place: Range<Int>
    /// Where the guild's files are.
    let endpoint: String
    let guild: String

    /// - Parameter user: who the agent is to the guild; empty while that is not known.
    init(
        account: String, user: String, userName: String?, guild: String, channel: String, name: String?,
        type: FabricChannelType, idPrefix: String, purpose: String? = nil, onDuty: [String] = [], endpoint: String = ""
    ) {
        self.endpoint = endpoint
        self.guild = guild
        var writer = JSONWriter()
        writer.string(idPrefix)
        opening = Array("{\"delivery\":".utf8) + writer.bytes.dropLast()
        writer.removeAll()
        writer.beginObject()
        writer.key("account")
        writer.string(account)
        writer.key("channel")
        writer.string("fabric")
        if !user.isEmpty {
            writer.key("self")
            writer.beginObject()
            writer.key("userId")
            writer.string(user)
            if let userName {
                writer.key("username")
                writer.string(userName)
            }
            writer.endObject()
        }
        var record: [UInt8] = [0x22, 0x2C] + writer.bytes.dropFirst()
        self.account = 1..<record.count
        record += Array(",\"wake\":false,\"caughtUp\":false,\"redelivered\":false".utf8)
        let flagged = record.count
        writer.removeAll()
        writer.beginObject()
        writer.key("conversation")
        writer.beginObject()
        writer.key("id")
        writer.string("fabric:\(guild)/\(channel)")
        writer.key("guild")
        writer.string(guild)
        writer.key("channel")
        writer.string(channel)
        writer.key("name")
        writer.string(name ?? "")
        writer.key("type")
        writer.string(type == .dm ? "direct" : "group")
        writer.key("xType")
        writer.string(type.rawValue)
        if let purpose, !purpose.isEmpty {
            writer.key("purpose")
            writer.string(purpose)
        }
        if !onDuty.isEmpty {
            writer.key("onDuty")
            writer.beginArray()
            for user in onDuty { writer.string(user) }
            writer.endArray()
        }
        writer.endObject()
        record += [0x2C] + writer.bytes.dropFirst()
        place = flagged..<record.count
        record += Array(",\"message\":{\"id\":".utf8)
        self.record = record
    }
}
