import HTTPTransfer
import JSONBytes

/// A channel to be made.
public struct FabricNewChannel: Sendable, Equatable {
    public var name: String
    public var xType: String
    public var isPublic: Bool?
    public var memberUserIds: [String] = []
    public var bypassUserIds: [String] = []
    public var onDuty: [String] = []
    public var listeners: [String] = []
    public var purpose: String?

    public init(name: String, xType: String, isPublic: Bool? = nil, purpose: String? = nil) {
        self.name = name
        self.xType = xType
        self.isPublic = isPublic
        self.purpose = purpose
    }
}

/// What changes channels, messages and presence. Answers are passed on as the guild gave them.
extension FabricGuild {
    /// Makes a channel; the user becomes a member of it. It is not repeated by itself: a lost answer is `.unknownOutcome`.
    /// - Returns: the channel and what is known of it.
    public func create(_ channel: FabricNewChannel, token: String) async throws(FabricError) -> ChannelRow {
        var operation = operation("creating the channel \"\(channel.name)\"", token)
        operation.isRepeatable = false
        let answer = try await attempt(operation, FabricSpelling.createRequests(channel, guild: nodeId), token)
        guard let json = answer.object(with: FabricSpelling.channelId), let info = FabricChannelInfo(reading: json)
        else {
            var error = operation.malformed("the answer does not say the channel's id", answer.serialized)
            error.kind = .unknownOutcome
            throw error
        }
        return ChannelRow(info: info, json: json)
    }

    /// Says what a channel is for; an empty text clears it.
    public func setPurpose(_ purpose: String, channel: String, token: String) async throws(FabricError) -> JSONValue {
        let operation = operation("setting the purpose", token, channel: channel)
        return try await attempt(operation, FabricSpelling.purposeRequests(HTTPURL.encode(channel), purpose), token)
    }

    /// Closes a channel: nobody can post in it any more.
    public func close(channel: String, token: String) async throws(FabricError) {
        let operation = operation("closing the channel", token, channel: channel)
        _ = try await attempt(operation, FabricSpelling.closeRequests(HTTPURL.encode(channel)), token)
    }

    /// Takes a member out of the rotation.
    public func bypass(user: String, channel: String, token: String) async throws(FabricError) {
        let operation = operation("taking a member out of the rotation", token, channel: channel)
        _ = try await attempt(operation, FabricSpelling.bypassRequests(HTTPURL.encode(channel), user), token)
    }

    /// Changes the text of a message of the user's own.
    public func edit(
        message: String, content: String, channel: String, token: String
    ) async throws(FabricError) -> JSONValue {
        let operation = operation("editing a message", token, channel: channel)
        let requests = FabricSpelling.editRequests(HTTPURL.encode(channel), HTTPURL.encode(message), content)
        return try await attempt(operation, requests, token)
    }

    /// Deletes a message of the user's own.
    public func delete(message: String, channel: String, token: String) async throws(FabricError) {
        let operation = operation("deleting a message", token, channel: channel)
        let requests = FabricSpelling.deleteRequests(HTTPURL.encode(channel), HTTPURL.encode(message))
        _ = try await attempt(operation, requests, token)
    }

    /// What to do with a channel's canvas.
    public enum CanvasAction: Sendable, Equatable {
        case read
        case share(title: String?, format: String, content: String)
        case update(title: String?, content: String?)
        case remove
    }

    /// Reads or changes the canvas.
    /// - Returns: the canvas as the guild gave it; null if there is none.
    public func canvas(
        _ action: CanvasAction, channel: String, token: String
    ) async throws(FabricError) -> JSONValue {
        let name =
            switch action {
            case .read: "reading the canvas"
            case .share: "sharing a canvas"
            case .update: "updating the canvas"
            case .remove: "removing the canvas"
            }
        let operation = operation(name, token, channel: channel)
        let answer = try await attempt(
            operation, FabricSpelling.canvasRequests(HTTPURL.encode(channel), action), token)
        return answer["canvas"] ?? answer
    }

    /// Posts as the system, with the guild's key; the author is ``FabricRealtime/systemAuthor``.
    /// - Parameter wakes: the one user who is woken.
    public func postAsSystem(
        channel: String, content: String, wakes: String?, key: String, idempotencyKey: String
    ) async throws(FabricError) -> FabricPosted {
        var operation = operation("posting as the system", key, channel: channel, isRepeatable: false)
        operation.refusalRemedy = "channels.fabric.commandsSyncKey is not this guild's key; its command line prints it."
        var body: [String: JSONValue] = ["content": .string(content)]
        body["wakeupUserId"] = wakes.map { .string($0) }
        let answer = try await call.send(
            operation, .post, FabricSpelling.messagesPath(HTTPURL.encode(channel)),
            body: JSONValue.object(body).serialized,
            headers: [
                HTTPHeader(FabricSpelling.systemKeyHeader, key),
                HTTPHeader(FabricSpelling.idempotencyHeader, idempotencyKey),
            ])
        return FabricPosted(reading: try FabricCall.value(answer, operation))
    }

