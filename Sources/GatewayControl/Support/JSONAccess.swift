import JSONBytes

extension JSONValue {
    /// The strings of an array of strings; other elements are left out.
    package var texts: [String] { array?.compactMap(\.string) ?? [] }

    /// A tree from bytes, or `nil` if they are not one JSON value.
    package static func parsed(_ bytes: [UInt8]) -> JSONValue? { try? JSONValue(parsing: bytes) }

    /// The tree as one line of JSON text.
    package var line: String { String(decoding: serialized, as: UTF8.self) }
}
