import JSONBytes

/// Members at the end of a delivery, each with its comma before it.
enum DeliveryTail {
    /// `command`; nothing for what is none.
    static func of(_ command: SlashCommand?) -> [UInt8] {
        guard let command else { return [] }
        return member("command", ["name": .string(command.name), "arguments": .string(command.arguments)])
    }

    static func member(_ name: String, _ value: JSONValue) -> [UInt8] {
        // The object's own braces go.
        [0x2C] + JSONValue.object([name: value]).serialized.dropFirst().dropLast()
    }
}
