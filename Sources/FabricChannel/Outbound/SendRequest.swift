import ChannelStore
import JSONBytes

/// A send, as the gateway asks for it (`gateway_channel.h` describes the object).
struct SendRequest: Sendable, Equatable {
    var account: String
    var to: OutboundTarget
    var text: String
    var media: [StoredMedia]
    var replyTo: String?
    /// The wake delivery whose turn the message belongs to.
    var delivery: String?

    /// Reads and checks the request.
    init(_ json: [UInt8]) throws(RequestProblem) {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: json)
        } catch {
            throw SendRequest.problem("the request is not JSON: \(error)", key: "send", remedy: "send one JSON object")
        }
        account = try value.requiredAccount()
        let target = try SendRequest.required("to", value)
        guard let to = OutboundTarget(target) else {
            throw SendRequest.problem(
                "\"\(target.prefix(120))\" names no channel", key: "to",
                remedy:
                    "use fabric:<guild>/<channel>, fabric:<channel> or #<name>; a guild may be given by its name too")
        }
        self.to = to
        text = value["text"]?.string ?? ""
        replyTo = value["replyTo"]?.string
        delivery = value["delivery"]?.string
        media = []
        for (index, item) in (value["media"]?.array ?? []).enumerated() {
            guard let path = item["path"]?.string, !path.isEmpty else {
                throw SendRequest.problem(
                    "a file without a path", key: "media[\(index)].path", remedy: "give an absolute path")
            }
            guard path.hasPrefix("/") else {
                throw SendRequest.problem(
                    "\"\(path.prefix(120))\" is not an absolute path", key: "media[\(index)].path",
                    remedy: "give an absolute path")
            }
            media.append(SendRequest.media(path, name: item["name"]?.string, mediaType: item["mediaType"]?.string))
        }
        if text.isEmpty && media.isEmpty {
            throw SendRequest.problem(
                "the message has neither text nor files", key: "text", remedy: "give one of them")
        }
    }

    /// A message that the module itself has to send.
    init(account: String, to: OutboundTarget, text: String, media: [StoredMedia], replyTo: String?) {
        self.account = account
        self.to = to
        self.text = text
        self.media = media
        self.replyTo = replyTo
    }

    /// A file as the guild's readers are to see it.
    static func media(_ path: String, name: String?, mediaType: String?) -> StoredMedia {
        let name = AttachmentName.safe(name ?? path.split(separator: "/").last.map(String.init))
        return StoredMedia(path: path, name: name, mediaType: mediaType ?? MediaTypeGuess.byExtension(name))
    }

    private static func required(_ key: String, _ value: JSONValue) throws(RequestProblem) -> String {
        guard let text = value[key]?.string, !text.isEmpty else {
            throw problem("\"\(key)\" is missing or not a string", key: key, remedy: "give it as a string")
        }
        return text
    }

    private static func problem(_ text: String, key: String, remedy: String) -> RequestProblem {
        RequestProblem(.invalid, text, at: "send request, key \(key)", remedy: remedy)
    }
}

/// The media type of a file that is about to be sent, by its name; the guild's readers decide by content anyway.
enum MediaTypeGuess {
    static func byExtension(_ name: String) -> String {
        let known = [
            "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif",
            "webp": "image/webp", "svg": "image/svg+xml", "pdf": "application/pdf", "txt": "text/plain",
            "md": "text/markdown", "csv": "text/csv", "json": "application/json", "html": "text/html",
            "zip": "application/zip", "gz": "application/gzip", "mp3": "audio/mpeg", "wav": "audio/wav",
            "ogg": "audio/ogg", "mp4": "video/mp4", "webm": "video/webm",
        ]
        guard let dot = name.lastIndex(of: ".") else { return "application/octet-stream" }
        return known[name[name.index(after: dot)...].lowercased()] ?? "application/octet-stream"
    }
}
