/// What members ask of the database beside writing, each in as few statements as it takes.
struct MemberStatements {
    let connection: PostgreSQLConnection

    private static let columns = """
        id = $1, gateway = $2, weight = $3::float8, wanted = $4::bigint, draining = $5::boolean, lease = $6::float8,
        host = $7, process = $8::bigint, version = $9, settings = $10, backend = $11, beat = clock_timestamp()
        """
    private static let admit = """
        WITH admitted AS (
            INSERT INTO member
            (id, gateway, weight, wanted, draining, lease, host, process, version, settings, backend, beat)
            VALUES ($1, $2, $3::float8, $4::bigint, $5::boolean, $6::float8, $7, $8::bigint, $9, $10, $11,
            clock_timestamp())
            ON CONFLICT (id) DO UPDATE SET beat = clock_timestamp() RETURNING row)
        INSERT INTO writer SELECT row, 0 FROM admitted ON CONFLICT DO NOTHING
        """
    private static let beat = """
        WITH beaten AS (UPDATE member SET \(columns) WHERE id = $1 RETURNING row),
        owned AS (SELECT owner, count(*) AS number FROM account GROUP BY owner)
        SELECT row, id, gateway, weight, wanted, draining, lease, host, process, version, settings,
        extract(epoch FROM clock_timestamp() - beat)::float8, coalesce(owned.number, 0)::bigint,
        extract(epoch FROM clock_timestamp())::float8, (SELECT row FROM beaten),
        (SELECT coalesce(sum(number), 0) FROM owned)::bigint,
        (SELECT coalesce(sum(number), 0) FROM owned WHERE owner IS NULL)::bigint, backend
        FROM member LEFT JOIN owned ON owner = member.row ORDER BY gateway, id
        """

    /// What a beat found.
    struct Found {
        struct Other {
            var row: Int64
            var backend: String
        }

        var report: ClusterReport
        /// Of each member of the report.
        var others: [Other]
        /// The caller's row; nil: it was let go.
        var row: Int64?

        /// Seconds.
        var longestLease: Double { report.members.map(\.member.leaseSeconds).max() ?? 0 }
    }

    func beat(_ member: Member, backend: String, isNew: Bool) throws(PostgreSQLFailure) -> Found {
        let parameters: [PostgreSQLParameter] = [
            .text(member.id), .text(member.gateway), .double(member.weight), .int(Int64(member.wanted)),
            .bool(member.isDraining), .double(member.leaseSeconds), .text(member.host),
            .int(Int64(member.processIdentifier)), .text(member.version), .text(member.settingsDigest), .text(backend),
        ]
        var queries = [PostgreSQLQuery(Self.beat, parameters: parameters)]
        if isNew { queries.insert(PostgreSQLQuery(Self.admit, parameters: parameters), at: 0) }
        guard let rows = try connection.run(queries, within: 5).last else {
            throw PostgreSQLFailure(.connection, problem: "the server gave no answer")
        }
        var found = Found(report: ClusterReport(members: [], accounts: 0, unowned: 0, time: 0), others: [], row: nil)
        for row in rows.rows {
            found.row = try rows.optionalInt(row, 14)
            found.report.time = try rows.double(row, 13)
            found.report.accounts = Int(clamping: try rows.int(row, 15))
            found.report.unowned = Int(clamping: try rows.int(row, 16))
            var other = Member(
                id: try rows.text(row, 1), gateway: try rows.text(row, 2), weight: try rows.double(row, 3),
                wanted: Int(clamping: try rows.int(row, 4)), isDraining: try rows.bool(row, 5),
                leaseSeconds: try rows.double(row, 6), host: try rows.text(row, 7),
                processIdentifier: Int32(clamping: try rows.int(row, 8)), version: try rows.text(row, 9),
                settingsDigest: try rows.text(row, 10))
            var age = try rows.double(row, 11)
            if other.id == member.id {
                // The row as it was before the statement.
                other = member
                age = 0
            }
            found.report.members.append(
                ClusterReport.Row(
                    member: other, owned: Int(clamping: try rows.int(row, 12)), secondsSinceBeat: age))
            found.others.append(Found.Other(row: try rows.int(row, 0), backend: try rows.text(row, 17)))
        }
        return found
    }

