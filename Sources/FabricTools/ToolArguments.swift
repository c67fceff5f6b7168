import JSONBytes
import Settings

/// The arguments of a call, checked against the tool: what is in here is of the kind that the tool says.
public struct ToolArguments: Sendable, Equatable {
    /// A file that is to be sent.
    public struct File: Sendable, Equatable {
        public var path: String
        public var name: String?
        public var mediaType: String?
    }

    static let longestID = 300
    static let mostEntries = 500
    static let mostFiles = 64

    private var values: [String: JSONValue] = [:]

    /// Checks the arguments of a call.
    /// - Parameter value: an object, or null for none.
    /// - Throws: ``ToolFailure`` with the argument that is wrong and what would be right.
    public init(_ value: JSONValue, for tool: Tool) throws(ToolFailure) {
        guard let given = value == .null ? [:] : value.object else {
            throw ToolFailure(.invalidArgument, "the arguments of \(tool.name) must be one JSON object")
        }
        for (name, value) in given.sorted(by: { $0.key < $1.key }) where value != .null {
            guard let parameter = tool.parameters.first(where: { $0.name == name || $0.snakeName == name }) else {
                throw Self.unknown(name, tool)
            }
            guard let checked = Self.checked(value, parameter) else {
                throw ToolFailure(
                    .invalidArgument,
                    "\(tool.name): the argument \"\(name)\" must be \(parameter.expectation), not \(Self.shown(value, parameter))",
                    argument: name)
            }
            if let other = values[parameter.name], other != checked {
                throw ToolFailure(
                    .invalidArgument,
                    "\(tool.name): \"\(parameter.name)\" and \"\(parameter.snakeName)\" are the same argument "
                        + "with two values; give one", argument: parameter.name)
            }
            values[parameter.name] = checked
        }
        try checkComplete(tool)
    }

    private func checkComplete(_ tool: Tool) throws(ToolFailure) {
        for parameter in tool.parameters where parameter.isRequired && values[parameter.name] == nil {
            throw ToolFailure(
                .invalidArgument,
                "\(tool.name): the argument \"\(parameter.name)\" is missing; it must be \(parameter.expectation)",
                argument: parameter.name)
        }
    }

    private static func unknown(_ name: String, _ tool: Tool) -> ToolFailure {
        if ["agentId", "agent_id", "account", "accountId"].contains(name) {
            return ToolFailure(
                .invalidArgument,
                "\(tool.name): \"\(name)\" is no argument; a tool acts as the account it was called for. Leave it out",
                argument: name)
        }
        let names = tool.parameters.map(\.name)
        let remedy: String
        if let near = Nearest.word(to: name, among: names + tool.parameters.map(\.snakeName)) {
            remedy = "did you mean \"\(near)\"?"
        } else if names.isEmpty {
            remedy = "it takes none"
        } else {
            remedy = "it takes \(names.joined(separator: ", "))"
        }
        return ToolFailure(
            .invalidArgument, "\(tool.name) has no argument \"\(name.prefix(80))\"; \(remedy)",
            argument: String(name.prefix(80)))
    }

    /// The value as it is used; nil if it is of the wrong kind.
    private static func checked(_ value: JSONValue, _ parameter: ToolParameter) -> JSONValue? {
        switch parameter.kind {
        case .text(let maximum, let mayBeEmpty):
            guard let text = value.string, mayBeEmpty || !text.isEmpty, text.count <= maximum else { return nil }
            return value
        case .id: return kept(value, if: isID(value))
        case .whole(let range):
            // A model writes 20, 20.0 or "20".
            guard let number = value.int ?? value.string.flatMap({ Int64($0) }), range.contains(number) else {
                return nil
            }
            return .int(number)
        case .truth:
            if value.string == "true" { return true }
            if value.string == "false" { return false }
            return kept(value, if: value.bool != nil)
        case .choice(let words):
            guard let word = value.string, words.contains(word) else { return nil }
            return value
        case .ids:
            // One id instead of a list of one is what a model writes too.
            let list = value.array ?? [value]
            guard list.count <= mostEntries, list.allSatisfy(isID) else { return nil }
            return .array(list)
        case .files:
            let list = value.array ?? [value]
            guard list.count <= mostFiles else { return nil }
            return kept(.array(list), if: list.allSatisfy { file($0) != nil })
        }
    }

    private static func kept(_ value: JSONValue, if isRight: Bool) -> JSONValue? {
        guard isRight else { return nil }
        return value
    }

    private static func isID(_ value: JSONValue) -> Bool {
        guard let text = value.string, !text.isEmpty, text.utf8.count <= longestID else { return false }
        return !text.unicodeScalars.contains { $0.value <= 0x20 || $0.value == 0x7F }
    }

    private static func file(_ value: JSONValue) -> File? {
        guard let path = value.string ?? value["path"]?.string, path.hasPrefix("/") else { return nil }
        return File(path: path, name: value["name"]?.string, mediaType: value["mediaType"]?.string)
    }

    /// Texts are not repeated, but for a short one in the place of a word: they may be secret, or long.
    private static func shown(_ value: JSONValue, _ parameter: ToolParameter) -> String {
        switch value {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .int(let value): "\(value)"
        case .double(let value): "\(value)"
        case .string(let text) where text.isEmpty: "an empty string"
        case .string(let text):
            if case .choice = parameter.kind, text.count <= 40 {
                "\"\(text)\""
            } else {
                "a string of \(text.count) characters"
            }
        case .array(let list): "an array of \(list.count)"
        case .object: "an object"
        }
    }

    // MARK: Reading

    /// Whether it was given.
    public func has(_ name: String) -> Bool { values[name] != nil }
    /// A text, id or choice.
    public func text(_ name: String) -> String? { values[name]?.string }
    /// A text that the tool requires.
    public func need(_ name: String) -> String { values[name]?.string ?? "" }
    public func whole(_ name: String) -> Int64? { values[name]?.int }
    public func truth(_ name: String) -> Bool? { values[name]?.bool }
    /// Each id once, in order; empty if it was not given.
    public func ids(_ name: String) -> [String] {
        var seen: Set<String> = []
        return (values[name]?.array ?? []).compactMap(\.string).filter { seen.insert($0).inserted }
    }
    public func files(_ name: String) -> [File] { (values[name]?.array ?? []).compactMap { Self.file($0) } }
}
