/// What can be told of a store's file without changing it: for tools that look after a gateway.
public struct StoreInspection: Sendable, Equatable {
    /// How the file is.
    public enum Verdict: Sendable, Equatable {
        /// There is none yet; the first run makes it.
        case missing
        case good
        /// Something is wrong with it: what, and what the operator can do.
        case bad(problem: String, remedy: String)
    }

    public var verdict: Verdict
    /// The size of the file and of its log.
    public var bytes: Int64 = 0
    /// The version of the tables, and the one that this build writes.
    public var version: Int64 = 0
    public var knownVersion: Int64 = 0
    /// Accounts that anything is kept of.
    public var accounts: Int64 = 0

    /// Looks at a file: who wrote it, in which version, and whether its pages hold together. Takes as long as reading it.
    /// - Parameters:
    ///   - path: `channel.db` of a state directory.
    ///   - isInUse: whether a gateway has it open. If none has, nothing is made beside the file either.
    public static func of(_ path: String, isInUse: Bool) -> StoreInspection {
        inspect(StoreFile(path: path), schema: .current, isInUse: isInUse)
    }

    static func inspect(_ file: StoreFile, schema: StoreSchema, isInUse: Bool) -> StoreInspection {
        var result = StoreInspection(verdict: .missing)
        result.knownVersion = Int64(schema.steps.count)
        guard !file.isMissing else { return result }
        result.bytes = file.size
        do throws(SQLiteFailure) {
            // Without a log there is nothing that a look at the file alone would miss.
            let isAlone = !isInUse && file.logSize == 0
            let connection = try SQLiteConnection(reading: try file.resolved(), isAlone: isAlone)
            defer { connection.close() }
            result.version = try connection.number("PRAGMA user_version")
            try schema.check(connection, path: file.path)
            let faults = try connection.texts("PRAGMA quick_check(3)")
            if faults != ["ok"] {
                throw SQLiteFailure(
                    .corrupt, problem: "its pages do not hold together: \(faults.joined(separator: "; "))")
            }
            if result.version > 0 { result.accounts = try connection.number("SELECT count(*) FROM account") }
            result.verdict = .good
        } catch {
            let remedy =
                error.kind == .corrupt
                ? "check the disk. The gateway moves such a file aside when it comes upon the damage, and begins anew at the "
                    + "heads of the channels; stop it and keep a copy first if anything in it matters"
                : error.remedy(for: file.path)
            result.verdict = .bad(problem: error.problem, remedy: remedy)
        }
        return result
    }
}
