import JSONBytes

/// The server's side of a Model Context Protocol conversation as a value: a message in, actions out.
///
/// It speaks the stateless revision 2026-07-28, whose requests each carry the version they are in, and the earlier ones,
/// which begin with `initialize`; one connection may use both. It knows no gateway: what tools there are and what a call
/// gives is asked for by actions and comes back by `answered`.
struct MCPServer: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// What it asks of the gateway.
    enum Question: Equatable, Sendable {
        case listTools
        case callTool(name: String, arguments: JSONValue)
    }

    /// What the gateway said.
    enum Answer: Equatable, Sendable {
        /// The `tools` of the module.
        case tools([JSONValue])
        case succeeded(JSONValue)
        /// The tool refused or failed: for the model, which may do better.
        case failed(message: String, error: JSONValue)
        /// There is no gateway, or it refused.
        case unreachable(String)
    }

    enum Action: Equatable, Sendable {
        case send(JSONValue)
        case ask(UInt64, Question)
        /// Gives a question up; an answer may still come, and is ignored.
        case cancel(UInt64)
    }

    private struct Request: Sendable {
        var id: JSONValue
        var era: MCPEra
        var question: Question
        var progress: JSONValue?
        var since: Instant
        /// Seconds already told.
        var told: Int64 = 0
    }

    /// Requests under way at once.
    static let maximumRequests = 64
    /// How often a call that wants to hear of its progress hears of it.
    static let progressEvery = Duration.seconds(1)

    /// What the server calls itself, and what it tells a model about itself.
    let identity: MCPIdentity
    private var requests: [UInt64: Request] = [:]
    private var last: UInt64 = 0
    /// The version that `initialize` agreed on.
    private var agreed: String?

    init(identity: MCPIdentity) { self.identity = identity }

    /// Questions that are not answered.
    var pending: Int { requests.count }

    /// When `tick` has something to do; `nil`: not before something comes.
    var nextTick: Instant? {
        requests.values.filter { $0.progress != nil }
            .map { $0.since.advanced(by: Self.progressEvery * Int($0.told + 1)) }.min()
    }

    // MARK: what comes

    /// One line of the client's.
    mutating func received(_ line: [UInt8], at now: Instant) -> [Action] {
        guard let message = try? JSONValue(parsing: line) else {
            return [.send(Self.error(.null, .parse, "the line is not one JSON value"))]
        }
        // Batches are of one of the earlier revisions, and taken from everybody.
        if let batch = message.array {
            guard !batch.isEmpty else { return [.send(Self.error(.null, .invalidRequest, "the batch is empty"))] }
            return batch.flatMap { handle($0, at: now) }
        }
        return handle(message, at: now)
    }

    /// What became of a question.
    mutating func answered(_ number: UInt64, _ answer: Answer) -> [Action] {
        guard let request = requests.removeValue(forKey: number) else { return [] }
        switch (request.question, answer) {
        case (.listTools, .tools(let tools)):
            return [
                .send(respond(request.id, request.era, ["tools": .array(tools.map(MCPTool.described))], cached: true))
            ]
        case (.callTool, .succeeded(let value)):
            return [.send(respond(request.id, request.era, MCPTool.result(value, era: request.era)))]
        case (.callTool, .failed(let message, let error)):
            return [.send(respond(request.id, request.era, MCPTool.failure(message, error, era: request.era)))]
        case (.callTool, .unreachable(let reason)):
            // In the result, so that the model learns of it and may try again.
            let error: JSONValue = ["code": "no_gateway", "retryable": true]
            return [.send(respond(request.id, request.era, MCPTool.failure(reason, error, era: request.era)))]
        case (_, .unreachable(let reason)), (_, .failed(let reason, _)):
            return [.send(Self.error(request.id, .unavailable, reason))]
        case (.listTools, .succeeded), (.callTool, .tools):
            return [.send(Self.error(request.id, .internalError, "the gateway answered something else"))]
        }
    }

    /// Time has passed: calls under way say so, to whoever asked to hear of it.
    mutating func tick(_ now: Instant) -> [Action] {
        var actions: [Action] = []
        for (number, request) in requests.sorted(by: { $0.key < $1.key }) {
            let seconds = Int64(max(0, ((now - request.since) / Self.progressEvery).rounded(.down)))
            guard let token = request.progress, seconds > request.told else { continue }
            requests[number]?.told = seconds
            actions.append(.send(Self.progress(token, seconds, request.question)))
        }
        return actions
    }

    /// The client is gone: nobody wants the answers.
    mutating func ended() -> [Action] {
        defer { requests = [:] }
        return requests.keys.sorted().map { .cancel($0) }
    }

    // MARK: requests

    private mutating func handle(_ message: JSONValue, at now: Instant) -> [Action] {
        guard message.object != nil, message["jsonrpc"]?.string == "2.0" else {
            return [.send(Self.error(.null, .invalidRequest, "this is no JSON-RPC 2.0 message"))]
        }
        guard let method = message["method"]?.string else {
            // A response: this server asks its client for nothing.
            let isResponse = message["result"] != nil || message["error"] != nil
            return isResponse ? [] : [.send(Self.error(message["id"] ?? .null, .invalidRequest, "there is no method"))]
        }
        let parameters = message["params"] ?? [:]
        guard let id = message["id"] else { return notified(method, parameters) }
        switch id {
        case .string, .int, .double: break
        default: return [.send(Self.error(.null, .invalidRequest, "an id is a string or a number"))]
        }
        let era: MCPEra
        switch MCPEra.of(method, parameters, agreed: agreed) {
        case .failure(let refusal): return [.send(Self.error(id, refusal.code, refusal.message, refusal.data))]
        case .success(let found): era = found
        }
        return begin(method, id, parameters, era, now)
    }

    private mutating func begin(
        _ method: String, _ id: JSONValue, _ parameters: JSONValue, _ era: MCPEra, _ now: Instant
    ) -> [Action] {
        switch method {
        case "initialize":
            let version = MCPEra.agree(on: parameters["protocolVersion"]?.string)
            agreed = version
            return [.send(respond(id, .initialized(version), identity.initialized(version)))]
        case "server/discover": return [.send(respond(id, era, identity.discovered, cached: true))]
        case "ping": return [.send(respond(id, era, [:]))]
        case "tools/list": return ask(.listTools, id, parameters, era, now)
        case "tools/call":
            guard let name = parameters["name"]?.string, !name.isEmpty else {
                return [.send(Self.error(id, .invalidParameters, "tools/call needs the name of a tool"))]
            }
            let arguments = parameters["arguments"] ?? [:]
            guard arguments == .null || arguments.object != nil else {
                return [.send(Self.error(id, .invalidParameters, "the arguments of a tool are one object"))]
            }
            return ask(.callTool(name: name, arguments: arguments == .null ? [:] : arguments), id, parameters, era, now)
        default: return [.send(Self.error(id, .methodNotFound, "this server has no method “\(method.prefix(80))”"))]
        }
    }

    private mutating func ask(
        _ question: Question, _ id: JSONValue, _ parameters: JSONValue, _ era: MCPEra, _ now: Instant
    ) -> [Action] {
        guard requests.count < Self.maximumRequests else {
            return [
                .send(Self.error(id, .unavailable, "\(requests.count) requests are under way; wait for one of them"))
            ]
        }
        guard !requests.values.contains(where: { $0.id == id }) else {
            return [.send(Self.error(id, .invalidRequest, "a request of this id is under way"))]
        }
        var progress = parameters["_meta"]?["progressToken"]
        switch progress {
        case .string, .int: break
        default: progress = nil
        }
        last += 1
        requests[last] = Request(id: id, era: era, question: question, progress: progress, since: now)
        let begun = progress.map { [Action.send(Self.progress($0, 0, question))] } ?? []
        return begun + [.ask(last, question)]
    }

    private mutating func notified(_ method: String, _ parameters: JSONValue) -> [Action] {
        guard method == "notifications/cancelled", let id = parameters["requestId"],
            let number = requests.first(where: { $0.value.id == id })?.key
        else { return [] }
        // A request that was cancelled is not answered.
        requests[number] = nil
        return [.cancel(number)]
    }

    // MARK: what goes

    private func respond(_ id: JSONValue, _ era: MCPEra, _ result: [String: JSONValue], cached: Bool = false)
        -> JSONValue
    {
        var result = result
        if case .stateless = era {
            result["resultType"] = "complete"
            result["_meta"] = [MCPEra.serverKey: identity.implementation]
            if cached {
                // What a module offers changes when it is reloaded: asked again each time.
                result["ttlMs"] = 0
                result["cacheScope"] = "private"
            }
        }
        return ["jsonrpc": "2.0", "id": id, "result": .object(result)]
    }

    private static func progress(_ token: JSONValue, _ seconds: Int64, _ question: Question) -> JSONValue {
        var what = "the list of tools"
        if case .callTool(let name, _) = question { what = name }
        let message = seconds == 0 ? "\(what) was asked for" : "\(what) is under way for \(seconds) s"
        return [
            "jsonrpc": "2.0", "method": "notifications/progress",
            "params": ["progressToken": token, "progress": .int(seconds), "message": .string(message)],
        ]
    }

    static func error(_ id: JSONValue, _ code: MCPCode, _ message: String, _ data: JSONValue? = nil) -> JSONValue {
        var error: [String: JSONValue] = ["code": .int(code.rawValue), "message": .string(message)]
        error["data"] = data
        return ["jsonrpc": "2.0", "id": id, "error": .object(error)]
    }
}
