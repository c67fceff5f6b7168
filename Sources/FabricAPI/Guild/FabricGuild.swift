import HTTPTransfer
import JSONBytes

/// A guild node: channels, messages, files. Every call takes the token to use; none is kept.
public struct FabricGuild: Sendable {
    /// What to do with an attachment that lies on another server.
    public enum ForeignDownloads: Sendable {
        /// Fetch it, without the bearer.
        case withoutToken
        /// The same, but not from the own network's addresses: a message may name any URL, and the agent would read what
        /// it finds there.
        case withoutTokenFromPublicAddresses
        /// Refuse it with `.local`.
        case refused
    }

    public let nodeId: String
    /// The checked endpoint, without a slash at the end and without `/api`.
    public let endpoint: String
    let origin: HTTPOrigin
    let foreignDownloads: ForeignDownloads
    let call: FabricCall

    /// - Parameters:
    ///   - nodeId: as Center names it.
    ///   - endpoint: base URL, without `/api` (one at the end is dropped).
    ///   - mayBegin: asked immediately before each request is sent; if it says no, none is, and the call throws `.cancelled`.
    /// - Throws: `.local` if it is not an http or https URL without user information, query and fragment.
    public init(
        nodeId: String, endpoint: String, http: HTTPTransfer, foreignDownloads: ForeignDownloads = .withoutToken,
        mayBegin: (@Sendable () -> Bool)? = nil
    ) throws(FabricError) {
        let operation = FabricOperation(
            name: "reading the guild's address", place: "guild \(nodeId)", isRepeatable: true, secrets: [],
            refusalRemedy: "Register the guild at Center with an endpoint like http://host:7002.")
        var (base, origin) = try FabricCall.base(endpoint, operation)
        if base.hasSuffix(FabricSpelling.prefix) { base.removeLast(FabricSpelling.prefix.count) }
        self.nodeId = nodeId
        self.endpoint = base
        self.origin = origin
        self.foreignDownloads = foreignDownloads
        call = FabricCall(http: http, base: base + FabricSpelling.prefix, mayBegin: mayBegin)
    }

    /// What the Socket.IO client connects to: scheme, host and port of the endpoint.
    public var realtimeURL: String { origin.description }
    /// The Socket.IO namespace.
    public var realtimeNamespace: String { FabricSpelling.realtimeNamespace }

    func operation(
        _ name: String, _ token: String, channel: String? = nil, isRepeatable: Bool = true
    ) -> FabricOperation {
        let channel = channel.map { ", channel \($0)" } ?? ""
        return FabricOperation(
            name: name, place: "guild \(nodeId)\(channel) (\(origin.authority))", isRepeatable: isRepeatable,
            secrets: [token],
            refusalRemedy: "The token is expired or not for this guild, or the agent may not do this: log in again, "
                + "then check its membership.")
    }

    /// The channels the user sees: public ones and those it is a member of, of all pages if the guild has pages. Entries
    /// without an id are left out. Throws `.malformed` for an answer without a list, an empty one above all, and for a list
    /// that says it goes on but cannot be read on.
    public func channels(token: String) async throws(FabricError) -> [FabricChannelInfo] {
        try await channelList(token: token).channels
    }

    /// As ``channels(token:)``, with the guild's time.
    public func channelList(token: String) async throws(FabricError) -> FabricChannelList {
        let operation = operation("listing the channels", token)
        let path = FabricSpelling.channelsPath(HTTPURL.encode(nodeId))
        var seen: Set<String> = []
        let (rows, date) = try await pages(operation, path, token)
        let channels = rows.compactMap(FabricChannelInfo.init(reading:)).filter { seen.insert($0.id).inserted }
        return FabricChannelList(channels: channels, date: date)
    }

    /// Makes the user a member; does nothing if it is one.
    public func join(channel: String, token: String) async throws(FabricError) {
        let operation = operation("joining", token, channel: channel)
        _ = try await call.send(operation, .post, FabricSpelling.joinPath(HTTPURL.encode(channel)), bearer: token)
    }

