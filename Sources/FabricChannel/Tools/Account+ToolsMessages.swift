import ChannelStore
import FabricAPI
import FabricTools
import Foundation
import JSONBytes

/// Tools that post.
extension Account {
    func sendMessage(_ call: ToolCall) async throws -> JSONValue {
        let content = call.arguments.text("content") ?? ""
        let files = call.arguments.files("files")
        guard !content.isEmpty || !files.isEmpty else {
            throw ToolFailure(
                .invalidArgument, "fabric-send-message: give \"content\", \"files\" or both", argument: "content")
        }
        try check(files, call)
        let place = try await place(of: call)
        let posted = try await say(
            content, files: files, replyTo: call.arguments.text("replyTo"), in: place, turn: call.turn)
        return place.json.with(posted.object ?? [:])
    }

    /// Posts as every message of the account is posted: kept first, in the order of its channel, once.
    /// - Returns: `messageId` and `seq`.
    func say(
        _ text: String, files: [ToolArguments.File] = [], replyTo: String? = nil, in place: ToolPlace,
        turn: ToolCall.Conversation? = nil
    ) async throws -> JSONValue {
        let key = (guild: place.guild.nodeId, channel: place.channel)
        let request = SendRequest(
            account: id, to: OutboundTarget(guild: key.guild, channel: key.channel), text: text,
            media: files.map { SendRequest.media($0.path, name: $0.name, mediaType: $0.mediaType) }, replyTo: replyTo)
        let entry = "\(id)/tool/\(UUID().uuidString.lowercased())"
        let alarm = loop.schedule(after: ToolPosts.patience) { [weak self] in
            self?.assumeIsolated {
                $0.tools.posts.take(entry)?(.failure(.init(reason: "the guild has not answered for 10 s")))
            }
        }
        let outcome = await withCheckedContinuation {
            (done: CheckedContinuation<Result<RequestResult, ToolPosts.Delayed>, Never>) in
            tools.posts.add(entry) { done.resume(returning: $0) }
            send(request, entry: entry) { [weak self] result in
                // Called on the loop, as everything that ends a send is.
                self?.assumeIsolated { $0.tools.posts.take(entry)?(.success(result)) }
            }
            if let reason = outgoing.problem(of: ChannelKey(guild: key.guild, channel: key.channel)) {
                tools.posts.take(entry)?(.failure(.init(reason: "the one before it waits: \(reason)")))
            }
        }
        alarm.cancel()
        let result: RequestResult
        switch outcome {
        case .success(let answered): result = answered
        case .failure(let delayed):
            throw ToolFailure(
                .unavailable,
                "the message is kept and is posted as soon as the guild takes it; do not send it again "
                    + "(\(delayed.reason))", done: ["kept": true])
        }
        let json = (try? JSONValue(parsing: result.json)) ?? .null
        guard result.code == .ok else {
            // Whoever called is told; nobody has to look after it.
            _ = dropDeadLetter(entry)
            throw ToolFailure(send: json, of: result.code)
        }
        if let turn, turn.channel == key.channel, turn.guild == key.guild {
            handle(Outgoing.Event.spoke(turn.delivery))
        }
        return json
    }

    func sendSystemMessage(_ call: ToolCall) async throws -> JSONValue {
        let place = try await place(of: call)
        let posted = try await saySystem(
            call.arguments.need("content"), wakes: call.arguments.text("wakeupUserId"), in: place, tool: call.tool.name)
        return place.json.with(posted.object ?? [:])
    }

    /// Posts as the system. Not kept: who called is told if it failed, and the guild recognises a repeat of the same try.
    func saySystem(_ text: String, wakes: String?, in place: ToolPlace, tool: String) async throws -> JSONValue {
        let key = try systemKey(for: tool)
        let idempotency = IdempotencyKey.of("\(id)/system/\(UUID().uuidString.lowercased())")
        var posted: Result<FabricPosted, FabricError>
        var tries = 0
        repeat {
            tries += 1
            try checkLease()
            do throws(FabricError) {
                posted = .success(
                    try await place.guild.guild.postAsSystem(
                        channel: place.channel, content: text, wakes: wakes, key: key, idempotencyKey: idempotency))
            } catch {
                posted = .failure(error)
            }
            // Under the same key: the guild gives the first one's answer, if there was one.
        } while posted.isUnknown && tries < 3
        let answer = try posted.get()
        var result: [String: JSONValue] = [:]
        result["messageId"] = answer.messageId.map { .string($0) }
        result["seq"] = answer.seq.map { .int($0) }
        return .object(result)
    }

    func systemKey(for tool: String) throws(ToolFailure) -> String {
        guard let source = settings.commandsSyncKey else {
            throw ToolFailure(
                .notConfigured,
                "\(tool) needs the guild's key: set channels.fabric.commandsSyncKey in the configuration")
        }
        do {
            return try source.fetch().reveal()
        } catch {
            throw ToolFailure(
                .notConfigured, "channels.fabric.commandsSyncKey is not at hand (\(source.name)): \(error)")
        }
    }

    func editMessage(_ call: ToolCall) async throws -> JSONValue {
        let place = try await place(of: call)
        let (message, content) = (call.arguments.need("messageId"), call.arguments.need("content"))
        let answer = try await withGuildToken(place.guild.nodeId) {
            try await place.guild.guild.edit(message: message, content: content, channel: place.channel, token: $0)
        }
        return place.json.with(["messageId": .string(message), "message": answer])
    }

    func deleteMessage(_ call: ToolCall) async throws -> JSONValue {
        let place = try await place(of: call)
        let message = call.arguments.need("messageId")
        try await withGuildToken(place.guild.nodeId) {
            try await place.guild.guild.delete(message: message, channel: place.channel, token: $0)
        }
        return place.json.with(["messageId": .string(message), "deleted": true])
    }
}

extension Result where Failure == FabricError {
    fileprivate var isUnknown: Bool {
        guard case .failure(let error) = self else { return false }
        return error.kind == .unknownOutcome
    }
}

/// Messages of tools that are on their way. A tool answers when its message is posted, refused, or delayed.
struct ToolPosts {
    /// The first try failed for a reason that may pass.
    struct Delayed: Error, Sendable {
        var reason: String
    }

    /// How long a call waits for its post; ours. The message goes on without it.
    static let patience: Duration = .seconds(10)

    private var open: [String: @Sendable (Result<RequestResult, Delayed>) -> Void] = [:]

    mutating func add(_ entry: String, _ completion: @escaping @Sendable (Result<RequestResult, Delayed>) -> Void) {
        open[entry] = completion
    }

    mutating func take(_ entry: String) -> (@Sendable (Result<RequestResult, Delayed>) -> Void)? {
        open.removeValue(forKey: entry)
    }
}

extension ToolFailure {
    /// What a send that failed means to the one who called a tool.
    init(send json: JSONValue, of code: RequestResult.Code) {
        let reason = [json["error"]?.string, json["remedy"]?.string].compactMap(\.self).joined(separator: "; ")
        let retryable = json["retryable"]?.bool ?? false
        switch code {
        case .invalid: self.init(.invalidArgument, reason)
        case .unavailable, .shutDown: self.init(.unavailable, reason, isRetryable: retryable)
        case .ok, .failed:
            if reason.contains("channel_closed") {
                self.init(.channelClosed, reason)
            } else {
                self.init(.refused, reason)
            }
        }
    }
}
