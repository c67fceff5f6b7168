import CPostgreSQL
import Glibc
import Timing

/// A statement and what it is given. Its text is prepared once on each connection.
struct PostgreSQLQuery {
    let sql: String
    let parameters: [PostgreSQLParameter]

    init(_ sql: String, _ parameters: PostgreSQLParameter...) {
        self.sql = sql
        self.parameters = parameters
    }

    init(_ sql: String, parameters: [PostgreSQLParameter]) {
        self.sql = sql
        self.parameters = parameters
    }
}

/// One connection, for one thread at a time: statements go out together, and their answers come back in one go.
final class PostgreSQLConnection {
    private let handle: OpaquePointer
    private let password: String?
    private var names: [String: String] = [:]
    private var named = 0
    private var isOpen = true

    /// Connects, which may take as long as `connect_timeout` for each server.
    init(_ settings: PostgreSQLSettings, name: String) throws(PostgreSQLFailure) {
        password = settings.keywords["password"]
        let keywords = try settings.connectionKeywords(name: name).sorted { $0.key < $1.key }
        let names = keywords.map { strdup($0.key) }
        let values = keywords.map { strdup($0.value) }
        defer { for text in names + values { free(text) } }
        let opened = PQconnectdbParams(
            names.map { UnsafePointer($0) } + [nil], values.map { UnsafePointer($0) } + [nil], 0)
        guard let opened else { throw PostgreSQLFailure(.other, problem: "no memory for a connection") }
        handle = opened
        guard PQstatus(opened) == CONNECTION_OK else {
            defer { close() }
            throw .connecting(said(PQerrorMessage(opened)))
        }
        // What the server remarks goes nowhere, rather than to the standard error of whoever loaded this.
        PQsetNoticeReceiver(opened, { _, _ in }, nil)
        guard PQserverVersion(opened) >= 120_000 else {
            defer { close() }
            throw PostgreSQLFailure(
                .settings, problem: "the server's version is \(PQserverVersion(opened) / 10_000)",
                advice: "use PostgreSQL 12 or later")
        }
        guard PQsetnonblocking(opened, 1) == 0, PQenterPipelineMode(opened) == 1 else {
            defer { close() }
            throw .connecting(said(PQerrorMessage(opened)))
        }
    }

    deinit { close() }

    func close() {
        guard isOpen else { return }
        isOpen = false
        PQfinish(handle)
    }

    /// Runs statements, one after the other; after one that fails, none.
    /// - Parameter seconds: How long all of them may take.
    func run(_ queries: [PostgreSQLQuery], within seconds: Double = 10) throws(PostgreSQLFailure) -> [PostgreSQLResult]
    {
        guard isOpen else { throw PostgreSQLFailure(.connection, problem: "the connection is closed") }
        let end = SystemClock.monotonic &+ Int64(seconds * 1e9)
        // Of each answer that is to come: its statement, and the text that it prepares.
        var awaited: [(index: Int, prepares: String?)] = []
        for (index, query) in queries.enumerated() {
            let name: String
            if let known = names[query.sql] {
                name = known
            } else {
                named += 1
                name = "s\(named)"
                try sent(PQsendPrepare(handle, name, query.sql, 0, nil))
                names[query.sql] = name
                awaited.append((index, query.sql))
            }
            try send(name, query.parameters)
            awaited.append((index, nil))
        }
        try sent(PQpipelineSync(handle))
        var results: [PostgreSQLResult] = []
        var failure: PostgreSQLFailure?
        for (index, prepares) in awaited {
            do throws(PostgreSQLFailure) {
                let result = try answer(by: end)
                if prepares == nil { results.append(result) }
            } catch {
                if let prepares { names[prepares] = nil }
                if !isOpen { throw error }
                if failure == nil {
                    failure = error
                    failure?.index = index
                }
            }
        }
        guard let last = try next(by: end) else { throw broken("the server gave no answer") }
        let isSync = PQresultStatus(last) == PGRES_PIPELINE_SYNC
        PQclear(last)
        guard isSync else {
            // Instead of the end of the answers it may be the end of the connection.
            throw broken(
                PQstatus(handle) == CONNECTION_BAD
                    ? said(PQerrorMessage(handle)) : "the server's answers are out of step")
        }
        if let failure { throw failure }
        return results
    }

    /// Runs one statement.
    @discardableResult
    func run(_ sql: String, _ parameters: PostgreSQLParameter...) throws(PostgreSQLFailure) -> PostgreSQLResult {
        let results = try run([PostgreSQLQuery(sql, parameters: parameters)])
        guard let result = results.first else { throw broken("the server gave no answer") }
        return result
    }

