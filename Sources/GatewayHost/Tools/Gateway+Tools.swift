import GatewayControl
import JSONBytes
import Logging

extension Gateway {
    /// On whose behalf a tool is asked for, and what that allows.
    struct ToolCaller: Sendable {
        /// Distinguishes the callers; no secret.
        var name: String
        var account: String
        var runtime: PluginRuntime
        /// What an agent's turn may do; `nil`: the operator asks, who may do what the account may.
        var grant: Capabilities.Grant?
    }

    /// The tools of an account, as its module describes them: `{"tools": […]}`.
    func tools(_ request: ToolRequest) async throws(GatewayError) -> JSONValue {
        // Without an account: what the module has for any.
        if request.capability == nil, request.account.isEmpty {
            let runtime = try plugin(request.channel)
            try await runtime.needTools()
            return try await Self.ask(runtime, "tools.list", [:], within: options.deadlines.command)
        }
        let caller = try await caller(of: request)
        return try await Self.ask(
            caller.runtime, "tools.list", ["account": .string(caller.account)], within: options.deadlines.command)
    }

    /// Calls a tool and waits for what becomes of it: `{"ok":true,"result":…}`, or `{"ok":false,"error":{…}}` in the
    /// tool's own words.
    func call(_ request: ToolRequest) async throws(GatewayError) -> JSONValue {
        guard !request.tool.isEmpty else { throw GatewayError("a call needs the name of a tool") }
        guard request.arguments.object != nil || request.arguments == .null else {
            return ToolScope.refusal("invalid_argument", "the arguments of a tool are one JSON object")
        }
        let caller = try await caller(of: request)
        if let grant = caller.grant, let refusal = grant.scope.refusal(of: request.arguments) { return refusal }
        let id = "\(caller.name)/\(request.callId.isEmpty ? Self.freshID() : request.callId)"
        switch calls.begin(id, caller: caller.name, account: caller.account, channel: caller.runtime.setup.channel) {
        case .tooMany(let limit):
            return ToolScope.refusal("busy", "\(limit) calls are under way; wait for one of them", retryable: true)
        case .repeated: throw GatewayError("a call of the id “\(request.callId)” is under way")
        case nil: break
        }
        defer { calls.end(id) }
        var arguments: [String: JSONValue] = [
            "account": .string(caller.account), "tool": .string(request.tool),
            "arguments": request.arguments == .null ? [:] : request.arguments, "callId": .string(id),
            "timeoutSeconds": .double(request.timeout / .seconds(1)),
        ]
        if let grant = caller.grant {
            arguments["delivery"] = .string(grant.delivery)
            // However far it reaches: an agent is not to post the keys of all.
            arguments["filesBelow"] = .array(grant.scope.directories.map { .string($0) })
            if grant.scope.reach == .conversation { arguments["scope"] = "conversation" }
        }
        let answer = try await ask(caller, .object(arguments), within: request.timeout)
        if let grant = caller.grant, answer["ok"]?.bool == true {
            capabilities.widen(grant.token, by: ToolScope.created(by: answer["result"] ?? .null))
        }
        return answer
    }

    /// Asks the module. What a reload of it cut short is asked again of the one that came, where that does no harm: then the
    /// module says so.
    private func ask(
        _ caller: ToolCaller, _ call: JSONValue, within limit: Duration
    ) async throws(GatewayError) -> JSONValue {
        let deadline = ContinuousClock.now.advanced(by: limit)
        var generation = await caller.runtime.generation(serving: caller.account)
        while true {
            // The module keeps the time; this is for a module that does not.
            let answer = try await Self.ask(
                caller.runtime, "tools.call", call.object ?? [:], within: limit + .seconds(10))
            guard answer["error"]?["code"]?.string == "unavailable", answer["error"]?["retryable"]?.bool == true,
                ContinuousClock.now < deadline
            else { return answer }
            let next = await caller.runtime.generation(serving: caller.account)
            guard next != generation else { return answer }
            generation = next
        }
    }

