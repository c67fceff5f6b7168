import FabricTools
import JSONBytes

/// The requests about tools: see `gateway_channel.h`, 5.
extension PluginInstance {
    func listTools() -> RequestResult {
        RequestResult(.ok, JSONValue.object(["tools": .array(Tool.all.map(\.listing))]).serialized)
    }

    func callTool(_ request: ToolRequest, _ completion: @escaping Completion) {
        guard let account = accounts[request.account] ?? draining[request.account] else {
            let problem = notHere(request.account)
            let failure = ToolFailure(
                .unavailable,
                isOnStandby(request.account)
                    ? "\(problem.place): \(problem.problem); \(problem.remedy)"
                    : "account \(request.account) is not running, or there is none of this name",
                isRetryable: true)
            return completion(RequestResult(tool: .failure(failure)))
        }
        account.assumeIsolated { $0.call(request, completion: completion) }
    }

    func setPresence(_ value: JSONValue) throws(RequestProblem) -> RequestResult {
        let name = try value.requiredAccount()
        guard let state = value["state"]?.string.flatMap(PresencePlan.State.init) else {
            let known = PresencePlan.State.allCases.map(\.rawValue).joined(separator: ", ")
            throw RequestProblem(
                .invalid, "\"state\" is none of: \(known)", at: "presence.set", remedy: "give one of them")
        }
        // Whoever runs it says what it does.
        if isOnStandby(name) { return RequestResult(.ok, Array("{}".utf8)) }
        guard let account = accounts[name] else { throw Self.notRunning(name) }
        account.assumeIsolated { $0.setPresence(state) }
        return RequestResult(.ok, Array("{}".utf8))
    }

    func setHistory(_ value: JSONValue) throws(RequestProblem) -> RequestResult {
        let name = try value.requiredAccount()
        guard let messages = value["messages"]?.int, (0...Int64(HistoryWish.mostMessages)).contains(messages) else {
            throw RequestProblem(
                .invalid, "\"messages\" is no number from 0 to \(HistoryWish.mostMessages)", at: "history.set",
                remedy: "give how many messages a delivery is to have, 0 for none")
        }
        let bytes = value["maximumBytes"]?.int ?? 65_536
        guard (1...Int64(HistoryWish.mostBytes)).contains(bytes) else {
            throw RequestProblem(
                .invalid, "\"maximumBytes\" is no number from 1 to \(HistoryWish.mostBytes)", at: "history.set",
                remedy: "leave it out for 65536")
        }
        let wish = messages == 0 ? nil : HistoryWish(messages: Int(messages), bytes: Int(bytes))
        historyWishes[name] = wish
        accounts[name]?.assumeIsolated { $0.wish(wish) }
        return RequestResult(.ok, Array("{}".utf8))
    }

    private static func notRunning(_ name: String) -> RequestProblem {
        RequestProblem(
            .unavailable, "the account is not running, or there is none of this name", at: "account \(name)",
            remedy: "see the accounts and their reasons in the status", retryable: true)
    }

    func syncCommands(_ value: JSONValue) throws(RequestProblem) -> RequestResult {
        guard let list = value["commands"]?.array, list.count <= 500 else {
            throw RequestProblem(
                .invalid, "\"commands\" is not an array of at most 500 commands", at: "commands.sync",
                remedy: "give [{\"name\", \"description\", \"arguments\"?}]")
        }
        let account = try value.requestedAccount()
        var entries: [JSONValue] = []
        for (number, entry) in list.enumerated() { entries.append(try CommandEntry.read(entry, number: number)) }
        commands.set(entries, for: account ?? "")
        for account in accounts.values { account.assumeIsolated { $0.syncCommands() } }
        return RequestResult(.ok, Array("{}".utf8))
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
