import JSONBytes

/// The form of the answers on the control socket: `{"ok":true,"result":…}` or `{"ok":false,"error":…,"where":…,
/// "remedy":…,"findings":[…]}`.
package enum ControlAnswer {
    package static func success(_ result: JSONValue) -> JSONValue { ["ok": true, "result": result] }

    package static func failure(_ error: GatewayError) -> JSONValue {
        [
            "ok": false, "error": .string(error.problem), "where": .string(error.place),
            "remedy": .string(error.remedy),
            "findings": .array(error.findings.map { .string($0) }),
        ]
    }

    /// The result, or the error, of an answer.
    package static func read(_ answer: JSONValue) throws(GatewayError) -> JSONValue {
        if answer["ok"]?.bool == true { return answer["result"] ?? [:] }
        throw GatewayError(
            answer["error"]?.string ?? "the gateway gave an answer that makes no sense",
            place: answer["where"]?.string ?? "",
            remedy: answer["remedy"]?.string ?? "", findings: answer["findings"]?.texts ?? [])
    }
}
