import Glibc

extension PostgreSQLInspection {
    /// Looks at a database. Blocks for as long as connecting takes, and a few seconds more at most.
    /// - Throws: `StoreError` if it cannot be reached, refuses, or has something else where the tables should be.
    public static func look(at settings: PostgreSQLSettings) throws(StoreError) -> PostgreSQLInspection {
        do throws(PostgreSQLFailure) {
            let connection = try PostgreSQLConnection(settings, name: "fabric doctor")
            defer { connection.close() }
            return try look(connection, settings.schema, .current)
        } catch {
            throw error.error(settings)
        }
    }

    private static func look(
        _ connection: PostgreSQLConnection, _ name: String, _ schema: PostgreSQLSchema
    ) throws(PostgreSQLFailure) -> PostgreSQLInspection {
        try connection.run("SELECT set_config('search_path', $1, false)", .text(name))
        let server = try connection.run(
            """
            SELECT current_setting('server_version'),
            coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
            extract(epoch FROM clock_timestamp())::float8, current_database()::text,
            has_database_privilege(current_database(), 'CREATE')
            """)
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var found = PostgreSQLInspection(
            serverVersion: try server.text(0, 0), isEncrypted: try server.bool(0, 1), version: nil,
            knownVersion: schema.steps.count)
        found.clockAhead = Double(now.tv_sec) + Double(now.tv_nsec) / 1e9 - (try server.double(0, 2))
        let place = try connection.run(
            """
            SELECT has_schema_privilege(oid, 'USAGE'), has_schema_privilege(oid, 'CREATE') FROM pg_namespace
            WHERE nspname = $1
            """, .text(name))
        if place.isEmpty {
            if try !server.bool(0, 4) { found.missingRights = ["CREATE on the database \(try server.text(0, 3))"] }
            return found
        }
        for (column, right) in ["USAGE", "CREATE"].enumerated() where try !place.bool(0, Int32(column)) {
            found.missingRights.append("\(right) on the schema \(name)")
        }
        found.missingRights += try tablesWithoutRights(connection, name)
        guard found.missingRights.isEmpty else { return found }
        let version = try schema.check(connection, name)
        guard version > 0 else { return found }
        found.version = version
        try readMembers(connection, &found)
        return found
    }

    private static func tablesWithoutRights(
        _ connection: PostgreSQLConnection, _ name: String
    ) throws(PostgreSQLFailure) -> [String] {
        let tables = try connection.run(
            """
            SELECT relname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE nspname = $1 AND relkind = 'r' AND NOT (
            has_table_privilege(pg_class.oid, 'SELECT') AND has_table_privilege(pg_class.oid, 'INSERT')
            AND has_table_privilege(pg_class.oid, 'UPDATE') AND has_table_privilege(pg_class.oid, 'DELETE'))
            ORDER BY relname LIMIT 5
            """, .text(name))
        var names: [String] = []
        for row in tables.rows { names.append("all on the table \(name).\(try tables.text(row, 0))") }
        return names
    }

    private static func readMembers(
        _ connection: PostgreSQLConnection, _ found: inout PostgreSQLInspection
    ) throws(PostgreSQLFailure) {
        let accounts = try connection.run(
            "SELECT count(*), count(*) FILTER (WHERE owner IS NULL) FROM account")
        found.accounts = Int(clamping: try accounts.int(0, 0))
        found.unowned = Int(clamping: try accounts.int(0, 1))
        let rows = try connection.run(
            """
            SELECT id, gateway, weight, wanted, draining, lease, host, process, version, settings,
            extract(epoch FROM clock_timestamp() - beat)::float8, (SELECT count(*) FROM account WHERE owner = member.row)
            FROM member ORDER BY gateway, id
            """)
        for row in rows.rows {
            let member = Member(
                id: try rows.text(row, 0), gateway: try rows.text(row, 1), weight: try rows.double(row, 2),
                wanted: Int(clamping: try rows.int(row, 3)), isDraining: try rows.bool(row, 4),
                leaseSeconds: try rows.double(row, 5), host: try rows.text(row, 6),
                processIdentifier: Int32(clamping: try rows.int(row, 7)), version: try rows.text(row, 8),
                settingsDigest: try rows.text(row, 9))
            found.members.append(
                ClusterReport.Row(
                    member: member, owned: Int(clamping: try rows.int(row, 11)),
                    secondsSinceBeat: try rows.double(row, 10)))
        }
    }
}
