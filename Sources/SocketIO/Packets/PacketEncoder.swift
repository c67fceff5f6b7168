import JSONBytes

/// An argument of an event or acknowledgement that is sent.
public enum SocketIOArgument: Sendable, Equatable {
    /// JSON text of one value.
    case json([UInt8])
    /// A text.
    case string(String)
    /// A whole number.
    case int(Int64)
    /// A number; not one that JSON cannot say, such as an infinity.
    case double(Double)
    /// `true` or `false`.
    case bool(Bool)
    /// `null`.
    case null
    /// Sent as a frame of its own.
    case binary([UInt8])
    /// A value of any shape, with bytes anywhere in it.
    case tree(SocketIOValue)
}

extension SocketIOArgument {
    /// A value that is at hand as a tree.
    public static func value(_ value: JSONValue) -> SocketIOArgument { .json(value.serialized) }
}

extension SocketIOArgument: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    /// A text.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A whole number.
    public init(integerLiteral value: Int64) { self = .int(value) }
    /// `true` or `false`.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

/// A packet ready to be sent: a text message, followed by the attachments as binary messages.
public struct EncodedPacket: Sendable, Equatable {
    /// The text message, with the Engine.IO type in front.
    public var text: [UInt8]
    /// One binary message each.
    public var attachments: [[UInt8]] = []
}

/// Builds Socket.IO packets, with the Engine.IO type in front.
public struct PacketEncoder: Sendable {
    /// Namespace as it stands in front of every packet: empty, or `/name,`.
    private let prefix: [UInt8]

    /// - Parameter namespace: `/` for the main one, else beginning with `/`.
    public init(namespace: String) {
        prefix = namespace == "/" || namespace.isEmpty ? [] : Array(namespace.utf8) + [0x2C]
    }

    /// CONNECT, with `payload` (JSON text of an object) or without.
    public func connect(payload: [UInt8]?) -> [UInt8] {
        [0x34, 0x30] + prefix + (payload ?? [])
    }

    /// DISCONNECT.
    public func disconnect() -> [UInt8] {
        [0x34, 0x31] + prefix
    }

    /// An event. `id` asks for an acknowledgement.
    /// - Throws: ``SocketIOError/invalidArgument(_:)`` for broken JSON or a reserved name.
    public func event(
        _ name: String, _ arguments: [SocketIOArgument], id: UInt64? = nil
    ) throws(SocketIOError) -> EncodedPacket {
        guard !Self.reservedNames.contains(name) else {
            throw .invalidArgument("the event name \"\(name)\" is reserved by Socket.IO")
        }
        return try packet(text: 0x32, binary: 0x35, name: name, arguments, id: id)
    }

    /// The answer to an event that asked for one.
    /// - Throws: ``SocketIOError/invalidArgument(_:)`` for broken JSON.
    public func acknowledgement(
        _ arguments: [SocketIOArgument], id: UInt64
    ) throws(SocketIOError) -> EncodedPacket {
        try packet(text: 0x33, binary: 0x36, name: nil, arguments, id: id)
    }

    private static func problem(with json: [UInt8]) -> JSONSyntaxError? {
        json.withUnsafeBytes { bytes -> JSONSyntaxError? in
            do throws(JSONSyntaxError) {
                try JSONBytes.validateWhole(bytes)
                return nil
            } catch {
                return error
            }
        }
    }

    static let reservedNames: Set<String> = [
        "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
    ]

    private func packet(
        text: UInt8, binary: UInt8, name: String?, _ arguments: [SocketIOArgument], id: UInt64?
    ) throws(SocketIOError) -> EncodedPacket {
        var attachments: [[UInt8]] = []
        var writer = JSONWriter(capacity: 128)
        writer.beginArray()
        if let name { writer.string(name) }
        for (index, argument) in arguments.enumerated() {
            switch argument {
            case .json(let bytes):
                if let problem = Self.problem(with: bytes) {
                    throw .invalidArgument("argument \(index) is no JSON: \(problem)")
                }
                writer.raw(bytes)
            case .string(let value): writer.string(value)
            case .int(let value): writer.int(value)
            case .double(let value): writer.double(value)
            case .bool(let value): writer.bool(value)
            case .null: writer.null()
            case .binary(let bytes): SocketIOValue.binary(bytes).write(to: &writer, &attachments)
            case .tree(let value): value.write(to: &writer, &attachments)
            }
        }
        writer.endArray()
        var head: [UInt8] = [0x34, attachments.isEmpty ? text : binary]
        head.reserveCapacity(writer.bytes.count + prefix.count + 32)
        if !attachments.isEmpty { head += Array("\(attachments.count)-".utf8) }
        head += prefix
        if let id { head += Array("\(id)".utf8) }
        return EncodedPacket(text: head + writer.bytes, attachments: attachments)
    }
}
