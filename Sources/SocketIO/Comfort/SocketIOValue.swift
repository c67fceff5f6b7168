import JSONBytes

/// A value that is sent or received: JSON, and bytes wherever they stand in it.
///
/// Literals make one: `["id": 7, "tags": ["a", "b"], "picture": .binary(bytes)]`.
public enum SocketIOValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    /// Bytes; on the wire a binary frame of its own.
    case binary([UInt8])
    case array([SocketIOValue])
    case object([String: SocketIOValue])

    /// The same as a tree of its own.
    public init(_ json: JSONValue) {
        switch json {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(value)
        case .double(let value): self = .double(value)
        case .string(let value): self = .string(value)
        case .array(let elements): self = .array(elements.map { SocketIOValue($0) })
        case .object(let members): self = .object(members.mapValues { SocketIOValue($0) })
        }
    }

    /// A received value, with the attachments in the places that stand for them.
    init(_ json: JSONValue, attachments: [[UInt8]]) {
        switch json {
        case .array(let elements): self = .array(elements.map { SocketIOValue($0, attachments: attachments) })
        case .object(let members):
            if members["_placeholder"]?.bool == true, let number = members["num"]?.int,
                let index = Int(exactly: number), attachments.indices.contains(index)
            {
                self = .binary(attachments[index])
            } else {
                self = .object(members.mapValues { SocketIOValue($0, attachments: attachments) })
            }
        default: self = SocketIOValue(json)
        }
    }

    /// The JSON text of an array of values, without the first `skipped` of them.
    static func list(_ text: [UInt8], attachments: [[UInt8]], skipping skipped: Int) -> [SocketIOValue] {
        guard case .array(let values)? = try? JSONValue(parsing: text) else { return [] }
        return values.dropFirst(skipped).map { SocketIOValue($0, attachments: attachments) }
    }

    /// Writes the value; bytes become placeholders of attachments, which are appended.
    func write(to writer: inout JSONWriter, _ attachments: inout [[UInt8]]) {
        switch self {
        case .null: writer.null()
        case .bool(let value): writer.bool(value)
        case .int(let value): writer.int(value)
        case .double(let value): writer.double(value)
        case .string(let value): writer.string(value)
        case .binary(let bytes):
            writer.beginObject()
            writer.key("_placeholder")
            writer.bool(true)
            writer.key("num")
            writer.int(attachments.count)
            writer.endObject()
            attachments.append(bytes)
        case .array(let elements):
            writer.beginArray()
            for element in elements { element.write(to: &writer, &attachments) }
            writer.endArray()
        case .object(let members):
            writer.beginObject()
            for (name, value) in members.sorted(by: { $0.key < $1.key }) {
                writer.key(name)
                value.write(to: &writer, &attachments)
            }
            writer.endObject()
        }
    }
}

// Looking inside.
extension SocketIOValue {
    /// The member of that name, if this is an object that has it.
    public subscript(_ key: String) -> SocketIOValue? { object?[key] }

    /// The element of that number, if this is an array that has it.
    public subscript(_ index: Int) -> SocketIOValue? {
        guard let array, array.indices.contains(index) else { return nil }
        return array[index]
    }

    /// Whether the value is `null`.
    public var isNull: Bool { self == .null }

    /// The value of `true` or `false`; nil for anything else.
    public var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    /// A whole number; nil for anything else.
    public var int: Int64? {
        guard case .int(let value) = self else { return nil }
        return value
    }

    /// A number, whole or not.
    public var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// A text; nil for anything else.
    public var string: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    /// Bytes that travel as a binary attachment; nil for anything else.
    public var bytes: [UInt8]? {
        guard case .binary(let value) = self else { return nil }
        return value
    }

    /// The elements of an array; nil for anything else.
    public var array: [SocketIOValue]? {
        guard case .array(let value) = self else { return nil }
        return value
    }

    /// The members of an object; nil for anything else.
    public var object: [String: SocketIOValue]? {
        guard case .object(let value) = self else { return nil }
        return value
    }
}

extension SocketIOValue: JSONLiterals {}
