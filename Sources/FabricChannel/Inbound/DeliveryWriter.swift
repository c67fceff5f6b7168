import FabricAPI
import JSONBytes

/// What a delivery says besides the message itself.
struct DeliveryFacts {
    var wake: Bool
    var caughtUp: Bool
    var redelivered: Bool
    /// Whether the author is known to be an agent.
    var isFromAgent: Bool
    /// Which turn of a wake delivery this is, from 1.
    var attempt = 1
}

/// A file that was fetched for a delivery, or could not be.
struct DeliveredMedia: Sendable, Equatable {
    var path: String
    var name: String
    var mediaType: String
    var bytes: Int64
}

struct FailedMedia: Sendable, Equatable {
    var name: String
    var reason: String
}

/// Writes a delivery, the JSON object that the C header defines. Strings that the guild sent are copied as they stand, escapes
/// included: nothing is decoded and encoded again.
enum DeliveryWriter {
    /// The part of a delivery id that names the message: its seq, or its id where the guild gives no seq.
    static func idSuffix(sequence: Int64?, messageID: String) -> String {
        sequence.map(String.init) ?? "id:\(messageID)"
    }

    /// As below. Here, as a closure in the account would be the account's: of such a one the runtime asks, each time it is
    /// called by code that is not known to be there, on which executor it runs (a twelfth of the cost of a short message).
    @inline(__always)
    static func write(
        record view: FabricMessageView, borrowed: Unmanaged<ConversationText>, isFromAgent: Bool,
        to buffer: DeliveryBuffer
    ) {
        borrowed._withUnsafeGuaranteedRef { write(record: view, text: $0, isFromAgent: isFromAgent, to: buffer) }
    }

    /// A delivery for the record of a message that came just now: the way of nearly every message. What it has of the usual
    /// members is written in one go; the rare ones take the other way, which writes the same.
    @inline(__always)
    static func write(
        record view: FabricMessageView, text: ConversationText, isFromAgent: Bool, to buffer: DeliveryBuffer
    ) {
        guard let sequence = view.seq, sequence >= 0, view.replyTo == nil, !view.isFromSystem,
            !Mentions.mayBe(in: view),
            view.attachments.map({ $0.rawBytes.count <= 2 }) ?? true
        else {
            let facts = DeliveryFacts(wake: false, caughtUp: false, redelivered: false, isFromAgent: isFromAgent)
            return write(view, text: text, facts: facts, to: buffer)
        }
        let author = view.author
        let content = view.content
        let name = view.authorName
        let createdAt = view.createdAt
        // What is constant below, two numbers and what `put(string:)` may add are less than 256 bytes.
        var pen = DeliveryPen(
            buffer,
            atMost: 256 + text.opening.count + text.record.count + view.id.rawBytes.count
                + (content?.rawBytes.count ?? 0) + (author?.rawBytes.count ?? 0) + (name?.rawBytes.count ?? 0)
                + (createdAt?.rawBytes.count ?? 0))
        pen.put(text.opening)
        let digits = pen.put(sequence)
        pen.put(text.record)
        pen.put(string: view.id)
        pen.put(",\"seq\":")
        pen.put(digits)
        pen.put(",\"text\":")
        pen.put(string: content)
        pen.put(",\"author\":{\"id\":")
        pen.put(string: author)
        pen.put(isFromAgent ? ",\"isAgent\":true" : ",\"isAgent\":false")
        if let name {
            pen.put(",\"name\":")
            pen.put(name.rawBytes)
        }
        pen.put("}")
        if let createdAt, createdAt.kind == .string {
            pen.put(",\"createdAt\":")
            pen.put(createdAt.rawBytes)
        }
        pen.put(",\"mentions\":[]},\"media\":[]}")
        pen.end(in: buffer)
    }

    /// A delivery of a message in hand; its id follows from the message.
    @inline(never)
    static func write(
        _ view: FabricMessageView, text: ConversationText, facts: DeliveryFacts, tail: [UInt8] = [],
        to buffer: DeliveryBuffer
    ) {
        buffer.removeAll()
        buffer.append(text.opening)
        if let sequence = view.seq {
            buffer.append(sequence)
        } else {
            buffer.append("id:")
            buffer.append(view.id.stringBytes ?? view.id.rawBytes)
        }
        buffer.append("\"")
        writeRest(view, text: text, facts: facts, media: [], failed: [], tail: tail, to: buffer)
    }

    /// A delivery that got its id before.
    static func write(
        _ view: FabricMessageView, id: String, text: ConversationText, facts: DeliveryFacts, media: [DeliveredMedia],
        failed: [FailedMedia], tail: [UInt8] = [], to buffer: DeliveryBuffer
    ) {
        buffer.removeAll()
        buffer.append("{\"delivery\":")
        var writer = JSONWriter()
        writer.string(id)
        buffer.append(writer.bytes)
        writeRest(view, text: text, facts: facts, media: media, failed: failed, tail: tail, to: buffer)
    }

    /// A change of a conversation.
    /// - Parameter members: an object: its kind and what belongs to it.
    static func write(change members: JSONValue, id: String, text: ConversationText, to buffer: DeliveryBuffer) {
        buffer.removeAll()
        buffer.append("{\"delivery\":")
        var writer = JSONWriter()
        writer.string(id)
        buffer.append(writer.bytes)
        buffer.append(text.record, text.account)
        buffer.append(",\"wake\":false")
        buffer.append(text.record, text.place)
        buffer.append(",")
        buffer.append(Array(members.serialized.dropFirst()))
    }

