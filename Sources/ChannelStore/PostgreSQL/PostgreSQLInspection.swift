/// A database that gateways share, looked at from outside; nothing is changed.
public struct PostgreSQLInspection: Sendable, Equatable {
    /// As the server says it: `15.14`.
    public var serverVersion: String
    /// Whether the connection is encrypted.
    public var isEncrypted: Bool
    /// Of the tables; nil: there are none yet.
    public var version: Int?
    /// Of the tables, as this build makes them.
    public var knownVersion: Int
    /// What the user lacks, as it would be granted: `CREATE on database fabric`.
    public var missingRights: [String]
    /// By how many seconds this machine's clock is ahead of the database's.
    public var clockAhead: Double
    /// The members and what they have, those included that are not heard any more.
    public var members: [ClusterReport.Row]
    /// How many accounts the tables have, and how many of them nobody runs.
    public var accounts: Int
    public var unowned: Int

    public init(
        serverVersion: String, isEncrypted: Bool, version: Int?, knownVersion: Int, missingRights: [String] = [],
        clockAhead: Double = 0, members: [ClusterReport.Row] = [], accounts: Int = 0, unowned: Int = 0
    ) {
        self.serverVersion = serverVersion
        self.isEncrypted = isEncrypted
        self.version = version
        self.knownVersion = knownVersion
        self.missingRights = missingRights
        self.clockAhead = clockAhead
        self.members = members
        self.accounts = accounts
        self.unowned = unowned
    }
}