    private func send(_ name: String, _ parameters: [PostgreSQLParameter]) throws(PostgreSQLFailure) {
        var lengths: [Int32] = []
        var all: [UInt8] = []
        all.reserveCapacity(parameters.reduce(0) { $0 + ($1.bytes?.count ?? 0) + 1 })
        var offsets: [Int?] = []
        for parameter in parameters {
            guard let length = Int32(exactly: parameter.bytes?.count ?? 0) else {
                throw PostgreSQLFailure(.other, problem: "a value of more than 2 GB")
            }
            lengths.append(length)
            offsets.append(parameter.bytes == nil ? nil : all.count)
            // A byte more, so that an empty value at the end has an address too.
            all.append(contentsOf: parameter.bytes ?? [])
            all.append(0)
        }
        let formats = [Int32](repeating: 1, count: parameters.count)
        let code = all.withUnsafeBytes { bytes in
            let values = offsets.map { offset in
                offset.flatMap { bytes.baseAddress?.advanced(by: $0).assumingMemoryBound(to: CChar.self) }
            }
            return PQsendQueryPrepared(handle, name, Int32(parameters.count), values, lengths, formats, 1)
        }
        try sent(code)
    }

    private func sent(_ code: Int32) throws(PostgreSQLFailure) {
        guard code == 1 else { throw broken(said(PQerrorMessage(handle))) }
    }

    /// The answer to one statement.
    private func answer(by end: Int64) throws(PostgreSQLFailure) -> PostgreSQLResult {
        guard let first = try next(by: end) else { throw broken("the server gave no answer") }
        let result = PostgreSQLResult(owning: first)
        let failure = Self.failure(of: first, said)
        // Nothing, which ends the statement's answer.
        if PQstatus(handle) != CONNECTION_BAD {
            while let more = try next(by: end) { PQclear(more) }
        }
        guard let failure else { return result }
        // The connection is gone, and nothing more will come.
        if PQstatus(handle) == CONNECTION_BAD { close() }
        throw failure
    }

    private static func failure(
        of result: OpaquePointer, _ said: (UnsafePointer<CChar>?) -> String
    ) -> PostgreSQLFailure? {
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: return nil
        case PGRES_PIPELINE_ABORTED: return PostgreSQLFailure(.other, problem: "a statement before it failed")
        default:
            // PG_DIAG_SQLSTATE and PG_DIAG_MESSAGE_PRIMARY.
            guard let state = PQresultErrorField(result, Int32(UInt8(ascii: "C"))) else {
                return PostgreSQLFailure(state: "", message: said(PQresultErrorMessage(result)))
            }
            return PostgreSQLFailure(
                state: String(cString: state), message: said(PQresultErrorField(result, Int32(UInt8(ascii: "M")))))
        }
    }

    /// The next part of the answers, once it is there.
    private func next(by end: Int64) throws(PostgreSQLFailure) -> OpaquePointer? {
        while true {
            let flushed = PQflush(handle)
            if PQisBusy(handle) == 0 { return PQgetResult(handle) }
            // What cannot be sent may have an answer that tells why: it is read first.
            let left = (end &- SystemClock.monotonic) / 1_000_000
            guard left > 0 else {
                close()
                throw PostgreSQLFailure(.timeout, problem: "the database does not answer in time")
            }
            var wanted = pollfd(
                fd: PQsocket(handle), events: Int16(POLLIN) | (flushed == 1 ? Int16(POLLOUT) : 0), revents: 0)
            guard wanted.fd >= 0 else { throw broken(said(PQerrorMessage(handle))) }
            poll(&wanted, 1, Int32(clamping: left))
            if wanted.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0, PQconsumeInput(handle) == 0 {
                // An error that came before the end is among the results.
                if PQisBusy(handle) == 0 { return PQgetResult(handle) }
                throw broken(said(PQerrorMessage(handle)))
            }
        }
    }

    private func broken(_ problem: String) -> PostgreSQLFailure {
        close()
        return PostgreSQLFailure(.connection, problem: problem)
    }

    /// What libpq says, on one line and without the password.
    private func said(_ message: UnsafePointer<CChar>?) -> String {
        var text = message.map { String(cString: $0) } ?? "no reason is given"
        if let password, password.count > 3 { text = text.split(separator: password).joined(separator: "…") }
        let lines = text.split(whereSeparator: \.isNewline).map { line in
            line.drop { $0 == " " || $0 == "\t" }
        }
        return lines.joined(separator: "; ")
    }
}
