import GatewayControl
import JSONBytes

/// A module's tools and what they answer, in the protocol's form.
enum MCPTool {
    static func described(_ tool: JSONValue) -> JSONValue {
        var described: [String: JSONValue] = [
            "name": tool["name"] ?? "", "inputSchema": tool["inputSchema"] ?? ["type": "object"],
        ]
        for key in ["title", "description", "outputSchema"] { described[key] = tool[key] }
        var annotations: [String: JSONValue] = ["openWorldHint": true]
        annotations["readOnlyHint"] = tool["readOnly"]
        annotations["destructiveHint"] = tool["destructive"]
        annotations["title"] = tool["title"]
        described["annotations"] = .object(annotations)
        return .object(described)
    }

    static func result(_ value: JSONValue, era: MCPEra) -> [String: JSONValue] {
        var result: [String: JSONValue] = [
            "content": [["type": "text", "text": .string(value.string ?? value.line)]], "isError": false,
        ]
        if era.hasStructuredContent, era.takesAnyStructure || value.object != nil {
            result["structuredContent"] = value
        }
        return result
    }

    static func failure(_ message: String, _ error: JSONValue, era: MCPEra) -> [String: JSONValue] {
        var text = message
        if let done = error["done"], done != .null { text += "\nWhat was done before: \(done.line)" }
        if error["retryable"]?.bool == true { text += "\nThe same call may succeed later." }
        var result: [String: JSONValue] = ["content": [["type": "text", "text": .string(text)]], "isError": true]
        if era.hasStructuredContent, error.object != nil { result["structuredContent"] = ["error": error] }
        return result
    }
}
