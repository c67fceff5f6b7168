/// A store that several gateways write to. Who runs which account is decided in it: an account belongs to one member at a
/// time, and what anybody else commits for it is refused.
///
/// A member is one instance of the plugin; the instances of one process (an old and a new build during a reload) are two
/// members of the same gateway.
public protocol SharedStore: ChannelStore {
    /// Says that the member lives, lets members go whose last beat is older than their lease (with them their accounts), and
    /// tells how things stand. One statement, whatever the number of accounts.
    ///
    /// What was asked for before the beat was answered tells when the lease began: the caller counts it from before the call.
    /// - Throws: `StoreError` when the store does not answer; `MemberGone` when the member was let go: everything it had
    ///   belongs to others, and it may begin anew under another name.
    func beat(_ member: Member) async throws -> ClusterReport

    /// Takes accounts that nobody runs, at most so many of those named; ones the store has not seen before are made. From
    /// here on commits for them carry their epoch. Returned are all of those named that the member has then: the answer to an
    /// earlier claim may have been lost.
    func claim(_ accounts: [String], atMost: Int) async throws -> [AccountLease]

    /// Takes an account over from another member of the same gateway that has stopped running it; nil if that lease is not
    /// in force any more.
    func takeOver(_ lease: AccountLease) async throws -> AccountLease?

    /// Gives accounts back, when everything committed for them is written. Leases that are not in force are ignored.
    func release(_ leases: [AccountLease]) async throws

    /// Who runs these accounts: the names of their gateways. Those nobody runs are absent.
    func runners(of accounts: [String]) async throws -> [String: String]

    /// Lets go of everything at once and of the membership: called when nothing runs any more.
    func leave(within limit: Duration) async

    /// Keeps a copy of a file of an outgoing message until the message is removed, for whoever takes the account over. To be
    /// called before the message is committed.
    /// - Parameter index: Which of the message's files.
    /// - Returns: false if there is none: the account is not this member's, the file cannot be read, or it is larger than
    ///   128 MiB.
    func keepFile(account: String, entry: String, index: Int, path: String) async throws -> Bool

    /// Writes a file that was kept to `path`, whose directory is there.
    /// - Returns: false if none was kept, or it cannot be written.
    func restoreFile(account: String, entry: String, index: Int, to path: String) async throws -> Bool

    /// A note of every account that has one of that name, whoever runs it, by account.
    func notes(_ name: String) async throws -> [String: [UInt8]]

    /// The lease of each account that this member has, by account.
    var leases: [String: AccountLease] { get }

    /// Calls `body`, from any thread, with each account whose commit was refused because the lease is not in force any more.
    func observeRefusals(_ body: @escaping @Sendable (_ account: String) -> Void)
}

extension SharedStore {
    public func keepFile(account: String, entry: String, index: Int, path: String) async throws -> Bool { false }
    public func restoreFile(account: String, entry: String, index: Int, to path: String) async throws -> Bool { false }
    public func notes(_ name: String) async throws -> [String: [UInt8]] { [:] }
}

/// One instance of the plugin among those that share a store.
public struct Member: Sendable, Equatable, Codable {
    /// Unique among all that ever were; chosen at random.
    public var id: String
    /// The gateway it belongs to, as operators know it.
    public var gateway: String
    /// How large a share of the accounts its gateway is to have beside others; above 0.
    public var weight: Double
    /// How many accounts its gateway is ready to run: its own and those on standby.
    public var wanted: Int
    /// Takes no more accounts and gives back those it has.
    public var isDraining: Bool
    /// How long it lives without a beat, seconds.
    public var leaseSeconds: Double
    /// For operators: where and what it is, and a digest of the settings that should be the same everywhere.
    public var host: String
    public var processIdentifier: Int32
    public var version: String
    public var settingsDigest: String

    public init(
        id: String, gateway: String, weight: Double = 1, wanted: Int = 0, isDraining: Bool = false,
        leaseSeconds: Double = 8, host: String = "", processIdentifier: Int32 = 0, version: String = "",
        settingsDigest: String = ""
    ) {
        self.id = id
        self.gateway = gateway
        self.weight = weight
        self.wanted = wanted
        self.isDraining = isDraining
        self.leaseSeconds = leaseSeconds
        self.host = host
        self.processIdentifier = processIdentifier
        self.version = version
        self.settingsDigest = settingsDigest
    }
}

/// How things stand, as one beat found them.
public struct ClusterReport: Sendable, Equatable {
    /// A member, what it has, and how long ago it was last heard.
    public struct Row: Sendable, Equatable {
        public var member: Member
        public var owned: Int
        public var secondsSinceBeat: Double

        public init(member: Member, owned: Int, secondsSinceBeat: Double) {
            self.member = member
            self.owned = owned
            self.secondsSinceBeat = secondsSinceBeat
        }
    }

    /// All members that live, the caller among them.
    public var members: [Row]
    /// How many accounts the store knows, and how many of them nobody runs.
    public var accounts: Int
    public var unowned: Int
    /// The store's clock, seconds since 1970.
    public var time: Double

    public init(members: [Row], accounts: Int, unowned: Int, time: Double) {
        self.members = members
        self.accounts = accounts
        self.unowned = unowned
        self.time = time
    }
}

/// The right to run an account, until its member's lease ends or it is given back.
public struct AccountLease: Sendable, Equatable, Codable, Hashable {
    public var account: String
    /// Who has it.
    public var member: String
    /// How often the account changed hands; a commit with another number is refused.
    public var epoch: Int64

    public init(account: String, member: String, epoch: Int64) {
        self.account = account
        self.member = member
        self.epoch = epoch
    }
}

/// The store knows the member no more: its lease had ended.
public struct MemberGone: Error, Sendable, Equatable {
    public init() {}
}

/// What became of a commit.
public enum CommitOutcome: Sendable, Equatable {
    /// It survives a crash of the process (or the store was closed, and it does what it can).
    case kept
    /// Another member runs the account; nothing was written, and nothing that depends on it may be done.
    case refused
}
