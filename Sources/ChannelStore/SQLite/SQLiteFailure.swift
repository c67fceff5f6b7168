import CSQLite
import Glibc

/// Why SQLite did not do something.
struct SQLiteFailure: Error, Equatable {
    /// What to do about it.
    enum Kind: Equatable {
        /// The file is damaged: nothing that is tried again helps.
        case corrupt
        /// Somebody else is writing.
        case busy
        case full
        case readOnly
        case cannotOpen
        case inputOutput
        /// Another program's file, or one of a later version of this one.
        case foreign
        case other
    }

    var kind: Kind
    /// SQLite's extended result code; 0 where it was not SQLite that refused.
    var code: Int32
    /// What was being done, and what SQLite or the system says about it.
    var problem: String
    /// Set where `kind` does not tell what the operator can do.
    var advice: String?

    init(_ kind: Kind, code: Int32 = 0, problem: String, advice: String? = nil) {
        self.kind = kind
        self.code = code
        self.problem = problem
        self.advice = advice
    }

    /// What the last call on `database` left behind.
    init(_ code: Int32, doing what: String, in database: OpaquePointer?) {
        let extended = database.map { sqlite3_extended_errcode($0) } ?? code
        // The connection may have been asked for something else in between; the code returned is what counts.
        let shown = extended & 0xFF == code & 0xFF ? extended : code
        let systemError = database.map { sqlite3_system_errno($0) } ?? 0
        self.kind = Self.kind(of: shown, systemError: systemError)
        self.code = shown
        var text = "\(what): \(String(cString: sqlite3_errstr(shown)))"
        if let database, let message = sqlite3_errmsg(database) {
            let detail = String(cString: message)
            if !text.hasSuffix(detail) { text += ", \(detail)" }
        }
        text += " (\(Self.name(of: shown)))"
        if systemError != 0, kind != .corrupt, kind != .busy { text += ": \(String(cString: strerror(systemError)))" }
        self.problem = text
    }

    static func system(_ what: String, _ error: Int32) -> SQLiteFailure {
        SQLiteFailure(
            kind(of: SQLITE_CANTOPEN, systemError: error), problem: "\(what): \(String(cString: strerror(error)))")
    }

    private static func kind(of code: Int32, systemError: Int32) -> Kind {
        switch code & 0xFF {
        case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt
        case SQLITE_BUSY, SQLITE_LOCKED: .busy
        case SQLITE_FULL: .full
        case SQLITE_READONLY: .readOnly
        case SQLITE_CANTOPEN, SQLITE_IOERR, SQLITE_PERM, SQLITE_AUTH:
            switch systemError {
            case ENOSPC, EDQUOT, EFBIG: .full
            case EROFS, EACCES, EPERM: .readOnly
            default: code & 0xFF == SQLITE_IOERR ? .inputOutput : .cannotOpen
            }
        default: .other
        }
    }

    /// The name of the code in SQLite's documentation, where an operator is likely to meet it.
    private static func name(of code: Int32) -> String {
        let names: [Int32: String] = [
            SQLITE_CORRUPT: "SQLITE_CORRUPT", SQLITE_NOTADB: "SQLITE_NOTADB", SQLITE_BUSY: "SQLITE_BUSY",
            SQLITE_FULL: "SQLITE_FULL", SQLITE_READONLY: "SQLITE_READONLY", SQLITE_CANTOPEN: "SQLITE_CANTOPEN",
            SQLITE_IOERR: "SQLITE_IOERR", SQLITE_PERM: "SQLITE_PERM", SQLITE_NOMEM: "SQLITE_NOMEM",
        ]
        let name = names[code & 0xFF] ?? "SQLite"
        return code > 0xFF ? "\(name), extended code \(code)" : "\(name), code \(code)"
    }

    /// What the operator can do about it.
    func remedy(for path: String) -> String {
        if let advice { return advice }
        switch kind {
        case .full: return "free space on the disk of \(path), or raise its quota"
        case .readOnly: return "make \(path) and its directory writable for this process"
        case .cannotOpen: return "check that the directory of \(path) exists and belongs to this process' user"
        case .inputOutput:
            return "check the disk of \(path): free space, quota and file size limit (ulimit -f) first, then dmesg"
        case .busy: return "end the other program that writes \(path)"
        case .corrupt: return "move \(path) away; it is started afresh"
        case .foreign, .other: return "look at \(path) with the sqlite3 command, or move it away to start afresh"
        }
    }

    func error(for path: String) -> StoreError { StoreError(problem, path: path, remedy: remedy(for: path)) }
}
