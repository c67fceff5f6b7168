import FabricTools
import JSONBytes
import Settings

/// Calls of tools: begun, ended, cancelled. What each tool does is beside this file.
extension Account {
    /// Begins a call; `completion` hears how it ended, at its deadline at the latest.
    func call(_ request: ToolRequest, completion: @escaping @Sendable (RequestResult) -> Void) {
        do throws(ToolFailure) {
            let call = try admit(request)
            let callId = request.callId
            let task = run { account in
                let outcome: Result<JSONValue, ToolFailure>
                do {
                    outcome = .success(try await account.carryOut(call))
                } catch {
                    outcome = .failure(ToolFailure(error, reads: call.tool.effect == .reads))
                }
                account.endTool(callId, outcome)
            }
            let deadline = loop.schedule(after: request.timeout) { [weak self] in
                self?.assumeIsolated { _ = $0.cancelTool(callId, .timeout) }
            }
            tools.calls.begin(
                callId, .init(tool: call.tool, task: task, deadline: deadline, completion: completion))
        } catch {
            completion(RequestResult(tool: .failure(error)))
        }
    }

    /// Checks everything that can be checked without asking anybody.
    private func admit(_ request: ToolRequest) throws(ToolFailure) -> ToolCall {
        guard !ending.hasBegun, life.running else {
            throw ToolFailure(.unavailable, "account \(id) is not running", isRetryable: true)
        }
        guard let tool = Tool.named(request.tool) else {
            let near = Nearest.word(to: request.tool, among: Tool.all.map { $0.name })
            throw ToolFailure(
                .unknownTool,
                "there is no tool \"\(request.tool.prefix(80))\"; "
                    + (near.map { "did you mean \"\($0)\"?" } ?? "the list of tools has those that there are"))
        }
        let arguments = try ToolArguments(request.arguments, for: tool)
        var turn: ToolCall.Conversation?
        if let delivery = request.delivery {
            guard let running = inbox.turn(delivery) else {
                throw ToolFailure(.turnOver, "the turn \(delivery) is over, and with it what may be done in its name")
            }
            turn = ToolCall.Conversation(
                delivery: delivery, guild: inbox.nodeID(running.guild), channel: running.channel)
        }
        guard !tools.calls.contains(request.callId) else {
            throw ToolFailure(.busy, "a call \"\(request.callId.prefix(80))\" is already under way")
        }
        guard !tools.calls.isFull else {
            throw ToolFailure(
                .busy, "\(ToolCalls.most) calls of account \(id) are under way; wait for one of them",
                isRetryable: true)
        }
        return ToolCall(
            tool: tool, arguments: arguments, turn: turn, isConfined: request.isConfined,
            filesBelow: request.filesBelow)
    }

    private func endTool(_ callId: String, _ outcome: Result<JSONValue, ToolFailure>) {
        guard let call = tools.calls.take(callId) else { return }
        if case .failure(let failure) = outcome {
            logger.info(
                "a tool failed",
                metadata: [
                    "tool": "\(call.tool.name)", "code": "\(failure.code.rawValue)", "reason": "\(failure.message)",
                ])
        }
        call.completion(RequestResult(tool: outcome))
        checkDrained()
    }

    /// Ends a call before its time; false when there is none under way with this id.
    func cancelTool(_ callId: String, _ code: ToolFailure.Code) -> Bool {
        guard let call = tools.calls.take(callId) else { return false }
        cancelTask(call.task)
        let what = code == .timeout ? "\(call.tool.name) took too long" : "\(call.tool.name) was cancelled"
        let failure = ToolFailure(
            code, what + (call.tool.effect == .reads ? "" : "; it may have taken effect all the same"),
            isRetryable: call.tool.effect == .reads)
        call.completion(RequestResult(tool: .failure(failure)))
        checkDrained()
        return true
    }
}

/// A call whose arguments were checked.
struct ToolCall: Sendable {
    struct Conversation: Sendable, Equatable {
        var delivery: String
        var guild: String
        var channel: String
    }

    var tool: Tool
    var arguments: ToolArguments
    /// The turn it belongs to.
    var turn: Conversation?
    /// What others wrote may be read in the turn's conversation only.
    var isConfined: Bool
    /// Where files that it sends may lie, besides what was fetched for the turn; nil: anywhere.
    var filesBelow: [String]?

    var readsWhatOthersSaid: Bool {
        tool == .messageHistory || tool == .canvas && arguments.text("action") == "read"
    }
}
