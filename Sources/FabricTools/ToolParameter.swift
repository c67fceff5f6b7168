import JSONBytes

/// One argument of a tool.
public struct ToolParameter: Sendable, Equatable {
    /// What an argument may be.
    public enum Kind: Sendable, Equatable {
        /// A text of at most so many characters; an empty one only where it says something.
        case text(maximum: Int, mayBeEmpty: Bool)
        /// The id of a user, channel, message or file.
        case id
        case whole(ClosedRange<Int64>)
        case truth
        case choice([String])
        /// Ids of users.
        case ids
        /// Files on this machine: paths, or objects with `path` and `name`.
        case files
    }

    /// In camel case; the same name in snake case is taken too.
    public let name: String
    public let kind: Kind
    public let purpose: String
    public let isRequired: Bool

    init(_ name: String, _ kind: Kind, _ purpose: String, isRequired: Bool = false) {
        self.name = name
        self.kind = kind
        self.purpose = purpose
        self.isRequired = isRequired
    }

    /// The name as the other of the existing plugins spells it.
    public var snakeName: String {
        var snake = ""
        for character in name {
            if character.isUppercase { snake += "_" }
            snake += character.lowercased()
        }
        return snake
    }

    /// Its part of the tool's JSON Schema.
    var schema: JSONValue {
        var object: [String: JSONValue] = ["description": .string(purpose)]
        switch kind {
        case .text(let maximum, let mayBeEmpty):
            object["type"] = "string"
            if maximum < .max { object["maxLength"] = .int(Int64(maximum)) }
            if !mayBeEmpty { object["minLength"] = 1 }
        case .id:
            object["type"] = "string"
            object["minLength"] = 1
            object["maxLength"] = .int(Int64(ToolArguments.longestID))
        case .whole(let range):
            object["type"] = "integer"
            object["minimum"] = .int(range.lowerBound)
            object["maximum"] = .int(range.upperBound)
        case .truth: object["type"] = "boolean"
        case .choice(let words):
            object["type"] = "string"
            object["enum"] = .array(words.map { .string($0) })
        case .ids:
            object["type"] = "array"
            object["items"] = ["type": "string", "minLength": 1]
            object["maxItems"] = .int(Int64(ToolArguments.mostEntries))
        case .files:
            object["type"] = "array"
            object["maxItems"] = .int(Int64(ToolArguments.mostFiles))
            object["items"] = [
                "type": "object", "required": ["path"],
                "properties": [
                    "path": ["type": "string", "description": "absolute path of the file on the gateway's machine"],
                    "name": ["type": "string", "description": "what the file is to be called"],
                    "mediaType": ["type": "string", "description": "for instance image/png"],
                ],
            ]
        }
        return .object(object)
    }

    /// What would be right, for an error.
    var expectation: String {
        switch kind {
        case .text(let maximum, let mayBeEmpty):
            "a string" + (maximum < .max ? " of at most \(maximum) characters" : "") + (mayBeEmpty ? "" : ", not empty")
        case .id: "an id, a string of at most \(ToolArguments.longestID) bytes without spaces"
        case .whole(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .truth: "true or false"
        case .choice(let words): "one of \(words.map { "\"\($0)\"" }.joined(separator: ", "))"
        case .ids: "an array of at most \(ToolArguments.mostEntries) user ids"
        case .files:
            "an array of at most \(ToolArguments.mostFiles) objects {\"path\": absolute path, \"name\"?, \"mediaType\"?}"
        }
    }
}
