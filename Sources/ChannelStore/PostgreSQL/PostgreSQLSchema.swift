/// The tables, as the steps that lead to them. `store.version` says how many of them the schema has taken.
struct PostgreSQLSchema: Sendable {
    /// What each version adds to the one before it, statement by statement. Only ever appended to.
    var steps: [[String]]

    static let current = PostgreSQLSchema(steps: [version1])

    // Accounts have a number, for they are in every row; channels, deliveries and messages are found by the names they
    // have, so that a gateway need not know what is there before it writes. `place` grows, and is the order things were
    // taken in.
    //
    // `writer` has a row for each member, which every write of its takes first: whoever takes an account from a member waits
    // for the writes under way by taking it too. `number` is the number of its last batch, so that one is never written
    // twice. `member.backend` is how the names of its connections begin. `account.used`: something was committed
    // for it.
    private static let version1 = [
        """
        CREATE TABLE member (
            row bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE, gateway text NOT NULL,
            weight float8 NOT NULL, wanted bigint NOT NULL, draining boolean NOT NULL, lease float8 NOT NULL,
            host text NOT NULL, process bigint NOT NULL, version text NOT NULL, settings text NOT NULL,
            backend text NOT NULL, beat timestamptz NOT NULL) WITH (fillfactor = 50)
        """,
        """
        CREATE TABLE writer (
            member bigint PRIMARY KEY REFERENCES member ON DELETE CASCADE, number bigint NOT NULL) WITH (fillfactor = 50)
        """,
        """
        CREATE TABLE account (
            row bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE,
            owner bigint REFERENCES member ON DELETE SET NULL, epoch bigint NOT NULL DEFAULT 0,
            used boolean NOT NULL DEFAULT false, running boolean NOT NULL DEFAULT false) WITH (fillfactor = 70)
        """,
        "CREATE INDEX account_owner ON account (owner)",
        """
        CREATE TABLE guild (
            account bigint NOT NULL, name text NOT NULL, listed float8 NOT NULL, PRIMARY KEY (account, name))
        """,
        """
        CREATE TABLE channel (
            account bigint NOT NULL, guild text NOT NULL, name text NOT NULL, cursor bigint, newest float8,
            era bigint NOT NULL DEFAULT 0, not_before float8, PRIMARY KEY (account, guild, name)) WITH (fillfactor = 70)
        """,
        """
        CREATE TABLE mark (
            account bigint NOT NULL, guild text NOT NULL, channel text NOT NULL, sequence bigint NOT NULL,
            kind bigint NOT NULL, PRIMARY KEY (account, guild, channel, sequence, kind))
        """,
        """
        CREATE TABLE delivery (
            account bigint NOT NULL, id text NOT NULL, place bigint GENERATED ALWAYS AS IDENTITY, guild text NOT NULL,
            channel text NOT NULL, sequence bigint, flags bigint NOT NULL, attempts bigint NOT NULL, media_directory text,
            dead_reason text, message bytea NOT NULL, PRIMARY KEY (account, id))
        """,
        """
        CREATE TABLE outbox (
            account bigint NOT NULL, id text NOT NULL, place bigint GENERATED ALWAYS AS IDENTITY, guild text NOT NULL,
            channel text NOT NULL, reply_to text, floor bigint, position bigint NOT NULL, dead_reason text,
            text text NOT NULL, PRIMARY KEY (account, id))
        """,
        """
        CREATE TABLE media (
            account bigint NOT NULL, outbox text NOT NULL, number bigint NOT NULL, path text NOT NULL, name text NOT NULL,
            media_type text NOT NULL, uploaded bytea, PRIMARY KEY (account, outbox, number))
        """,
        """
        CREATE TABLE file (
            account bigint NOT NULL, outbox text NOT NULL, number bigint NOT NULL, part bigint NOT NULL,
            kept timestamptz NOT NULL DEFAULT now(), bytes bytea NOT NULL, PRIMARY KEY (account, outbox, number, part))
        """,
        """
        CREATE TABLE note (
            account bigint NOT NULL, name text NOT NULL, value bytea NOT NULL, PRIMARY KEY (account, name))
        """,
    ]

    /// The tables that have rows of accounts.
    static let tablesOfAccounts = ["note", "file", "media", "outbox", "delivery", "mark", "channel", "guild"]

    /// Makes the schema and its tables what this build knows, or refuses it without having changed anything.
    func prepare(_ connection: PostgreSQLConnection, _ name: String) throws(PostgreSQLFailure) {
        if try check(connection, name) == steps.count { return }
        _ = try connection.run([PostgreSQLQuery("BEGIN")])
        do throws(PostgreSQLFailure) {
            // Of those that start together one makes the tables, and the others find them made.
            _ = try connection.run(
                [
                    PostgreSQLQuery("SET LOCAL lock_timeout = '20s'"),
                    PostgreSQLQuery(
                        "SELECT pg_advisory_xact_lock(hashtextextended('channel store ' || $1::text, 0))", .text(name)),
                ], within: 25)
            let found = try connection.run("SELECT 1 FROM pg_namespace WHERE nspname = $1", .text(name))
            if found.isEmpty { try connection.run("CREATE SCHEMA \(name)") }
            let version = try check(connection, name)
            if version == 0 {
                try connection.run("CREATE TABLE store (application text NOT NULL, version bigint NOT NULL)")
                try connection.run("INSERT INTO store VALUES ('fabric channel store', 0)")
            }
            for (number, step) in steps.enumerated() where number >= version {
                for statement in step { try connection.run(statement) }
            }
            try connection.run("UPDATE store SET version = $1::bigint", .int(Int64(steps.count)))
            try connection.run("COMMIT")
        } catch {
            _ = try? connection.run([PostgreSQLQuery("ROLLBACK")])
            throw error
        }
    }

    /// Which version the schema has; 0: nothing is in it.
    func check(_ connection: PostgreSQLConnection, _ name: String) throws(PostgreSQLFailure) -> Int {
        let tables = try connection.run(
            """
            SELECT count(*), count(*) FILTER (WHERE relname = 'store') FROM pg_class
            JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = $1 AND relkind IN ('r', 'p', 'v', 'm')
            """, .text(name))
        if try tables.int(0, 0) == 0 { return 0 }
        let foreign = PostgreSQLFailure(
            .foreign, problem: "the schema has another program's tables",
            advice: "name another schema (store.postgresql.schema); it is made if it is not there")
        if try tables.int(0, 1) == 0 { throw foreign }
        let found: PostgreSQLResult
        do throws(PostgreSQLFailure) {
            found = try connection.run("SELECT application::text, version::bigint FROM store")
        } catch {
            throw error.state == "42703" ? foreign : error
        }
        guard found.rows.count == 1, try found.text(0, 0) == "fabric channel store" else { throw foreign }
        let version = try found.int(0, 1)
        guard version > 0, version <= steps.count else {
            throw PostgreSQLFailure(
                .foreign,
                problem: "the tables have version \(version), and this build knows versions up to \(steps.count)",
                advice:
                    "install the build that the other gateways have, or name another schema: agents then begin at the "
                    + "heads")
        }
        return Int(version)
    }
}
