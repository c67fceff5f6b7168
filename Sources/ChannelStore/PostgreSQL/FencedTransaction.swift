/// Writes a batch in one transaction that holds only while the leases are in force, and only once.
struct FencedTransaction {
    /// The row of the member that writes.
    let member: Int64
    /// Of the batch; the last one written is kept beside the member.
    var number: Int64
    /// Whether it may have been written already.
    let isRepeated: Bool
    let mustOutlivePower: Bool
    /// `synchronous_commit` as the database has it.
    let usualCommit: String
    /// Accounts that were removed before this batch.
    var removed: Set<Int64>

    // Both divide by zero where they do not hold, which ends the transaction without another round trip.
    //
    // The row of `writer` is taken first. Who takes accounts away takes it too: until we are through, or before we begin; and
    // what comes after it sees what they did, for each statement looks at the tables anew.
    private static let takeNumber = """
        WITH taken AS (UPDATE writer SET number = $2::bigint WHERE member = $1::bigint AND number < $2 RETURNING 1)
        SELECT 1 / count(*) FROM taken
        """
    private static let check = """
        SELECT 1 / (count(*) = $4::bigint)::int FROM unnest($2::bigint[], $3::bigint[]) AS x(a, b)
        JOIN account ON account.row = a AND epoch = b AND owner = $1::bigint
        """

    typealias Folded = [AccountKey: (changes: AccountChanges, isReleased: Bool)]

    /// Returns the accounts that others have: nothing of theirs was written.
    mutating func run(
        _ all: Folded, _ connection: PostgreSQLConnection, isUsed: (Int64) -> Bool
    ) throws(PostgreSQLFailure) -> Set<AccountKey> {
        var left = all
        for (key, left) in all where left.changes.forgetsAll { removed.insert(key.row) }
        // Each time round, somebody may have lost more.
        while !left.isEmpty {
            var queries = [PostgreSQLQuery("BEGIN")]
            // A database that may lose what it has said it has (off), or its replica (local), is not taken at its word for
            // what nobody could say again.
            if mustOutlivePower, usualCommit != "on", usualCommit != "remote_apply" {
                queries.append(PostgreSQLQuery("SET LOCAL synchronous_commit = on"))
            }
            queries.append(PostgreSQLQuery(Self.takeNumber, .int(member), .int(number)))
            queries.append(
                PostgreSQLQuery(
                    Self.check, .int(member), .array(.init(left.keys.lazy.map(\.row))),
                    .array(.init(left.keys.lazy.map(\.epoch))), .int(Int64(left.count))))
            let checked = queries.count - 1
            queries += BatchStatements(left.map { ($0.key.row, $0.value.changes) }, isUsed: isUsed).queries
            queries += release(left)
            queries.append(PostgreSQLQuery("COMMIT"))
            do throws(PostgreSQLFailure) {
                _ = try connection.run(queries, within: 40)
                break
            } catch {
                guard error.kind == .fence, error.index <= checked else { throw error }
                try connection.run("ROLLBACK")
                if error.index < checked, try isWritten(connection) {
                    // What was given back with it is no longer ours, and was written all the same.
                    return try refused(all.filter { !$0.value.isReleased }, connection)
                }
                let lost = try refused(left, connection)
                for key in lost { left[key] = nil }
            }
        }
        return Set(all.keys).subtracting(left.keys)
    }

    /// Whether the batch is written; if it is not, it gets a number that is free.
    private mutating func isWritten(_ connection: PostgreSQLConnection) throws(PostgreSQLFailure) -> Bool {
        let found = try connection.run("SELECT number FROM writer WHERE member = $1::bigint", .int(member))
        guard !found.isEmpty else { return false }
        let last = try found.int(0, 0)
        guard last >= number else { return false }
        if isRepeated { return true }
        number = last + 1
        return false
    }

    private func refused(_ keys: Folded, _ connection: PostgreSQLConnection) throws(PostgreSQLFailure) -> Set<
        AccountKey
    > {
        let found = try connection.run(
            "SELECT account.row, epoch FROM account WHERE row = ANY($2::bigint[]) AND owner = $1::bigint", .int(member),
            .array(.init(keys.keys.lazy.map(\.row))))
        var epochs: [Int64: Int64] = [:]
        for row in found.rows { epochs[try found.int(row, 0)] = try found.int(row, 1) }
        return Set(keys.keys.filter { epochs[$0.row] != $0.epoch })
    }

    private func release(_ accounts: Folded) -> [PostgreSQLQuery] {
        let rows = accounts.filter(\.value.isReleased).map(\.key.row)
        guard !rows.isEmpty else { return [] }
        let forgotten = rows.filter { removed.contains($0) }
        var queries = [
            PostgreSQLQuery("UPDATE account SET owner = NULL WHERE row = ANY($1::bigint[])", .array(.init(rows)))
        ]
        // An account that was removed is not to be waited for by anybody.
        if !forgotten.isEmpty {
            queries.append(
                PostgreSQLQuery(
                    "DELETE FROM account WHERE row = ANY($1::bigint[]) AND NOT used", .array(.init(forgotten))))
        }
        return queries
    }
}
