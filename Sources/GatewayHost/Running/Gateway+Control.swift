import GatewayControl
import Glibc
import JSONBytes
import Logging

extension Gateway {
    /// The state of everything: process, plugins, accounts.
    /// - Parameters:
    ///   - account: only the accounts of this name; all if `nil`.
    ///   - recent: with the last turns of each.
    public func status(account only: String? = nil, recent: Bool = false) async -> JSONValue {
        var rows: [JSONValue] = []
        var accounts: [JSONValue] = []
        for (id, runtime) in plugins.sorted(by: { $0.key < $1.key }) {
            let (plugin, entries) = await runtime.status()
            rows.append(plugin)
            let running = runtime.router.running
            for entry in entries {
                guard case .object(var members) = entry else { continue }
                let account = entry["accountId"]?.string ?? ""
                guard only == nil || only == account else { continue }
                members["channel"] = .string(id)
                let agent = table.agent(channel: id, account: account)
                members["agent"] = agent.map { .string($0.name) } ?? .null
                var turns = runtime.router.summary(of: account, agent: agent?.name, running: running).object ?? [:]
                if let since = slots?.waitingSince(account) {
                    turns["waitingSeconds"] = .double(((.now - since) / .seconds(1)).rounded())
                }
                members["turns"] = .object(turns)
                if recent { members["recent"] = .array(runtime.router.recent(of: account).map(\.json)) }
                accounts.append(.object(members))
            }
        }
        var standings: [ACPStanding] = []
        for (_, agent) in companions.sorted(by: { $0.key < $1.key }) { standings.append(await agent.standing) }
        return [
            "pid": .int(Int64(getpid())), "startedAt": .string(WallTime.text(startedAt)),
            "configuration": .string(configurationFile),
            "stateDirectory": .string(configuration?.stateDirectory ?? ""), "plugins": .array(rows),
            "accounts": .array(accounts), "descriptors": Self.descriptors, "moduleCopies": moduleCopies,
            "agents": .object(Dictionary(standings.map { ($0.name, $0.json) }) { first, _ in first }),
            "warnings": .array(commandWarnings() + standings.compactMap { $0.warning.map(JSONValue.string) }),
        ]
    }

    private static var descriptors: JSONValue {
        let limit = DescriptorLimit.current.soft
        // With none left to count with, all are open.
        return ["limit": .int(Int64(limit)), "open": .int(Int64(DescriptorLimit.open ?? limit))]
    }

    private var moduleCopies: JSONValue {
        let directory = (configuration?.stateDirectory ?? "") + "/modules"
        let inUse = Set(plugins.values.compactMap { $0.module?.copy })
        return MappedCopies.ofThisProcess(in: directory, except: inUse).json
    }

    /// Agents whose commands cannot be run.
    private func commandWarnings() -> [JSONValue] {
        (configuration?.commandProblems ?? []).map { .string("\($0.place): \($0.problem). \($0.remedy)") }
    }

    /// Sends a message as an account; `{"messageId","seq"}`.
    public func send(_ message: JSONValue) async throws(GatewayError) -> JSONValue {
        guard let account = message["account"]?.string, !account.isEmpty, let to = message["to"]?.string, !to.isEmpty
        else {
            throw GatewayError("a message needs an account and a conversation", remedy: "Give --account and --to")
        }
        guard message["text"]?.string?.isEmpty == false || message["media"]?.array?.isEmpty == false else {
            throw GatewayError("there is nothing to send", remedy: "Give --text or --media")
        }
        let runtime = try self.plugin(String(to.prefix { $0 != ":" }))
        do throws(ModuleRefusal) {
            guard let receipt = await runtime.slots.use(account, { $0.send(message) }) else {
                throw ModuleRefusal(.shutDown, "the gateway is stopping")
            }
            return try await receipt.result()
        } catch {
            var failure = GatewayError(error)
            if error.kind == .shutDown, !stopping {
                failure.problem = "the module was replaced while it held the message; the new one sends it"
                failure.remedy = "Look at the outbox in `gateway status` before sending it again"
            }
            throw failure
        }
    }

    /// A command of a module's own, such as `deadLetters.list`; asked of the only channel, or the one named. One that
    /// names an account waits while that moves from one instance to another, and goes to the one that serves it.
    public func command(
        _ name: String, channel: String?, _ arguments: [String: JSONValue]
    ) async throws(GatewayError) -> JSONValue {
        let runtime = try self.plugin(channel ?? "")
        do {
            return try await runtime.command(name, arguments)
        } catch {
            throw GatewayError(error)
        }
    }

    /// The operator asks for an account that is blocked, refused or given up to be tried again.
    public func unblock(account: String, channel: String?) async throws(GatewayError) -> JSONValue {
        let runtime = try self.plugin(channel ?? "")
        let phase = await runtime.supervisor.summary(of: account)?.phase
        switch phase {
        case nil:
            throw GatewayError("there is no account “\(account)”", remedy: "See `gateway status`")
        case "disabled", "unconfigured":
            throw GatewayError(
                "the account is \(phase ?? "")", remedy: "Correct the configuration, then `gateway reload`")
        case "running", "starting":
            // It runs, and may be blocked within; the module knows.
            return try await command("account.unblock", channel: channel, ["accountId": .string(account)])
        default:
            do throws(ModuleRefusal) {
                _ = try await runtime.command("account.unblock", ["accountId": .string(account)])
            } catch {
                // It has nothing running to unblock; the start that follows is what counts.
                logger.debug("unblocking: \(error)", metadata: ["account": "\(account)"])
            }
            await runtime.handle(.retry(account: account))
            return ["started": true]
        }
    }

