import FabricChannel
import FabricSimulator
import JSONBytes

/// What a call of a tool came to.
struct ToolOutcome: Sendable {
    var code: RequestResult.Code
    var json: JSONValue

    var isGood: Bool { code == .ok && json["ok"]?.bool == true }
    var result: JSONValue { json["result"] ?? .null }
    /// The failure's code; empty where there is none.
    var failure: String { json["error"]?["code"]?.string ?? "" }
    var message: String { json["error"]?["message"]?.string ?? "" }
    var argument: String? { json["error"]?["argument"]?.string }
    var done: JSONValue { json["error"]?["done"] ?? .null }
}

extension World {
    /// Calls a tool as an account.
    func tool(
        _ name: String, _ arguments: JSONValue = [:], as account: String = "agent", call: String = "call-1",
        delivery: String? = nil, confined: Bool = false, filesBelow: [String]? = nil, timeout: Double? = nil
    ) async -> ToolOutcome {
        var request: [String: JSONValue] = [
            "command": "tools.call", "account": .string(account), "tool": .string(name), "arguments": arguments,
            "callId": .string(call),
        ]
        request["delivery"] = delivery.map { .string($0) }
        request["timeoutSeconds"] = timeout.map { .double($0) }
        request["filesBelow"] = filesBelow.map { .array($0.map { .string($0) }) }
        if confined { request["scope"] = "conversation" }
        let (code, json) = await ask(nil, { $0.command($1, completion: $2) }, .object(request))
        return ToolOutcome(code: code, json: json)
    }

    func command(_ json: JSONValue) async -> (code: RequestResult.Code, json: JSONValue) {
        await ask(nil, { $0.command($1, completion: $2) }, json)
    }

    /// The same with the arguments in snake case.
    static func snake(_ arguments: JSONValue) -> JSONValue {
        var result: [String: JSONValue] = [:]
        for (key, value) in arguments.object ?? [:] {
            var name = ""
            for character in key { name += character.isUppercase ? "_" + character.lowercased() : String(character) }
            result[name] = value
        }
        return .object(result)
    }
}
