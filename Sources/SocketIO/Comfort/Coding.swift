import FoundationEssentials
import JSONBytes
import Locking

// Values of the program's own types, in and out. `Data` members travel as binary attachments.

extension SocketIOValue {
    // The attachments of one encoding; the encoder's closure must be sendable, though it runs in this call only.
    private final class Attachments: Sendable {
        let list = Locked<[[UInt8]]>([])
    }

    private struct Placeholder: Codable {
        var _placeholder: Bool
        var num: Int
    }

    /// Encodes a value of any `Encodable` type; `Data` in it becomes bytes. Dates and other choices are `JSONEncoder`'s
    /// defaults; encode them as you like by giving strings or numbers.
    /// - Throws: ``SocketIOError/invalidArgument(_:)`` for what JSON cannot hold.
    public init(encoding value: some Encodable) throws(SocketIOError) {
        let attachments = Attachments()
        let encoder = JSONEncoder()
        encoder.dataEncodingStrategy = .custom { data, encoder in
            let number = attachments.list.withLock { list in
                list.append(Array(data))
                return list.count - 1
            }
            var container = encoder.singleValueContainer()
            try container.encode(Placeholder(_placeholder: true, num: number))
        }
        do {
            let json = try JSONValue(parsing: Array(try encoder.encode(value)))
            self = SocketIOValue(json, attachments: attachments.list.withLock { $0 })
        } catch {
            throw .invalidArgument("\(type(of: value)) cannot be encoded: \(error)")
        }
    }

    /// Decodes a value of any `Decodable` type; bytes are decoded as `Data`.
    /// - Throws: ``SocketIOError/unexpectedValue(_:)`` that says where it does not fit.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(SocketIOError) -> Value {
        var writer = JSONWriter(capacity: 256)
        var attachments: [[UInt8]] = []
        write(to: &writer, &attachments)
        let found = attachments
        let decoder = JSONDecoder()
        decoder.dataDecodingStrategy = .custom { decoder in
            let placeholder = try decoder.singleValueContainer().decode(Placeholder.self)
            guard found.indices.contains(placeholder.num) else {
                throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "no bytes"))
            }
            return Data(found[placeholder.num])
        }
        do {
            return try decoder.decode(type, from: Data(writer.bytes))
        } catch let error as DecodingError {
            throw .unexpectedValue("no \(type): \(Self.words(for: error))")
        } catch {
            throw .unexpectedValue("no \(type): \(error)")
        }
    }

    private static func words(for error: DecodingError) -> String {
        func place(_ context: DecodingError.Context) -> String {
            let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
            return path.isEmpty ? "" : " at \(path)"
        }
        switch error {
        case .keyNotFound(let key, let context): return "\"\(key.stringValue)\" is missing\(place(context))"
        case .valueNotFound(_, let context): return "null\(place(context))"
        case .typeMismatch(let wanted, let context): return "not a \(wanted)\(place(context))"
        case .dataCorrupted(let context): return context.debugDescription + place(context)
        @unknown default: return "\(error)"
        }
    }
}

extension SocketIOArgument {
    /// A value of any `Encodable` type; `Data` in it is sent as binary.
    /// - Throws: ``SocketIOError/invalidArgument(_:)`` for what JSON cannot hold.
    public static func encoding(_ value: some Encodable) throws(SocketIOError) -> SocketIOArgument {
        .tree(try SocketIOValue(encoding: value))
    }

    /// Bytes of any kind, `Data` among them.
    public static func bytes(_ bytes: some Sequence<UInt8>) -> SocketIOArgument { .binary(Array(bytes)) }
}

extension SocketIOArgument: ExpressibleByFloatLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    /// A number.
    public init(floatLiteral value: Double) { self = .double(value) }
    /// `null`.
    public init(nilLiteral: ()) { self = .null }
    /// An array.
    public init(arrayLiteral elements: SocketIOValue...) { self = .tree(.array(elements)) }
    /// Of a key given twice the last value counts.
    public init(dictionaryLiteral elements: (String, SocketIOValue)...) {
        self = .tree(.object(Dictionary(elements, uniquingKeysWith: { $1 })))
    }
}

extension SocketIOOwnedEvent {
    /// The arguments, with bytes where bytes were sent.
    public var values: [SocketIOValue] { SocketIOValue.list(json, attachments: attachments, skipping: 1) }

    /// An argument as a value of the program's own type.
    /// - Throws: ``SocketIOError/unexpectedValue(_:)`` if there is none, or it does not fit.
    public func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, at index: Int = 0
    ) throws(SocketIOError) -> Value {
        try values.decode(type, at: index, of: "event \"\(name)\"")
    }
}

extension SocketIOAck {
    /// What the server answered, with bytes where bytes were sent.
    public var values: [SocketIOValue] { SocketIOValue.list(arguments, attachments: attachments, skipping: 0) }

    /// A part of the answer as a value of the program's own type.
    /// - Throws: ``SocketIOError/unexpectedValue(_:)`` if there is none, or it does not fit.
    public func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, at index: Int = 0
    ) throws(SocketIOError) -> Value {
        try values.decode(type, at: index, of: "the acknowledgement")
    }
}

extension [SocketIOValue] {
    fileprivate func decode<Value: Decodable>(
        _ type: Value.Type, at index: Int, of what: String
    ) throws(SocketIOError) -> Value {
        guard indices.contains(index) else {
            throw .unexpectedValue("\(what) has no argument \(index), only \(count)")
        }
        return try self[index].decode(type)
    }
}
