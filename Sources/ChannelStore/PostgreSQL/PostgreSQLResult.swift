import CPostgreSQL

/// Rows that a statement gave, in binary form. Columns are numbered from 0; a value that is not what is asked for is an error.
final class PostgreSQLResult {
    private let handle: OpaquePointer

    init(owning handle: OpaquePointer) { self.handle = handle }

    deinit { PQclear(handle) }

    var rows: Range<Int32> { 0..<PQntuples(handle) }
    var isEmpty: Bool { PQntuples(handle) == 0 }

    private func value(_ row: Int32, _ column: Int32) throws(PostgreSQLFailure) -> UnsafeBufferPointer<UInt8>? {
        guard row >= 0, row < PQntuples(handle), column >= 0, column < PQnfields(handle) else { throw bad(column) }
        if PQgetisnull(handle, row, column) != 0 { return nil }
        guard let start = PQgetvalue(handle, row, column) else { throw bad(column) }
        let count = Int(PQgetlength(handle, row, column))
        return start.withMemoryRebound(to: UInt8.self, capacity: count) {
            UnsafeBufferPointer(start: $0, count: count)
        }
    }

    private func present(_ row: Int32, _ column: Int32) throws(PostgreSQLFailure) -> UnsafeBufferPointer<UInt8> {
        guard let value = try value(row, column) else { throw bad(column) }
        return value
    }

    private func bad(_ column: Int32) -> PostgreSQLFailure {
        PostgreSQLFailure(
            .other, problem: "the database's answer has something else in column \(column) than was asked for")
    }

    private static func integer(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
        bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }

    func optionalInt(_ row: Int32, _ column: Int32) throws(PostgreSQLFailure) -> Int64? {
        guard let bytes = try value(row, column) else { return nil }
        let whole = Self.integer(bytes)
        switch bytes.count {
        case 8: return Int64(bitPattern: whole)
        case 4: return Int64(Int32(truncatingIfNeeded: whole))
        case 2: return Int64(Int16(truncatingIfNeeded: whole))
        default: throw bad(column)
        }
    }

    func int(_ row: Int32, _ column: Int32) throws(PostgreSQLFailure) -> Int64 {
        guard let value = try optionalInt(row, column) else { throw bad(column) }
        return value
    }

    func optionalDouble(_ row: Int32, _ column: Int32) throws(PostgreSQLFailure) -> Double? {
        guard let bytes = try value(row, column) else { return nil }
        guard bytes.count == 8 else { throw bad(column) }
        return Double(bitPattern: Self.integer(bytes))
    }

    func double(_ row: Int32, _ column: Int32) throws(PostgreSQLFailure) -> Double {
        guard let value = try optionalDouble(row, column) else { throw bad(column) }
        return value
    }

    func bool(_ row: Int32, _ column: Int32) throws(PostgreSQLFailure) -> Bool {
        let bytes = try present(row, column)
        guard bytes.count == 1 else { throw bad(column) }
        return bytes[0] != 0
    }

    func optionalText(_ row: Int32, _ column: Int32) throws(PostgreSQLFailure) -> String? {
        try value(row, column).map { PlainText.text($0) }
    }

    func text(_ row: Int32, _ column: Int32) throws(PostgreSQLFailure) -> String {
        PlainText.text(try present(row, column))
    }

    func optionalData(_ row: Int32, _ column: Int32) throws(PostgreSQLFailure) -> [UInt8]? {
        try value(row, column).map { Array($0) }
    }

    func data(_ row: Int32, _ column: Int32) throws(PostgreSQLFailure) -> [UInt8] { Array(try present(row, column)) }
}
