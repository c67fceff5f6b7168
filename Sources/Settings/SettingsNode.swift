import JSONBytes

/// A value of a configuration with the place where it stands.
public struct SettingsNode: Sendable, Equatable {
    public enum Value: Sendable, Equatable {
        case null
        case bool(Bool)
        case int(Int64)
        case double(Double)
        case string(String)
        case array([SettingsNode])
        case object([Member])

        /// The kind in words, for messages. Never the value: it may be a secret.
        public var kind: String {
            switch self {
            case .null: "null"
            case .bool: "true or false"
            case .int, .double: "a number"
            case .string: "a string"
            case .array: "a list"
            case .object: "an object"
            }
        }
    }

    public struct Member: Sendable, Equatable {
        public let name: String
        public let node: SettingsNode

        public init(name: String, node: SettingsNode) {
            self.name = name
            self.node = node
        }
    }

    /// Where a value stands.
    public struct Place: Sendable, Equatable {
        public var file: String
        /// From 1; nil if the text did not come from a file.
        public var line: Int?

        public init(file: String, line: Int?) {
            self.file = file
            self.line = line
        }
    }

    public let value: Value
    /// As in ``SettingsError/keyPath``.
    public let keyPath: String
    public let place: Place

    public init(_ value: Value, keyPath: String, place: Place) {
        self.value = value
        self.keyPath = keyPath
        self.place = place
    }

    /// The members in the order of the text; nil if this is no object.
    public var members: [Member]? {
        guard case .object(let members) = value else { return nil }
        return members
    }

    /// The elements; nil if this is no list.
    public var elements: [SettingsNode]? {
        guard case .array(let elements) = value else { return nil }
        return elements
    }

    /// The text; nil if this is no string.
    public var string: String? {
        guard case .string(let text) = value else { return nil }
        return text
    }

    /// The member of that name.
    public subscript(_ name: String) -> SettingsNode? { members?.first { $0.name == name }?.node }

    /// The value without its places.
    public var json: JSONValue {
        switch value {
        case .null: .null
        case .bool(let value): .bool(value)
        case .int(let value): .int(value)
        case .double(let value): .double(value)
        case .string(let value): .string(value)
        case .array(let elements): .array(elements.map(\.json))
        case .object(let members):
            .object(Dictionary(members.map { ($0.name, $0.node.json) }, uniquingKeysWith: { $1 }))
        }
    }

    /// The path of a member. A name that could be mistaken for a path is quoted.
    static func path(_ parent: String, _ name: String) -> String {
        let isPlain =
            !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D: true
                default: byte >= 0x80
                }
            }
        // Paths are shown: a key that was put into the place of a name must not be.
        let shown = Secret.masked(name)
        let step = isPlain ? shown : "\"\(shown)\""
        return parent.isEmpty ? step : parent + "." + step
    }
}