    /// The operator asks for every account that is blocked, refused or given up to be tried again.
    /// - Returns: `{"accounts": […]}`, those that were.
    public func unblockAll() async throws(GatewayError) -> JSONValue {
        var tried: Set<String> = []
        for runtime in plugins.values {
            // Those that run may be blocked within; the module knows.
            do throws(ModuleRefusal) {
                let answer = try await runtime.command("account.unblock", ["all": true])
                tried.formUnion(answer["accounts"]?.texts ?? [])
            } catch {
                guard error.kind == .invalid else { throw GatewayError(error) }
                // A module that does not know “all” has no account blocked within that stays so.
                logger.debug("unblocking all: \(error)")
            }
            for account in await runtime.supervisor.haltedAccounts {
                await runtime.handle(.retry(account: account))
                tried.insert(account)
            }
        }
        return ["accounts": .array(tried.sorted().map { .string($0) })]
    }

    func plugin(_ id: String) throws(GatewayError) -> PluginRuntime {
        if let runtime = plugins[id] ?? (plugins.count == 1 ? plugins.values.first : nil) { return runtime }
        throw GatewayError(
            "there is no channel “\(id)”", remedy: "One of: \(plugins.keys.sorted().joined(separator: ", "))")
    }

    /// One request of the control socket.
    func answer(_ request: JSONValue) async -> JSONValue {
        do {
            switch request["command"]?.string {
            case "status":
                let status = await status(account: request["account"]?.string, recent: request["recent"]?.bool ?? false)
                return ControlAnswer.success(status)
            case "ping": return ControlAnswer.success(["pid": .int(Int64(getpid()))])
            case "reload": return ControlAnswer.success(try await reload(module: request["module"]?.bool ?? false))
            case "send":
                guard case .object(var message) = request else { break }
                message["command"] = nil
                return ControlAnswer.success(try await send(.object(message)))
            case "stop":
                // The answer must leave before the socket is closed; whoever asked waits for the socket to go.
                Task { await self.stop() }
                return ControlAnswer.success(["stopping": true, "pid": .int(Int64(getpid()))])
            case "unblock" where request["all"]?.bool == true: return ControlAnswer.success(try await unblockAll())
            case "unblock":
                let account = request["account"]?.string ?? ""
                return ControlAnswer.success(try await unblock(account: account, channel: request["channel"]?.string))
            case "drain" where request["undo"]?.bool == true: return ControlAnswer.success(try await undrain())
            case "drain":
                let seconds = min(
                    max(0, request["withinSeconds"]?.double ?? 60), CommandLineTool.longestDrain / .seconds(1))
                return ControlAnswer.success(try await drain(within: .seconds(seconds)))
            case "module":
                guard let name = request["name"]?.string else { break }
                let result = try await command(
                    name, channel: request["channel"]?.string, request["arguments"]?.object ?? [:])
                return ControlAnswer.success(result)
            case "tools": return ControlAnswer.success(try await tools(ToolRequest(request)))
            case "tool": return ControlAnswer.success(try await call(ToolRequest(request)))
            case "tool.cancel": return ControlAnswer.success(try await cancelCall(ToolRequest(request)))
            default: break
            }
        } catch {
            return ControlAnswer.failure(GatewayError(error))
        }
        return ControlAnswer.failure(
            GatewayError(
                "unknown command", place: request["command"]?.string ?? "",
                remedy: "Known: status, send, reload, stop, unblock, drain, module, tools, tool, tool.cancel"))
    }
}

extension PluginRuntime {
    /// The plugin, and its accounts with the module's status and the supervisor's word.
    func status() async -> (plugin: JSONValue, accounts: [JSONValue]) {
        var plugin: [String: JSONValue] = ["id": .string(setup.channel), "module": .string(manifest.modulePath)]
        var known = slots.descriptions
        if let unconfigured { plugin["unconfigured"] = .string(unconfigured) }
        if let module {
            plugin["version"] = .string(module.version)
            plugin["generation"] = .int(Int64(module.generation.number))
            do throws(ModuleRefusal) {
                for entry in try await module.status()["accounts"]?.array ?? [] {
                    guard let account = entry["accountId"]?.string, let members = entry.object else { continue }
                    let before = known[account]?.object ?? [:]
                    known[account] = .object(before.merging(members) { $1 })
                }
            } catch {
                plugin["problem"] = .string("\(error)")
            }
            if let sharing = await sharingStatus() { plugin["sharing"] = sharing }
        }
        let accounts = known.sorted { $0.key < $1.key }.map { account, entry -> JSONValue in
            var members = entry.object ?? [:]
            if let summary = supervisor.summary(of: account) {
                var supervision: [String: JSONValue] = [
                    "phase": .string(summary.phase), "attempts": .int(Int64(summary.attempts)),
                ]
                if let reason = summary.reason { supervision["reason"] = .string(reason) }
                if let next = summary.nextStart {
                    supervision["nextStartSeconds"] = .double(max(0, (next - .now) / .seconds(1)))
                }
                members["supervision"] = .object(supervision)
            }
            return .object(members)
        }
        return (.object(plugin), accounts)
    }
}
