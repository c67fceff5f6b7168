import JSONBytes

/// Something an agent can do in its guilds: described once, for agents, for the check of arguments and for the manual.
public struct Tool: Sendable, Equatable {
    /// What a call changes.
    public enum Effect: Sendable, Equatable {
        /// Nothing: it may be called as often as one likes.
        case reads
        /// It adds something.
        case adds
        /// It replaces or removes something.
        case removes
    }

    public let name: String
    public let title: String
    /// One sentence.
    public let purpose: String
    public let parameters: [ToolParameter]
    /// What a call answers, in words.
    public let answer: String
    public let effect: Effect

    /// The JSON Schema of its arguments.
    public var inputSchema: JSONValue {
        var properties: [String: JSONValue] = [:]
        for parameter in parameters { properties[parameter.name] = parameter.schema }
        let required = parameters.filter(\.isRequired).map { JSONValue.string($0.name) }
        var schema: [String: JSONValue] = [
            "type": "object", "properties": .object(properties), "additionalProperties": false,
        ]
        if !required.isEmpty { schema["required"] = .array(required) }
        return .object(schema)
    }

    /// Its row in the answer to `tools.list`.
    public var listing: JSONValue {
        [
            "name": .string(name), "title": .string(title), "description": .string("\(purpose) Answers \(answer)."),
            "inputSchema": inputSchema, "readOnly": .bool(effect == .reads), "destructive": .bool(effect == .removes),
        ]
    }
}
