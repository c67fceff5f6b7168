import JSONBytes

/// Reading and writing of JSON trees as the host needs them: absent and mistyped fields are `nil`, never a default
/// that could read as good news.
extension JSONValue {
    package var text: String? { if case .string(let value) = self { value } else { nil } }
    package var flag: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var elements: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    package var members: [String: JSONValue]? { if case .object(let value) = self { value } else { nil } }

    package var integer: Int64? {
        switch self {
        case .int(let value): value
        case .double(let value): Int64(exactly: value)
        default: nil
        }
    }

    package var number: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// The strings of an array of strings; other elements are left out.
    package var texts: [String] { elements?.compactMap(\.text) ?? [] }

    /// A tree from bytes, or `nil` if they are not one JSON value.
    package static func parsed(_ bytes: [UInt8]) -> JSONValue? { try? JSONValue(parsing: bytes) }

    /// The tree as one line of JSON text.
    package var line: String { String(decoding: serialized, as: UTF8.self) }
}