    /// A user's presence, as the guild says it; `unknown` for one nobody told of.
    public func presence(of user: String, token: String) async throws(FabricError) -> JSONValue {
        let operation = operation("reading a presence", token)
        let path = FabricSpelling.presencePath(HTTPURL.encode(user))
        return try FabricCall.value(try await call.send(operation, .get, path, bearer: token), operation)
    }

    /// Says what a user is doing: `idle`, `on_call`, `busy`, `exhausted`, `offline` or `unknown`.
    public func setPresence(
        _ status: String, of user: String, token: String, patience: Duration = .seconds(10)
    ) async throws(FabricError) {
        let operation = operation("setting the presence", token)
        let body: JSONValue = ["status": .string(status), "source": "gateway"]
        var deadlines = HTTPDeadlines.request
        deadlines.firstByte = max(patience, .milliseconds(1))
        _ = try await call.send(
            operation, .put, FabricSpelling.presencePath(HTTPURL.encode(user)), body: body.serialized, bearer: token,
            deadlines: deadlines)
    }

    /// Replaces the guild's catalogue of slash commands.
    public func sync(commands: JSONValue, key: String, token: String) async throws(FabricError) {
        var operation = operation("syncing the slash commands", key)
        operation.secrets.append(token)
        operation.refusalRemedy = "channels.fabric.commandsSyncKey is not this guild's key; its command line prints it."
        let headers = FabricSpelling.syncKeyHeaders.map { HTTPHeader($0, key) }
        _ = try await attempt(operation, FabricSpelling.commandRequests(commands), token, headers: headers)
    }

    // MARK: Spellings that are tried one after the other

    /// One way to ask for something.
    struct Attempt: Sendable {
        var method: HTTPMethod
        var path: String
        var body: JSONValue?
    }

    /// Asks in each way until the guild knows one: a route that is not there, or a body it does not take, did nothing. The
    /// error is that of the first way.
    private func attempt(
        _ operation: FabricOperation, _ attempts: [Attempt], _ token: String, headers: [HTTPHeader] = []
    ) async throws(FabricError) -> JSONValue {
        var first: FabricError?
        for attempt in attempts {
            do throws(FabricError) {
                let answer = try await call.send(
                    operation, attempt.method, attempt.path, body: attempt.body?.serialized, bearer: token,
                    headers: headers)
                return try FabricCall.value(answer, operation)
            } catch {
                guard error.saysOtherwiseSpelt(attempt.method) else { throw first ?? error }
                first = first ?? error
            }
        }
        throw first ?? operation.error(.local, "there is no way to ask for it", "")
    }

    /// Asks in each of so many ways until one is taken: a body or a question that the guild finds wrong (400, 422) did
    /// nothing. The error is that of the first way, and so is the answer where each seems to be another's.
    func firstTaken<Answer: Sendable>(
        of count: Int, _ ask: (Int) async throws(FabricError) -> Answer,
        isOther: (Answer) -> Bool = { _ in false }
    ) async throws(FabricError) -> Answer {
        var (first, other): (FabricError?, Answer?)
        for number in 0..<max(count, 1) {
            do throws(FabricError) {
                let answer = try await ask(number)
                guard isOther(answer) else { return answer }
                other = other ?? answer
            } catch {
                switch error.kind {
                case .rejected(status: 400, _), .rejected(status: 422, _): first = first ?? error
                // It may have been taken, or will be: that is not for the first way to say.
                default: throw error
                }
            }
        }
        if let other { return other }
        throw first ?? operation("asking", "").error(.local, "there is no way to ask for it", "")
    }
}

extension FabricError {
    /// The guild does not know the route, or the body: another spelling may do.
    fileprivate func saysOtherwiseSpelt(_ method: HTTPMethod) -> Bool {
        switch kind {
        // The framework's words for a route that is not there; a thing that is not there has others.
        case .rejected(status: 404, _), .rejected(status: 405, _):
            serverWords?.hasPrefix("Cannot \(method.rawValue)") ?? true
        case .rejected(status: 400, _), .rejected(status: 422, _): true
        default: false
        }
    }
}
