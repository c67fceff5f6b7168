import JSONBytes

/// Why a tool's call did not do what it was to do, as the one who called is told.
public struct ToolFailure: Error, Sendable, Equatable {
    /// What kind of failure; the raw values are those of the C header.
    public enum Code: String, Sendable, CaseIterable {
        case unknownTool = "unknown_tool"
        case invalidArgument = "invalid_argument"
        /// The account is not a member of the guild or channel.
        case notMember = "not_member"
        case notFound = "not_found"
        case channelClosed = "channel_closed"
        /// The guild does not let the account do this.
        case refused
        /// What the tool needs is not configured.
        case notConfigured = "not_configured"
        /// The turn the call belongs to is over.
        case turnOver = "turn_over"
        /// The call may act in its turn's conversation only.
        case otherConversation = "other_conversation"
        /// The guild, or Center, does not answer at the moment.
        case unavailable
        /// Too many calls of this account are under way.
        case busy
        /// A part was done; `done` says which.
        case halfDone = "half_done"
        /// The answer got lost: it may have taken effect.
        case unknownOutcome = "unknown_outcome"
        case timeout
        case cancelled
        case failed
    }

    public var code: Code
    /// What failed, where, and what helps.
    public var message: String
    /// The argument concerned.
    public var argument: String?
    /// Whether the same call may succeed if it is made again.
    public var isRetryable: Bool
    /// What was done before it failed.
    public var done: JSONValue?

    public init(
        _ code: Code, _ message: String, argument: String? = nil, isRetryable: Bool = false, done: JSONValue? = nil
    ) {
        self.code = code
        self.message = message
        self.argument = argument
        self.isRetryable = isRetryable
        self.done = done
    }

    /// The `error` object of the C header.
    public var json: JSONValue {
        var object: [String: JSONValue] = [
            "code": .string(code.rawValue), "message": .string(message), "retryable": .bool(isRetryable),
        ]
        object["argument"] = argument.map { .string($0) }
        object["done"] = done
        return .object(object)
    }
}