    /// Lets a member go if it is still silent; with it its accounts. Waits for a write of its that is under way, and ends it
    /// if it does not get on.
    func letGo(_ row: Int64, backend: String) throws(PostgreSQLFailure) -> Bool {
        let queries = [
            PostgreSQLQuery("BEGIN"), PostgreSQLQuery("SET LOCAL lock_timeout = '500ms'"),
            PostgreSQLQuery("SELECT 1 FROM writer WHERE member = $1::bigint FOR UPDATE", .int(row)),
            PostgreSQLQuery(
                """
                DELETE FROM member WHERE row = $1::bigint
                AND abs(extract(epoch FROM clock_timestamp() - beat)) > lease RETURNING 1
                """, .int(row)),
            PostgreSQLQuery("COMMIT"),
        ]
        let isGone = try endingWriter(backend) { () throws(PostgreSQLFailure) in
            try connection.run(queries).dropLast().last.map { !$0.isEmpty } ?? false
        }
        // One that stands still may have begun something else; it holds nobody up with it. Who may not end the connections of
        // another user waits as long as it takes.
        if isGone { try? PostgreSQLSession.end(backend, connection) }
        return isGone
    }

    /// Runs `body`, which is a transaction, once more without the connections of that name if somebody has what it needs.
    private func endingWriter<Value>(
        _ backend: String, _ body: () throws(PostgreSQLFailure) -> Value
    ) throws(PostgreSQLFailure) -> Value {
        do throws(PostgreSQLFailure) { return try body() } catch {
            try connection.run("ROLLBACK")
            guard error.kind == .locked else { throw error }
        }
        try PostgreSQLSession.end(backend, connection)
        do throws(PostgreSQLFailure) { return try body() } catch {
            try connection.run("ROLLBACK")
            throw error
        }
    }

    /// Takes accounts that nobody has, and tells which of those named the member has: the answer to an earlier claim may
    /// have been lost.
    func claim(
        _ names: [String], atMost: Int, for member: (row: Int64, id: String)
    ) throws(PostgreSQLFailure) -> [(lease: AccountLease, row: Int64)] {
        let wanted = PostgreSQLParameter.array(.init(names))
        let answers = try connection.run(
            [
                PostgreSQLQuery(
                    """
                    INSERT INTO account (name) SELECT x FROM unnest($1::text[]) AS x
                    WHERE NOT EXISTS (SELECT FROM account WHERE name = x) ON CONFLICT DO NOTHING
                    """, wanted),
                PostgreSQLQuery(
                    """
                    UPDATE account SET owner = $1::bigint, epoch = epoch + 1 WHERE row = ANY(ARRAY(
                        SELECT row FROM account WHERE name = ANY($2::text[]) AND owner IS NULL
                        LIMIT $3::bigint FOR UPDATE SKIP LOCKED))
                    """, .int(member.row), wanted, .int(Int64(max(0, atMost)))),
                PostgreSQLQuery(
                    "SELECT row, name, epoch FROM account WHERE name = ANY($2::text[]) AND owner = $1::bigint",
                    .int(member.row), wanted),
            ])
        return try leases(answers.last, member.id)
    }

    private func leases(
        _ found: PostgreSQLResult?, _ member: String
    ) throws(PostgreSQLFailure) -> [(lease: AccountLease, row: Int64)] {
        guard let found else { throw PostgreSQLFailure(.connection, problem: "the server gave no answer") }
        var leases: [(lease: AccountLease, row: Int64)] = []
        for row in found.rows {
            let lease = AccountLease(account: try found.text(row, 1), member: member, epoch: try found.int(row, 2))
            leases.append((lease, try found.int(row, 0)))
        }
        return leases
    }

