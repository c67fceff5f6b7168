/// What is known of a position above a cursor.
enum PositionMark: Int64 {
    case wakeup = 0
    case taken = 1
}

/// The tables, as the steps that lead to them. A file says in `user_version` how many of them it has taken.
struct StoreSchema: Sendable {
    /// Says that a file is a channel store: "FbCh".
    static let application: Int64 = 0x4662_4368

    /// What each version adds to the one before it. Only ever appended to.
    var steps: [String]

    static let current = StoreSchema(steps: [version1, version2, version3])

    // Integer keys wherever a message passes: a row found by its number costs half of one found by text. Cursors have a
    // table of their own, so that the cursors of an account lie side by side and changing one rewrites nothing else.
    // `row` of deliveries and outgoing messages grows, and is the order they were taken in. `writer` names the store
    // object that last wrote to the account; it may remember row numbers as long as it is named there.
    private static let version1 = """
        CREATE TABLE account (
            row INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, running INTEGER NOT NULL DEFAULT 0,
            writer INTEGER NOT NULL DEFAULT 0);
        CREATE TABLE guild (
            row INTEGER PRIMARY KEY, account INTEGER NOT NULL, name TEXT NOT NULL, listed REAL, UNIQUE (account, name));
        CREATE TABLE channel (
            row INTEGER PRIMARY KEY, guild INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (guild, name));
        CREATE TABLE cursor (channel INTEGER PRIMARY KEY, sequence INTEGER NOT NULL);
        CREATE TABLE mark (
            account INTEGER NOT NULL, channel INTEGER NOT NULL, sequence INTEGER NOT NULL, kind INTEGER NOT NULL,
            PRIMARY KEY (account, channel, sequence, kind)) WITHOUT ROWID;
        CREATE TABLE delivery (
            row INTEGER PRIMARY KEY, account INTEGER NOT NULL, channel INTEGER NOT NULL, sequence INTEGER,
            flags INTEGER NOT NULL, attempts INTEGER NOT NULL, id TEXT NOT NULL, media_directory TEXT,
            dead_reason TEXT, message BLOB NOT NULL);
        CREATE INDEX delivery_account ON delivery (account);
        CREATE TABLE outbox (
            row INTEGER PRIMARY KEY, account INTEGER NOT NULL, channel INTEGER NOT NULL, id TEXT NOT NULL,
            reply_to TEXT, floor INTEGER, place INTEGER NOT NULL, dead_reason TEXT, text TEXT NOT NULL);
        CREATE INDEX outbox_account ON outbox (account);
        CREATE TABLE media (
            outbox INTEGER NOT NULL, number INTEGER NOT NULL, path TEXT NOT NULL, name TEXT NOT NULL,
            media_type TEXT NOT NULL, uploaded BLOB, PRIMARY KEY (outbox, number)) WITHOUT ROWID;
        """

    // The time of the newest message and the state of a log that went back: see `StoredAccount`.
    private static let version2 = """
        ALTER TABLE cursor ADD COLUMN newest REAL;
        ALTER TABLE channel ADD COLUMN era INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE channel ADD COLUMN not_before REAL;
        """

    private static let version3 = """
        CREATE TABLE note (
            account INTEGER NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (account, name)) WITHOUT ROWID;
        """

    /// Refuses what is not ours or of a later version, without having changed anything.
    func check(_ connection: SQLiteConnection, path: String) throws(SQLiteFailure) {
        let version = try connection.number("PRAGMA user_version")
        guard version >= 0, version <= steps.count else {
            throw SQLiteFailure(
                .foreign,
                problem: "the file has version \(version), and this build knows versions up to \(steps.count)",
                advice: "install the build that wrote \(path), or move it away: agents then begin at the heads")
        }
        let application = try connection.number("PRAGMA application_id")
        let tables = try connection.number("SELECT count(*) FROM sqlite_schema")
        guard application == Self.application || application == 0 && version == 0 && tables == 0 else {
            throw SQLiteFailure(
                .foreign, problem: "the file is another program's database",
                advice: "move \(path) away, or name another state directory")
        }
    }

    /// Takes the steps that are missing, all or none.
    func migrate(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        guard try connection.number("PRAGMA user_version") < steps.count else { return }
        try connection.writing { () throws(SQLiteFailure) in
            // Another store object may have been faster.
            let version = try connection.number("PRAGMA user_version")
            for (number, step) in steps.enumerated() where number >= version { try connection.run(step) }
            try connection.run("PRAGMA application_id = \(Self.application)")
            try connection.run("PRAGMA user_version = \(steps.count)")
        }
    }
}
