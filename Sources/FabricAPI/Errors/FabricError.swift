/// Why a call to Center or a guild failed: what was being done, where, what the server said, and what helps.
public struct FabricError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of failure, and so what to do next.
    public enum Kind: Sendable, Equatable {
        /// 401 or 403: the token or the key is not accepted.
        case refused(status: Int)
        /// No connection, a deadline, 408, 429 or 5xx: the same call may succeed later, not before `retryAfter`.
        case passing(status: Int?, retryAfter: Duration?)
        /// The connection was lost after the request was sent: nobody knows whether it took effect. Never for a call
        /// that may be repeated freely (those are `passing`).
        case unknownOutcome
        /// Another 4xx, or a redirect: repeating it is of no use. The code as far as the server gave one, for instance
        /// `channel_closed`.
        case rejected(status: Int, code: String?)
        /// More bytes than allowed.
        case tooLarge(limit: Int64)
        /// An answer that cannot be understood.
        case malformed
        /// The task was cancelled or the transfers were shut down.
        case cancelled
        /// On this side: a bad address, a file that cannot be read or written.
        case local
    }

    /// What kind of failure.
    public var kind: Kind
    /// What was being done, e.g. `posting a message`.
    public var operation: String
    /// Where: the guild's node id and the channel, or `Center`, with the server's address.
    public var place: String
    /// What the server said, or the network: at most 300 characters, without secrets.
    public var serverWords: String?
    /// What the operator can do.
    public var remedy: String
    /// A refusal that says itself that it means the token or the key: Fabric's own error with `statusCode` 401, or words
    /// about a key. False for what a firewall or a proxy answers in its place.
    public var speaksOfCredential: Bool

    public init(
        kind: Kind, operation: String, place: String, serverWords: String? = nil, remedy: String,
        speaksOfCredential: Bool = false
    ) {
        self.speaksOfCredential = speaksOfCredential
        self.kind = kind
        self.operation = operation
        self.place = place
        self.serverWords = serverWords
        self.remedy = remedy
    }

    /// A refusal that says that the user is not a member of the channel.
    public var speaksOfMembership: Bool {
        guard case .refused = kind, let words = serverWords?.lowercased() else { return false }
        return FabricSpelling.membershipWords.contains(where: words.contains)
    }

    /// A guild's guard refused it, for want of a token.
    var isOfAGuild: Bool {
        guard case .refused = kind, let words = serverWords?.lowercased() else { return false }
        return FabricSpelling.guardWords.contains(where: words.contains)
    }

    /// The same for a command that ends with it: nothing tries again by itself then.
    public var asked: FabricError {
        var copy = self
        copy.remedy = remedy.replacing("It is tried again", with: "Try it again")
        return copy
    }

    public var description: String {
        let words = serverWords.map { ": \($0)" } ?? ""
        return "\(operation) failed at \(place)\(reason)\(words). \(remedy)"
    }

    private var reason: String {
        switch kind {
        case .refused(let status): " (refused, \(status))"
        case .passing(let status?, _): " (\(status))"
        case .passing(nil, _): ""
        case .unknownOutcome: " (it may have taken effect)"
        case .rejected(let status, let code): " (rejected, \(status)\(code.map { " " + $0 } ?? ""))"
        case .tooLarge(let limit): " (more than \(limit) bytes)"
        case .malformed: " (answer not understood)"
        case .cancelled: " (cancelled)"
        case .local: ""
        }
    }
}