    /// Takes an account from a member of the same gateway, after what that one is writing.
    func takeOver(
        _ lease: AccountLease, for member: (row: Int64, id: String)
    ) throws(PostgreSQLFailure) -> (lease: AccountLease, row: Int64)? {
        let old = try connection.run("SELECT row, backend FROM member WHERE id = $1", .text(lease.member))
        guard !old.isEmpty else { return nil }
        let row = try old.int(0, 0)
        let queries = [
            PostgreSQLQuery("BEGIN"), PostgreSQLQuery("SET LOCAL lock_timeout = '1s'"),
            PostgreSQLQuery("SELECT 1 FROM writer WHERE member = $1::bigint FOR UPDATE", .int(row)),
            PostgreSQLQuery(
                """
                UPDATE account SET owner = $1::bigint, epoch = epoch + 1
                WHERE name = $2 AND epoch = $3::bigint AND owner = $4::bigint
                AND EXISTS (SELECT FROM member AS a JOIN member AS b ON a.gateway = b.gateway
                            WHERE a.row = $1 AND b.row = $4)
                RETURNING row, name, epoch
                """, .int(member.row), .text(lease.account), .int(lease.epoch), .int(row)),
            PostgreSQLQuery("COMMIT"),
        ]
        return try endingWriter(try old.text(0, 1)) { () throws(PostgreSQLFailure) in
            try leases(connection.run(queries).dropLast().last, member.id).first
        }
    }

    /// Gives back what a former member of this process had, after what it wrote.
    func release(_ leases: [AccountLease]) throws(PostgreSQLFailure) {
        for (member, leases) in Dictionary(grouping: leases, by: \.member) {
            _ = try connection.run([
                PostgreSQLQuery(
                    "SELECT 1 FROM writer WHERE member = (SELECT row FROM member WHERE id = $1) FOR UPDATE",
                    .text(member)),
                PostgreSQLQuery(
                    """
                    UPDATE account SET owner = NULL FROM unnest($2::text[], $3::bigint[]) AS x(a, b)
                    WHERE name = a AND epoch = b AND owner = (SELECT row FROM member WHERE id = $1)
                    """, .text(member), .array(.init(leases.lazy.map(\.account))),
                    .array(.init(leases.lazy.map(\.epoch)))),
            ])
        }
    }

    func runners(of names: [String]) throws(PostgreSQLFailure) -> [String: String] {
        let found = try connection.run(
            """
            SELECT name, gateway FROM account JOIN member ON member.row = owner WHERE name = ANY($1::text[])
            """, .array(.init(names)))
        var runners: [String: String] = [:]
        for row in found.rows { runners[try found.text(row, 0)] = try found.text(row, 1) }
        return runners
    }

    func leave(_ row: Int64) throws(PostgreSQLFailure) {
        try connection.run("DELETE FROM member WHERE row = $1::bigint", .int(row))
    }

    /// Forgets an account that nobody runs; false: somebody does.
    func forget(_ account: String) throws(PostgreSQLFailure) -> Bool {
        var queries = [
            PostgreSQLQuery("BEGIN"),
            PostgreSQLQuery("SELECT owner IS NULL FROM account WHERE name = $1 FOR UPDATE", .text(account)),
        ]
        for table in PostgreSQLSchema.tablesOfAccounts {
            queries.append(
                PostgreSQLQuery(
                    "DELETE FROM \(table) WHERE account = (SELECT row FROM account WHERE name = $1 AND owner IS NULL)",
                    .text(account)))
        }
        queries.append(PostgreSQLQuery("DELETE FROM account WHERE name = $1 AND owner IS NULL", .text(account)))
        queries.append(PostgreSQLQuery("COMMIT"))
        let found = try connection.run(queries)
        if found[1].isEmpty { return true }
        return try found[1].bool(0, 0)
    }
}