    /// Ends the user's membership; does nothing if there is none.
    public func leave(channel: String, token: String) async throws(FabricError) {
        let operation = operation("leaving", token, channel: channel)
        _ = try await call.send(operation, .post, FabricSpelling.leavePath(HTTPURL.encode(channel)), bearer: token)
    }

    /// Messages of a channel by position, both ends included.
    /// - Parameters:
    ///   - from: the first position wanted; nil leaves it to the server.
    ///   - to: the last position wanted; nil leaves it to the server.
    ///   - limit: held to 1...200, the most that clients are known to ask for. The server may give fewer.
    ///   - patience: how long the answer may take to begin; longer gives `.passing`.
    public func history(
        channel: String, from: Int64?, to: Int64?, limit: Int, token: String, patience: Duration = .seconds(30)
    ) async throws(FabricError) -> FabricHistory {
        let operation = operation("reading the history", token, channel: channel)
        let root = FabricSpelling.messagesPath(HTTPURL.encode(channel))
        let paths = FabricSpelling.historyRanges.map { keys in
            var query = ["\(FabricSpelling.historyLimit)=\(min(max(limit, 1), FabricSpelling.historyMaximum))"]
            if let from { query.append("\(keys.0)=\(from)") }
            if let to { query.append("\(keys.1)=\(to)") }
            return root + "?" + query.joined(separator: "&")
        }
        return try await firstTaken(of: from == nil && to == nil ? 1 : paths.count) { number throws(FabricError) in
            try await history(operation, paths[number], token, patience)
        } isOther: { history in
            // A guild that does not know these keys gives what it likes.
            history.isOutside(from: from, to: to)
        }
    }

    private func history(
        _ operation: FabricOperation, _ path: String, _ token: String, _ patience: Duration
    ) async throws(FabricError) -> FabricHistory {
        var deadlines = HTTPDeadlines.request
        deadlines.firstByte = max(patience, .milliseconds(1))
        let body = try await call.send(operation, .get, path, bearer: token, deadlines: deadlines)
        let history: FabricHistory?
        do throws(JSONSyntaxError) {
            history = try FabricHistory(reading: body)
        } catch {
            throw operation.malformed("no JSON (\(error))", body)
        }
        guard let history else { throw operation.malformed("no list of messages in it", body) }
        return history
    }

    /// Posts a message. The same `idempotencyKey` again gives the first one's result instead of a second message.
    ///
    /// Throws `.unknownOutcome` if the connection was lost after the request had gone out, or what came back is not the answer
    /// to a post though its status was a good one: a proxy's page, nothing at all.
    public func post(
        channel: String, _ message: FabricOutgoingMessage, idempotencyKey: String, token: String
    ) async throws(FabricError) -> FabricPosted {
        let operation = operation("posting a message", token, channel: channel, isRepeatable: false)
        let path = FabricSpelling.messagesPath(HTTPURL.encode(channel))
        let bodies = message.bodies
        let body = try await firstTaken(of: bodies.count) { number throws(FabricError) in
            try await call.send(
                operation, .post, path, body: bodies[number], bearer: token,
                headers: [HTTPHeader(FabricSpelling.idempotencyHeader, idempotencyKey)])
        }
        let answer = try? JSONValue(parsing: body)
        let posted = FabricPosted(reading: answer ?? .null)
        // What the guild takes as a command becomes no message, so it may have no id to tell.
        let isAnswer =
            posted.messageId != nil || posted.seq != nil
            || FabricRealtime.isCommand(message.content) && (body.isEmpty || answer != nil)
        guard isAnswer else {
            var error = operation.malformed("the answer does not say which message it became", body)
            error.kind = .unknownOutcome
            error.remedy =
                "It is looked up, or repeated under the same idempotency key; check what stands before the guild."
            throw error
        }
        return posted
    }
}
