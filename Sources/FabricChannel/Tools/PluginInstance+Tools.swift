import FabricTools
import JSONBytes

/// The requests about tools: see `gateway_channel.h`, 5.
extension PluginInstance {
    func listTools() -> RequestResult {
        RequestResult(.ok, JSONValue.object(["tools": .array(Tool.all.map(\.listing))]).serialized)
    }

    func callTool(_ request: ToolRequest, _ completion: @escaping Completion) {
        guard let account = accounts[request.account] ?? draining[request.account] else {
            let failure = ToolFailure(
                .unavailable, "account \(request.account) is not running, or there is none of this name",
                isRetryable: true)
            return completion(RequestResult(tool: .failure(failure)))
        }
        account.assumeIsolated { $0.call(request, completion: completion) }
    }

    func cancelTool(_ value: JSONValue) throws(RequestProblem) -> RequestResult {
        let name = try value.requiredAccount()
        guard let call = value["callId"]?.string else {
            throw RequestProblem(.invalid, "\"callId\" is missing", at: "tools.cancel", remedy: "name the call")
        }
        let account = accounts[name] ?? draining[name]
        let wasOpen = account?.assumeIsolated { $0.cancelTool(call, .cancelled) } ?? false
        return RequestResult(.ok, JSONValue.object(["cancelled": .bool(wasOpen)]).serialized)
    }
}