    private static func writeRest(
        _ view: FabricMessageView, text: ConversationText, facts: DeliveryFacts, media: [DeliveredMedia],
        failed: [FailedMedia], tail: [UInt8], to buffer: DeliveryBuffer
    ) {
        buffer.append(text.record, text.account)
        buffer.append(facts.wake ? ",\"wake\":true" : ",\"wake\":false")
        buffer.append(facts.caughtUp ? ",\"caughtUp\":true" : ",\"caughtUp\":false")
        buffer.append(facts.redelivered ? ",\"redelivered\":true" : ",\"redelivered\":false")
        if facts.wake {
            buffer.append(",\"attempt\":")
            buffer.append(Int64(facts.attempt))
        }
        buffer.append(text.record, text.place.lowerBound..<text.record.count)
        append(string: view.id, to: buffer)
        if let sequence = view.seq {
            buffer.append(",\"seq\":")
            buffer.append(sequence)
        }
        buffer.append(",\"text\":")
        append(string: view.content, to: buffer)
        buffer.append(",\"author\":{\"id\":")
        append(string: view.author, to: buffer)
        buffer.append(facts.isFromAgent ? ",\"isAgent\":true" : ",\"isAgent\":false")
        if let name = view.authorName {
            buffer.append(",\"name\":")
            buffer.append(name.rawBytes)
        }
        if view.isFromSystem { buffer.append(",\"isSystem\":true") }
        buffer.append("}")
        if let createdAt = view.createdAt, createdAt.kind == .string {
            buffer.append(",\"createdAt\":")
            buffer.append(createdAt.rawBytes)
        }
        if let replyTo = view.replyTo, let id = replyTo.messageId {
            buffer.append(",\"replyTo\":")
            buffer.append(id.rawBytes)
        }
        buffer.append(",\"mentions\":")
        appendMentions(of: view, to: buffer)
        buffer.append("}")
        buffer.append(",\"media\":[")
        if !media.isEmpty { append(media, to: buffer) }
        buffer.append("]")
        if !failed.isEmpty { append(failed, to: buffer) }
        if media.isEmpty, failed.isEmpty, !facts.wake, let files = view.attachments, files.rawBytes.count > 2,
            files.kind == .array
        {
            append(attachments: files, endpoint: text.endpoint, to: buffer)
        }
        if !tail.isEmpty { buffer.append(tail) }
        buffer.append("}")
    }

    /// Ids may come as numbers from a guild we do not know; the delivery promises strings.
    private static func append(string view: JSONView?, to buffer: DeliveryBuffer) {
        guard let view else {
            buffer.append("\"\"")
            return
        }
        switch view.kind {
        case .string: buffer.append(view.rawBytes)
        case .number:
            buffer.append("\"")
            buffer.append(view.rawBytes)
            buffer.append("\"")
        default: buffer.append("\"\"")
        }
    }

    private static func appendMentions(of view: FabricMessageView, to buffer: DeliveryBuffer) {
        if Mentions.mayBe(in: view) {
            appendMentions(Mentions.ids(in: view), to: buffer)
        } else {
            buffer.append("[]")
        }
    }

    @inline(never)
    private static func appendMentions(_ ids: [String], to buffer: DeliveryBuffer) {
        var writer = JSONWriter()
        writer.beginArray()
        for id in ids { writer.string(id) }
        writer.endArray()
        buffer.append(writer.bytes)
    }

    /// The guild's own list, each entry with an address that can be fetched from anywhere.
    @inline(never)
    private static func append(attachments: JSONView, endpoint: String, to buffer: DeliveryBuffer) {
        var rows: [JSONValue] = []
        attachments.forEachElement { element in
            let value = JSONValue(element)
            guard let file = FabricAttachment(element) else {
                rows.append(value)
                return true
            }
            let isRelative = !file.url.contains("://")
            let url = isRelative ? endpoint + (file.url.hasPrefix("/") ? "" : "/") + file.url : file.url
            rows.append((value.object == nil ? ["url": value] : value).with(["fileId": .string(url)]))
            return true
        }
        buffer.append(DeliveryTail.member("attachments", .array(rows)))
    }

    @inline(never)
    private static func append(_ media: [DeliveredMedia], to buffer: DeliveryBuffer) {
        var writer = JSONWriter()
        for item in media {
            writer.beginObject()
            writer.key("path")
            writer.string(item.path)
            writer.key("name")
            writer.string(item.name)
            writer.key("mediaType")
            writer.string(item.mediaType)
            writer.key("bytes")
            writer.int(item.bytes)
            writer.endObject()
        }
        buffer.append(writer.bytes)
    }

    @inline(never)
    private static func append(_ failed: [FailedMedia], to buffer: DeliveryBuffer) {
        var writer = JSONWriter()
        writer.beginArray()
        for item in failed {
            writer.beginObject()
            writer.key("name")
            writer.string(item.name)
            writer.key("error")
            writer.string(item.reason)
            writer.endObject()
        }
        writer.endArray()
        buffer.append(",\"mediaFailed\":")
        buffer.append(writer.bytes)
    }
}
