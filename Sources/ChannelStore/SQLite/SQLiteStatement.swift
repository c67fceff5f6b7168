import CSQLite

/// A prepared statement: bind, step, read, reset. Parameters are numbered from 1, columns from 0.
final class SQLiteStatement {
    private let handle: OpaquePointer
    private let database: OpaquePointer
    private let sql: String
    private var isOpen = true

    init(_ sql: String, in database: OpaquePointer) throws(SQLiteFailure) {
        var prepared: OpaquePointer?
        let code = sqlite3_prepare_v3(database, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        guard code == SQLITE_OK, let prepared else {
            throw SQLiteFailure(code, doing: "preparing \"\(sql)\"", in: database)
        }
        self.handle = prepared
        self.database = database
        self.sql = sql
    }

    deinit { end() }

    func end() {
        guard isOpen else { return }
        isOpen = false
        sqlite3_finalize(handle)
    }

    func bind(_ index: Int32, _ value: Int64) throws(SQLiteFailure) {
        try check(sqlite3_bind_int64(handle, index, value))
    }

    func bind(_ index: Int32, _ value: Int64?) throws(SQLiteFailure) {
        try check(value.map { sqlite3_bind_int64(handle, index, $0) } ?? sqlite3_bind_null(handle, index))
    }

    func bind(_ index: Int32, _ value: Double) throws(SQLiteFailure) {
        try check(sqlite3_bind_double(handle, index, value))
    }

    func bind(_ index: Int32, _ value: Double?) throws(SQLiteFailure) {
        if let value { try bind(index, value) } else { try check(sqlite3_bind_null(handle, index)) }
    }

    func bind(_ index: Int32, _ value: String) throws(SQLiteFailure) {
        var value = value
        try check(
            value.withUTF8 { bytes in
                guard let length = Int32(exactly: bytes.count) else { return SQLITE_TOOBIG }
                return bytes.withMemoryRebound(to: CChar.self) {
                    csqlite_bind_text(handle, index, $0.baseAddress, length)
                }
            })
    }

    func bind(_ index: Int32, _ value: String?) throws(SQLiteFailure) {
        guard let value else { return try check(sqlite3_bind_null(handle, index)) }
        try bind(index, value)
    }

    func bind(_ index: Int32, _ value: [UInt8]?) throws(SQLiteFailure) {
        guard let value else { return try check(sqlite3_bind_null(handle, index)) }
        try check(
            value.withUnsafeBytes { bytes in
                guard let length = Int32(exactly: bytes.count) else { return SQLITE_TOOBIG }
                return csqlite_bind_blob(handle, index, bytes.baseAddress, length)
            })
    }

    /// Runs a statement without rows, with `bytes` as parameter `index`, which are not copied.
    func run(_ index: Int32, borrowing bytes: [UInt8]) throws(SQLiteFailure) {
        let failure: SQLiteFailure? = bytes.withUnsafeBytes { bytes in
            guard let length = Int32(exactly: bytes.count) else { return self.failure(SQLITE_TOOBIG) }
            let bound = csqlite_bind_borrowed_blob(handle, index, bytes.baseAddress, length)
            guard bound == SQLITE_OK else { return self.failure(bound) }
            let stepped = sqlite3_step(handle)
            let failure = stepped == SQLITE_DONE || stepped == SQLITE_ROW ? nil : self.failure(stepped)
            sqlite3_reset(handle)
            sqlite3_bind_null(handle, index)
            return failure
        }
        if let failure { throw failure }
    }

    /// Runs a statement without rows.
    func run() throws(SQLiteFailure) {
        let code = sqlite3_step(handle)
        guard code == SQLITE_DONE || code == SQLITE_ROW else {
            let failure = failure(code)
            sqlite3_reset(handle)
            throw failure
        }
        sqlite3_reset(handle)
    }

    /// The next row; false after the last one, with the statement ready to be run again.
    func step() throws(SQLiteFailure) -> Bool {
        let code = sqlite3_step(handle)
        if code == SQLITE_ROW { return true }
        guard code == SQLITE_DONE else {
            let failure = failure(code)
            sqlite3_reset(handle)
            throw failure
        }
        sqlite3_reset(handle)
        return false
    }

    /// The first column of the first row; nil: there is none.
    func firstInt64() throws(SQLiteFailure) -> Int64? {
        guard try step() else { return nil }
        defer { sqlite3_reset(handle) }
        return int64(0)
    }

    func int64(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }
    func double(_ column: Int32) -> Double { sqlite3_column_double(handle, column) }
    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }
    func optionalInt64(_ column: Int32) -> Int64? { isNull(column) ? nil : int64(column) }

    func string(_ column: Int32) -> String {
        // The text first: asking for it may convert, which changes the length.
        guard let text = sqlite3_column_text(handle, column) else { return "" }
        let length = Int(sqlite3_column_bytes(handle, column))
        return String(decoding: UnsafeBufferPointer(start: text, count: length), as: UTF8.self)
    }

    func optionalString(_ column: Int32) -> String? { isNull(column) ? nil : string(column) }

    func bytes(_ column: Int32) -> [UInt8] {
        guard let blob = sqlite3_column_blob(handle, column) else { return [] }
        return Array(UnsafeRawBufferPointer(start: blob, count: Int(sqlite3_column_bytes(handle, column))))
    }

    func optionalBytes(_ column: Int32) -> [UInt8]? { isNull(column) ? nil : bytes(column) }

    private func check(_ code: Int32) throws(SQLiteFailure) {
        if code != SQLITE_OK { throw failure(code) }
    }

    private func failure(_ code: Int32) -> SQLiteFailure { SQLiteFailure(code, doing: "\"\(sql)\"", in: database) }
}
