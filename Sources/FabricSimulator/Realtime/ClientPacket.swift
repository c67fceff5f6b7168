/// An Engine.IO 4 packet from a client, with the Socket.IO 5 packet inside, as far as Fabric uses them.
enum ClientPacket: Equatable, Sendable {
    case close
    case ping
    case pong
    /// CONNECT with the text of its payload, empty if none.
    case connect(namespace: String, payload: String)
    case disconnect(namespace: String)
    /// An event: the text of its JSON array, and the acknowledgement's id if one is asked for.
    case event(namespace: String, id: String?, payload: String)
    /// Well-formed and of no interest: acks, binary events.
    case other
    case malformed

    init(_ text: String) {
        var rest = Substring(text)
        switch rest.popFirst() {
        case "1": self = .close
        case "2": self = .ping
        case "3": self = .pong
        case "4": self = Self.socketIO(rest)
        case "5", "6": self = .other
        default: self = .malformed
        }
    }

    private static func socketIO(_ text: Substring) -> ClientPacket {
        var rest = text
        guard let type = rest.popFirst() else { return .malformed }
        var namespace = "/"
        if type != "5", type != "6", rest.first == "/" {
            namespace = String(rest.prefix { $0 != "," })
            rest = rest.dropFirst(namespace.count + 1)
        }
        switch type {
        case "0": return .connect(namespace: namespace, payload: String(rest))
        case "1": return .disconnect(namespace: namespace)
        case "2":
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            return .event(namespace: namespace, id: digits.isEmpty ? nil : String(digits), payload: String(rest))
        case "3", "5", "6": return .other
        default: return .malformed
        }
    }
}
