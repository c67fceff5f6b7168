import CSQLite

/// One connection to one file, for one thread at a time. Statements are prepared once and kept.
final class SQLiteConnection {
    let handle: OpaquePointer
    private var kept: [SQLiteStatement] = []

    /// Opens a file that exists. The path holds no symbolic link.
    init(path: String, busyMilliseconds: Int32) throws(SQLiteFailure) {
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            let failure = SQLiteFailure(code, doing: "opening", in: opened)
            sqlite3_close_v2(opened)
            throw failure
        }
        handle = opened
        sqlite3_busy_timeout(opened, busyMilliseconds)
    }

    /// Opens a file to read it only.
    /// - Parameter isAlone: nobody writes to it, and no log belongs to it: then nothing is made beside it.
    init(reading path: String, isAlone: Bool) throws(SQLiteFailure) {
        let plain = path.utf8.map { byte -> String in
            let isSafe = UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || "/._-0123456789".utf8.contains(byte)
            let digits = String(byte, radix: 16)
            return isSafe ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + digits
        }.joined()
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_URI
        let code = sqlite3_open_v2("file:\(plain)\(isAlone ? "?immutable=1" : "")", &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            let failure = SQLiteFailure(code, doing: "opening", in: opened)
            sqlite3_close_v2(opened)
            throw failure
        }
        handle = opened
        sqlite3_busy_timeout(opened, 1000)
    }

    deinit { close() }

    private var isOpen = true

    /// Lets go of the file. Statements of this connection are of no use afterwards.
    func close() {
        guard isOpen else { return }
        isOpen = false
        for statement in kept { statement.end() }
        kept = []
        sqlite3_close_v2(handle)
    }

    /// Does not write the log back when this turns out to be the last connection.
    func leaveLogOnClose() { _ = csqlite_checkpoint_on_close(handle, 0) }
    func writeLogBackOnClose() { _ = csqlite_checkpoint_on_close(handle, 1) }

    var isReadOnly: Bool { sqlite3_db_readonly(handle, "main") == 1 }

    /// A statement that lives as long as the connection.
    func prepare(_ sql: String) throws(SQLiteFailure) -> SQLiteStatement {
        let statement = try SQLiteStatement(sql, in: handle)
        kept.append(statement)
        return statement
    }

    /// Runs statements that take nothing and whose rows do not matter.
    func run(_ sql: String) throws(SQLiteFailure) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw SQLiteFailure(code, doing: sql, in: handle) }
    }

    /// The first column of the first row of a statement that is needed once.
    func number(_ sql: String) throws(SQLiteFailure) -> Int64 {
        let statement = try SQLiteStatement(sql, in: handle)
        defer { statement.end() }
        return try statement.step() ? statement.int64(0) : 0
    }

    /// The first column of every row of a statement that is needed once.
    func texts(_ sql: String) throws(SQLiteFailure) -> [String] {
        let statement = try SQLiteStatement(sql, in: handle)
        defer { statement.end() }
        var texts: [String] = []
        while try statement.step() { texts.append(statement.string(0)) }
        return texts
    }

    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Runs `body` in a transaction that takes the right to write at once; takes everything back when it throws.
    func writing<Value>(_ body: () throws(SQLiteFailure) -> Value) throws(SQLiteFailure) -> Value {
        try run("BEGIN IMMEDIATE")
        do {
            let value = try body()
            try run("COMMIT")
            return value
        } catch {
            rollBack()
            throw error
        }
    }

    /// Takes back the transaction, unless SQLite has done so by itself.
    func rollBack() { if isInTransaction { _ = sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) } }

    /// Runs `body` on one state of the file.
    func reading<Value>(_ body: () throws(SQLiteFailure) -> Value) throws(SQLiteFailure) -> Value {
        try run("BEGIN")
        defer { if isInTransaction { _ = sqlite3_exec(handle, "COMMIT", nil, nil, nil) } }
        return try body()
    }

    var lastInsertedRow: Int64 { sqlite3_last_insert_rowid(handle) }

    /// Gives back the memory of the page cache.
    func releaseMemory() { _ = sqlite3_db_release_memory(handle) }

    /// Moves what is in the log into the file as far as that goes without waiting for anybody.
    func checkpoint() { _ = sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_PASSIVE, nil, nil) }
}
