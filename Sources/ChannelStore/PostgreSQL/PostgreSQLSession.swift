/// A connection to the tables, made when it is needed and again when it broke.
final class PostgreSQLSession {
    private let current: CurrentSettings
    var settings: PostgreSQLSettings { current.value }
    private let schema: PostgreSQLSchema
    /// How the server knows the connection; seen in pg_stat_activity.
    let name: String
    private var connection: PostgreSQLConnection?
    /// How durable commits are without anybody asking, as the database is configured.
    private(set) var usualCommit = "on"

    init(_ settings: CurrentSettings, schema: PostgreSQLSchema, name: String) {
        current = settings
        self.schema = schema
        self.name = name
    }

    /// Runs `body` with a connection. One that was there and turns out to be broken is replaced, and `body` run again.
    func use<Value>(
        _ body: (PostgreSQLConnection) throws(PostgreSQLFailure) -> Value
    ) throws(PostgreSQLFailure) -> Value {
        let wasThere = connection != nil
        do throws(PostgreSQLFailure) { return try body(open()) } catch {
            guard wasThere, error.kind == .connection else { throw failed(error) }
            close()
        }
        do throws(PostgreSQLFailure) { return try body(open()) } catch { throw failed(error) }
    }

    func close() {
        connection?.close()
        connection = nil
    }

    /// Ends other connections of that name.
    /// - Parameter name: The whole name, or its beginning up to a space.
    static func end(_ name: String, _ connection: PostgreSQLConnection) throws(PostgreSQLFailure) {
        try connection.run(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE (application_name = $1 OR starts_with(application_name, $1 || ' ')) AND datname = current_database() AND pid <> pg_backend_pid()
            """, .text(name))
    }

    private func failed(_ failure: PostgreSQLFailure) -> PostgreSQLFailure {
        // Whatever state it is in, a new one is in none.
        close()
        return failure
    }

    private func open() throws(PostgreSQLFailure) -> PostgreSQLConnection {
        if let connection { return connection }
        let settings = settings
        let opened = try PostgreSQLConnection(settings, name: name)
        do throws(PostgreSQLFailure) {
            // A lock that somebody holds who stands still, and a transaction of ours that nobody goes on with, keep the
            // others up for so long at most.
            let found = try opened.run(
                """
                SELECT set_config('search_path', $1, false), set_config('lock_timeout', '2s', false),
                set_config('statement_timeout', '30s', false),
                set_config('idle_in_transaction_session_timeout', '3s', false),
                set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
                set_config('enable_mergejoin', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false),
                current_setting('synchronous_commit')
                """, .text(settings.schema))
            usualCommit = try found.text(0, 8)
            try schema.prepare(opened, settings.schema)
            // What an earlier connection of ours left under way holds what the next transaction needs.
            try Self.end(name, opened)
        } catch {
            opened.close()
            throw error
        }
        connection = opened
        return opened
    }
}
