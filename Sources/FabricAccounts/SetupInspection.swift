/// What is configured and why not, as `./setup inspect --json` prints it. Every field is always there; a text with
/// nothing to say is empty.
public struct SetupInspection: Sendable, Equatable, Codable {
    /// Whether an account's key can be had.
    public enum Credential: String, Sendable, Codable {
        case available
        /// A place is named, but nothing is to be had there now.
        case unavailable
        /// No place is named, or the entry is faulty.
        case missing
    }

    public struct Account: Sendable, Equatable, Codable {
        public var accountId: String
        public var enabled: Bool
        /// Whether an agent id and a key are bound; not whether the key is at hand, nor whether it works.
        public var configured: Bool
        public var credential: Credential
        /// Where the key is, never the key.
        public var source: String
        public var reason: String

        public init(
            accountId: String, enabled: Bool, configured: Bool, credential: Credential, source: String, reason: String
        ) {
            self.accountId = accountId
            self.enabled = enabled
            self.configured = configured
            self.credential = credential
            self.source = source
            self.reason = reason
        }
    }

    public var channel = "fabric"
    /// Whether at least one account is.
    public var configured: Bool
    public var reason: String
    public var accounts: [Account]

    public init(configured: Bool, reason: String, accounts: [Account]) {
        self.configured = configured
        self.reason = reason
        self.accounts = accounts
    }
}
