/// The file, opened and brought up to date. What is damaged is moved aside.
struct StoreDatabase {
    let connection: SQLiteConnection
    let identity: StoreFile.Identity

    /// Opens the file, which is made if there is none.
    static func open(
        _ file: StoreFile, schema: StoreSchema, log: (StoreLogLevel, String) -> Void
    ) throws(SQLiteFailure) -> StoreDatabase {
        // Its directory, which is what the others are locked out by.
        try file.prepare()
        return try file.alone { () throws(SQLiteFailure) -> StoreDatabase in
            do throws(SQLiteFailure) { return try openAlone(file, schema: schema) } catch {
                guard error.kind == .corrupt, let damaged = try file.identity() else { throw error }
                try replace(damaged, file, because: error, log: log)
                return try openAlone(file, schema: schema)
            }
        }
    }

    /// Moves a file aside that turned out to be damaged while it was in use. Nobody has it open here any more.
    static func setAside(
        _ damaged: StoreFile.Identity, _ file: StoreFile, because failure: SQLiteFailure,
        log: (StoreLogLevel, String) -> Void
    ) throws(SQLiteFailure) {
        try file.alone { () throws(SQLiteFailure) in try replace(damaged, file, because: failure, log: log) }
    }

    private static func replace(
        _ damaged: StoreFile.Identity, _ file: StoreFile, because failure: SQLiteFailure,
        log: (StoreLogLevel, String) -> Void
    ) throws(SQLiteFailure) {
        guard let target = try file.moveAside(damaged) else { return }
        log(
            .error,
            "\(file.path) is damaged (\(failure.problem)). It was moved to \(target) and a new one begun: cursors, "
                + "unfinished deliveries, unsent messages and dead letters kept in it are gone from here. "
                + "\"sqlite3 \(target) .recover\" shows what can still be read; check the disk.")
    }

    private static func openAlone(_ file: StoreFile, schema: StoreSchema) throws(SQLiteFailure) -> StoreDatabase {
        try file.prepare()
        guard let identity = try file.identity() else {
            throw SQLiteFailure(.cannotOpen, problem: "the file went away while it was opened")
        }
        let connection = try SQLiteConnection(path: try file.resolved(), busyMilliseconds: 5000)
        do throws(SQLiteFailure) {
            connection.leaveLogOnClose()
            try schema.check(connection, path: file.path)
            guard !connection.isReadOnly else {
                throw SQLiteFailure(.readOnly, problem: "the file may not be written to")
            }
            connection.writeLogBackOnClose()
            try configure(connection)
            try schema.migrate(connection)
        } catch {
            connection.close()
            throw error
        }
        return StoreDatabase(connection: connection, identity: identity)
    }

    private static func configure(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        try connection.run("PRAGMA journal_mode = WAL")
        for setting in [
            // 4 MB of log before it is written back; a larger one is cut when it starts over.
            "wal_autocheckpoint = 1000", "journal_size_limit = 4194304",
            // Kibibytes of page cache: the tables' upper levels and the pages at work.
            "cache_size = -2048", "mmap_size = 0", "temp_store = MEMORY",
            // What was deleted is overwritten where that writes no more pages.
            "secure_delete = FAST",
            // Damage is noticed when a page is read rather than when it is believed.
            "cell_size_check = ON", "trusted_schema = OFF", "synchronous = NORMAL",
        ] { try connection.run("PRAGMA \(setting)") }
    }
}
