/// Files of outgoing messages, in parts of a mebibyte.
struct FileStatements {
    let connection: PostgreSQLConnection

    /// Which file.
    struct Name: Sendable {
        var key: AccountKey
        var entry: String
        var index: Int64

        init(_ key: AccountKey, _ entry: String, _ index: Int) {
            self.key = key
            self.entry = entry
            self.index = Int64(index)
        }

        var parameters: [PostgreSQLParameter] { [.int(key.row), .text(entry), .int(index)] }
    }

    /// False: the account is another's.
    func keep(
        _ bytes: [UInt8], part: Int, of name: Name, member: Int64
    ) throws(PostgreSQLFailure) -> Bool {
        var queries = [
            PostgreSQLQuery("BEGIN"),
            // Divides by zero where the lease is not in force; the lock keeps it in force until the end.
            PostgreSQLQuery(
                """
                WITH mine AS (SELECT 1 FROM account WHERE row = $1::bigint AND epoch = $2::bigint AND owner = $3::bigint
                FOR SHARE) SELECT 1 / count(*) FROM mine
                """, .int(name.key.row), .int(name.key.epoch), .int(member)),
        ]
        if part == 0 {
            queries += [
                PostgreSQLQuery(
                    "DELETE FROM file WHERE account = $1::bigint AND outbox = $2 AND number = $3::bigint",
                    parameters: name.parameters),
                // What a message that was never committed has left behind.
                PostgreSQLQuery(
                    """
                    DELETE FROM file WHERE account = $1::bigint AND kept < now() - interval '1 day'
                    AND NOT EXISTS (SELECT FROM outbox WHERE outbox.account = $1 AND outbox.id = file.outbox)
                    """, .int(name.key.row)),
            ]
        }
        queries += [
            PostgreSQLQuery(
                """
                INSERT INTO file (account, outbox, number, part, bytes)
                VALUES ($1::bigint, $2, $3::bigint, $4::bigint, $5::bytea)
                ON CONFLICT (account, outbox, number, part) DO UPDATE SET bytes = excluded.bytes
                """, parameters: name.parameters + [.int(Int64(part)), .data(bytes)]),
            PostgreSQLQuery("COMMIT"),
        ]
        do throws(PostgreSQLFailure) { _ = try connection.run(queries, within: 30) } catch {
            guard error.kind == .fence else { throw error }
            try connection.run("ROLLBACK")
            return false
        }
        return true
    }

    /// nil: there is no such part.
    func part(_ part: Int, of name: Name) throws(PostgreSQLFailure) -> [UInt8]? {
        let found = try connection.run(
            [
                PostgreSQLQuery(
                    """
                    SELECT bytes FROM file
                    WHERE account = $1::bigint AND outbox = $2 AND number = $3::bigint AND part = $4::bigint
                    """, parameters: name.parameters + [.int(Int64(part))])
            ], within: 30)
        guard let rows = found.first, !rows.isEmpty else { return nil }
        return try rows.data(0, 0)
    }
}