    /// Gives a call up.
    /// - Returns: `{"cancelled": whether it was under way}`; the call itself still ends, as cancelled.
    func cancelCall(_ request: ToolRequest) async throws(GatewayError) -> JSONValue {
        // A call may outlive its capability by a moment, and must be stoppable then too.
        let caller = try request.capability.map { token throws(GatewayError) in
            try capabilities.caller(token)
        }
        let id = "\(caller ?? Self.operatorName)/\(request.callId)"
        guard let place = calls.place(of: id, caller: caller ?? Self.operatorName) else { return ["cancelled": false] }
        await cancel([id], account: place.account, channel: place.channel)
        return ["cancelled": true]
    }

    /// Gives up all calls of a capability that has ended.
    func cancelCalls(of grant: Capabilities.Grant) async {
        await cancel(calls.ids(of: grant.caller), account: grant.account, channel: grant.channel)
    }

    private func cancel(_ ids: [String], account: String, channel: String) async {
        guard let runtime = plugins[channel] else { return }
        for id in ids {
            do throws(ModuleRefusal) {
                _ = try await runtime.command("tools.cancel", ["account": .string(account), "callId": .string(id)])
            } catch {
                logger.debug("a tool's call was not cancelled: \(error)", metadata: ["account": "\(account)"])
            }
        }
    }

    private static let operatorName = "operator"

    private func caller(of request: ToolRequest) async throws(GatewayError) -> ToolCaller {
        if let token = request.capability {
            let grant = try capabilities.grant(token)
            guard request.account.isEmpty || request.account == grant.account else {
                throw GatewayError(
                    "the capability is the account “\(grant.account)”'s and acts as no other",
                    remedy: "Leave the account out")
            }
            guard let runtime = plugins[grant.channel] else {
                throw GatewayError("there is no channel “\(grant.channel)” any more")
            }
            try await runtime.needTools()
            return ToolCaller(name: grant.caller, account: grant.account, runtime: runtime, grant: grant)
        }
        guard !request.account.isEmpty else {
            throw GatewayError("a tool acts as an account", remedy: "Give --account")
        }
        let runtime = try await channel(serving: request.account, named: request.channel)
        try await runtime.needTools()
        return ToolCaller(name: Self.operatorName, account: request.account, runtime: runtime)
    }

    /// The channel an account is of.
    private func channel(serving account: String, named name: String) async throws(GatewayError) -> PluginRuntime {
        if !name.isEmpty { return try plugin(name) }
        var serving: [PluginRuntime] = []
        for (_, runtime) in plugins.sorted(by: { $0.key < $1.key })
        where await runtime.supervisor.accounts.contains(account) { serving.append(runtime) }
        guard let first = serving.first else {
            throw GatewayError("there is no account “\(account)”", remedy: "gateway status lists all accounts")
        }
        guard serving.count == 1 else {
            let names = serving.map(\.setup.channel).joined(separator: ", ")
            throw GatewayError("several channels have an account “\(account)”", remedy: "Give --channel: \(names)")
        }
        return first
    }

    private static func ask(
        _ runtime: PluginRuntime, _ name: String, _ arguments: [String: JSONValue], within limit: Duration
    ) async throws(GatewayError) -> JSONValue {
        do {
            return try await runtime.command(name, arguments, within: limit)
        } catch {
            throw GatewayError(error)
        }
    }

    private static func freshID() -> String { String(UInt64.random(in: .min ... .max), radix: 36) }
}

extension PluginRuntime {
    /// A module may have no tools; then that is what is said.
    func needTools() throws(GatewayError) {
        guard capabilities.contains("tools") else {
            throw GatewayError(
                "the module of channel “\(setup.channel)”, version \(module?.version ?? "unknown"), has no tools",
                remedy: "Install a newer plugin, then gateway reload --module")
        }
    }
}
