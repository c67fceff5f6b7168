import GatewayControl
import Glibc
import JSONBytes

/// What a command's standard output says.
enum CommandAnswer {
    /// The text, without the white space at its end; `nil` if there is nothing else.
    static func text(_ output: [UInt8]) -> (reply: AgentReply?, isUTF8: Bool) {
        let text = String(decoding: output, as: UTF8.self)
        let answer = text.trimmingEnd()
        return (answer.isEmpty ? nil : AgentReply(text: answer), text.utf8.elementsEqual(output))
    }

    /// `{"text": …, "media": [{"path": …, "name": …}], "replyTo": …}`, all of it optional; nothing at all, or neither
    /// text nor files, is no answer.
    /// - Parameter directory: what relative paths are relative to.
    static func object(_ output: [UInt8], directory: String) throws(AgentFailure) -> AgentReply? {
        guard output.contains(where: { !$0.isSpace }) else { return nil }
        let tree: JSONValue
        do {
            tree = try JSONValue(parsing: output)
        } catch {
            throw AgentFailure("its output is not one JSON object (\(error)), as “output”: “json” promises")
        }
        guard let members = tree.object else {
            throw AgentFailure("its output is JSON, but no object with “text” and “media”")
        }
        for key in members.keys.sorted() where !["text", "media", "replyTo"].contains(key) {
            throw AgentFailure("its output has the unknown key “\(key.prefix(40))”; known: text, media, replyTo")
        }
        let text = try string(members["text"], "text") ?? ""
        let replyTo = try string(members["replyTo"], "replyTo")
        var files: [ReplyFile] = []
        if let media = members["media"], media != .null {
            guard let elements = media.array else { throw AgentFailure("“media” in its output is not a list") }
            for (index, entry) in elements.enumerated() {
                let place = "media[\(index)]"
                guard let path = try string(entry["path"], "\(place).path"), !path.isEmpty else {
                    throw AgentFailure("“\(place).path” in its output is missing")
                }
                files.append(
                    try file(
                        Files.resolve(path, in: directory), name: try string(entry["name"], "\(place).name"),
                        mediaType: try string(entry["mediaType"], "\(place).mediaType"), place: place))
            }
        }
        let answer = text.trimmingEnd()
        return answer.isEmpty && files.isEmpty ? nil : AgentReply(text: answer, files: files, replyTo: replyTo)
    }

    private static func string(_ value: JSONValue?, _ key: String) throws(AgentFailure) -> String? {
        guard let value, value != .null else { return nil }
        guard let text = value.string else { throw AgentFailure("“\(key)” in its output is not a string") }
        return text
    }

    private static func file(
        _ path: String, name: String?, mediaType: String?, place: String
    ) throws(AgentFailure) -> ReplyFile {
        var facts = stat()
        guard stat(path, &facts) == 0, access(path, R_OK) == 0 else {
            throw AgentFailure("\(place) in its output, \(path), cannot be read: \(String(cString: strerror(errno)))")
        }
        guard facts.st_mode & S_IFMT == S_IFREG else {
            throw AgentFailure("\(place) in its output, \(path), is no regular file")
        }
        return ReplyFile(path: path, name: name ?? Files.name(of: path), mediaType: mediaType)
    }
}

extension UInt8 {
    fileprivate var isSpace: Bool { self == 32 || (9...13).contains(self) }
}
