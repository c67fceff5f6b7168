import GatewayControl
import JSONBytes

/// What the agent said of itself in `initialize`.
struct ACPAbilities: Equatable, Sendable {
    var loads = false
    var closes = false
    var takesEmbedded = false
    var authMethods: [String] = []

    init() {}

    init(_ result: JSONValue) {
        let capabilities = result["agentCapabilities"]
        loads = capabilities?["loadSession"]?.bool ?? false
        closes = capabilities?["sessionCapabilities"]?["close"].map { $0 != .null } ?? false
        takesEmbedded = capabilities?["promptCapabilities"]?["embeddedContext"]?.bool ?? false
        authMethods = (result["authMethods"]?.array ?? []).compactMap { $0["id"]?.string }
    }
}

/// How an agent's questions are answered, and where it works.
struct ACPPolicy: Equatable, Sendable {
    var allowsAll = false
    /// Kinds of tool calls that are allowed: read, edit, delete, move, search, execute, think, fetch, other.
    var allowedKinds: Set<String> = []
    var authMethod: String?
    /// The sessions' working directory, absolute.
    var directory = "/"

    static let cancelled: JSONValue = ["outcome": "cancelled"]

    /// The answer to `session/request_permission`.
    func outcome(of parameters: JSONValue) -> JSONValue {
        let kind = parameters["toolCall"]?["kind"]?.string ?? "other"
        // Only once: what is allowed for ever would outlive a change of the settings.
        let wanted =
            allowsAll || allowedKinds.contains(kind)
            ? ["allow_once", "allow_always"] : ["reject_once", "reject_always"]
        let options = parameters["options"]?.array ?? []
        for kind in wanted {
            if let id = options.first(where: { $0["kind"]?.string == kind })?["optionId"] {
                return ["outcome": "selected", "optionId": id]
            }
        }
        return Self.cancelled
    }
}

/// Messages of the protocol.
enum ACPMessages {
    static let initialize: JSONValue = [
        "protocolVersion": 1,
        "clientCapabilities": ["fs": ["readTextFile": false, "writeTextFile": false], "terminal": false],
        "clientInfo": ["name": "gateway", "title": "Gateway", "version": "1"],
    ]

    static func request(_ id: Int64, _ method: String, _ parameters: JSONValue) -> JSONValue {
        ["jsonrpc": "2.0", "id": .int(id), "method": .string(method), "params": parameters]
    }

    static func notification(_ method: String, _ parameters: JSONValue) -> JSONValue {
        ["jsonrpc": "2.0", "method": .string(method), "params": parameters]
    }

    static func response(_ id: JSONValue, _ result: JSONValue) -> JSONValue {
        ["jsonrpc": "2.0", "id": id, "result": result]
    }

    static func refusal(_ id: JSONValue, _ message: String) -> JSONValue {
        ["jsonrpc": "2.0", "id": id, "error": ["code": -32601, "message": .string(message)]]
    }

    /// Parameters of `session/new`, or of `session/load` of that id.
    static func session(_ id: String?, directory: String, servers: [JSONValue]) -> JSONValue {
        var parameters: [String: JSONValue] = ["cwd": .string(directory), "mcpServers": .array(servers)]
        parameters["sessionId"] = id.map { .string($0) }
        return .object(parameters)
    }

    /// An error in words, without control characters and not too long.
    static func words(of error: JSONValue) -> String {
        let text = error["message"]?.string ?? "no reason"
        let details = error["data"]?["details"]?.string ?? error["data"]?.string
        let whole = details.map { "\(text): \($0)" } ?? text
        return String(whole.printable(lineBreak: " ").prefix(300))
    }

    /// What a turn is asked: the message as it was written first, then its files, what was said before as far as its session
    /// has not heard it, what it is told in this conversation, and where the message comes from.
    /// - Parameter heard: the position up to which the session knows the conversation; nil: it is new.
    static func prompt(_ turn: Turn, heard: Int64? = nil) -> [JSONValue] {
        let head = turn.head
        var blocks: [JSONValue] = []
        if !head.text.isEmpty { blocks.append(["type": "text", "text": .string(head.text)]) }
        for file in head.media {
            guard let path = file.path else { continue }
            var link: [String: JSONValue] = [
                "type": "resource_link", "uri": .string("file://" + encoded(path)),
                "name": .string(file.name ?? Files.name(of: path)),
            ]
            link["mimeType"] = file.mediaType.map { .string($0) }
            blocks.append(.object(link))
        }
        if let before = before(turn, heard: heard) { blocks.append(["type": "text", "text": .string(before)]) }
        if let instructions = head.instructions {
            blocks.append(["type": "text", "text": .string("\n[You are told in this conversation: \(instructions)]")])
        }
        blocks.append(["type": "text", "text": .string(context(of: head))])
        return blocks
    }

    /// The `history` of the delivery, where its binding asks for it.
    private static func before(_ turn: Turn, heard: Int64?) -> String? {
        guard let delivery = try? JSONValue(parsing: turn.delivery), let history = delivery["history"]?.array else {
            return nil
        }
        let own = delivery["self"]?["userId"]?.string
        let lines = history.compactMap { entry -> String? in
            let author = entry["author"]
            let isOwn = own != nil && author?["id"]?.string == own
            // What it said itself it knows, unless it begins anew.
            guard let text = entry["text"]?.string, !text.isEmpty, heard == nil || !isOwn,
                entry["seq"]?.int ?? .max > heard ?? .min
            else { return nil }
            return (isOwn ? "you" : author?["name"]?.string ?? author?["id"]?.string ?? "somebody") + ": " + text
        }
        return lines.isEmpty ? nil : "\n[Said here before:\n\(lines.joined(separator: "\n"))]"
    }

    /// Where a message comes from, for an agent that serves many conversations and people.
    private static func context(of head: DeliveryHead) -> String {
        var text = "\n[The message above is from \(head.authorName ?? "somebody")"
        if head.authorIsSystem { text += ", the chat system itself" }
        if head.authorIsAgent { text += ", who is an agent" }
        if let message = head.replyTo { text += ", in answer to the message \(message)" }
        text +=
            ", in \(head.roomName.map { "#\($0), " } ?? "")\(head.conversation)"
        if let purpose = head.purpose { text += ", which is for: \(purpose)" }
        return text + ". What you answer is posted there as \(head.account).]"
    }

    private static func encoded(_ path: String) -> String {
        path.utf8.map { byte in
            switch byte {
            case 0x2F, 0x2D, 0x2E, 0x5F, 0x7E, 0x30...0x39, 0x41...0x5A, 0x61...0x7A: String(UnicodeScalar(byte))
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
}
