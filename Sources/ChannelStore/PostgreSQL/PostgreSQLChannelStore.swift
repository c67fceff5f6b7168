import Locking
import Timing

/// A store in a PostgreSQL database that several gateways share.
///
/// Commits of all accounts are written by one thread, each time everything that came while the last batch was being written,
/// in one transaction that is fenced by the leases. Beats, claims and loading have threads and connections of their own, so
/// that none waits behind a batch. What was committed is as durable as the database is set to make it
/// (`synchronous_commit`); where the commit holds an outgoing message, at least on the database's disk.
public final class PostgreSQLChannelStore: SharedStore {
    private let chosen: CurrentSettings
    private var settings: PostgreSQLSettings { chosen.value }
    private let engine: StoreEngine
    private let membership = Membership()
    private let leaseWorker: PostgreSQLWorker
    private let readWorker: PostgreSQLWorker
    /// How the server's names for the connections begin.
    private let backend: String
    private let clock = Locked(DatabaseClock())
    private let log: @Sendable (StoreLogLevel, String) -> Void

    /// Connects to nothing yet.
    /// - Parameter log: Told, from any thread, what an operator should know.
    public convenience init(
        _ settings: PostgreSQLSettings, log: @escaping @Sendable (StoreLogLevel, String) -> Void
    ) {
        self.init(settings, schema: .current, log: log)
    }

    init(
        _ settings: PostgreSQLSettings, schema: PostgreSQLSchema, compactAt: Int = 4096,
        log: @escaping @Sendable (StoreLogLevel, String) -> Void
    ) {
        let chosen = CurrentSettings(settings)
        self.chosen = chosen
        self.log = log
        let token = String(UInt64.random(in: 0 ... .max), radix: 36)
        backend = "fabric \(token)"
        let session = { @Sendable [backend] (what: String) in
            PostgreSQLSession(chosen, schema: schema, name: "\(backend) \(what)")
        }
        leaseWorker = PostgreSQLWorker("store-lease") { session("lease") }
        readWorker = PostgreSQLWorker("store-read") { session("read") }
        engine = StoreEngine(
            place: settings.description, compactAt: compactAt, reader: PostgreSQLAccountSource(readWorker), log: log
        ) { [membership] in
            PostgreSQLBackend(session("write"), membership)
        }
    }

    // A store that nobody closed writes what waits and ends by itself.
    deinit {
        engine.abandon()
        leaseWorker.stop(waits: false)
    }

    /// Another password, or other authorities: connections that are made from now on use them. Those that are open stay, for the
    /// server has let them in.
    /// - Parameter keywords: of the same database, as the same user.
    public func use(keywords: [String: String]) {
        var settings = settings
        settings.keywords = keywords
        chosen.change(to: settings)
    }

    // MARK: ChannelStore

    public func load(_ account: String) async throws -> StoredAccount {
        try await engine.load(membership.key(account) ?? AccountKey(account: account))
    }

    public func commit(
        _ changes: [StoreChange], account: String, completion: @escaping @Sendable (CommitOutcome) -> Void
    ) {
        guard let key = membership.key(account) else { return completion(.refused) }
        engine.commit(changes, key, completion: completion)
    }

    public var health: StoreHealth { engine.health }
    public func observe(_ body: @escaping @Sendable (StoreHealth) -> Void) -> UInt64 { engine.observe(body) }
    public func stopObserving(_ number: UInt64) { engine.stopObserving(number) }
    public func accounts() async throws -> [String] { try await engine.accounts() }

    /// Forgets everything of an account that was unbound.
    /// - Throws: `StoreError` when that cannot be written now, or another gateway runs the account. One that this store runs
    ///   is still forgotten as soon as it can be.
    public func remove(_ account: String) async throws {
        if let key = membership.key(account) { return try await engine.remove(key) }
        let isForgotten = try await ask { statements throws(PostgreSQLFailure) in try statements.forget(account) }
        guard isForgotten else {
            throw StoreError(
                "the account \(account) is run by another gateway", path: settings.description,
                remedy: "unbind it there first")
        }
    }

    public func close(within limit: Duration) {
        engine.close(within: limit)
        leaseWorker.stop(waits: true)
    }

    // MARK: Leases

    public func beat(_ member: Member) async throws -> ClusterReport {
        let known = membership.use(member)
        let found = try await ask(isUrgent: true) { [self] statements throws(PostgreSQLFailure) in
            let asked = SystemClock.monotonic
            let found = try statements.beat(member, backend: backend, isNew: known == nil)
            let time = found.report.time
            let isSteady = clock.withLock {
                $0.observe(time, asked: asked, answered: SystemClock.monotonic, lease: found.longestLease)
            }
            guard isSteady, found.row != nil, letSilentGo(found, but: member, statements) else { return found }
            return try statements.beat(member, backend: backend, isNew: false)
        }
        guard let row = found.row else {
            membership.isGone(member.id)
            throw MemberGone()
        }
        membership.admitted(member.id, row: row)
        return found.report
    }

    /// Whether the report is out of date: somebody was let go, here or by another who looked in the same moment.
    private func letSilentGo(
        _ found: MemberStatements.Found, but member: Member, _ statements: MemberStatements
    ) -> Bool {
        var isOutdated = false
        for (row, other) in zip(found.report.members, found.others)
        where row.member.id != member.id && abs(row.secondsSinceBeat) > row.member.leaseSeconds {
            let who = "gateway \(row.member.gateway) (\(row.owned) accounts)"
            do throws(PostgreSQLFailure) {
                let isOurs = try statements.letGo(other.row, backend: other.backend)
                isOutdated = true
                guard isOurs else { continue }
                log(.warning, "\(who) has not been heard for \(Int(row.secondsSinceBeat)) s; its accounts are free")
            } catch {
                log(.warning, "\(who) has not been heard for long, and its accounts cannot be freed: \(error.problem)")
            }
        }
        return isOutdated
    }

    public func claim(_ accounts: [String], atMost: Int) async throws -> [AccountLease] {
        guard !accounts.isEmpty else { return [] }
        let member = try current()
        let releasing = membership.releasing
        let found = try await ask { statements throws(PostgreSQLFailure) in
            try statements.claim(accounts, atMost: atMost, for: member)
        }
        let taken = found.filter { !releasing.contains($0.row) }
        membership.take(taken)
        return taken.map(\.lease)
    }

    public func takeOver(_ lease: AccountLease) async throws -> AccountLease? {
        let member = try current()
        let taken = try await ask { statements throws(PostgreSQLFailure) in
            try statements.takeOver(lease, for: member)
        }
        if let taken { membership.take([taken]) }
        return taken?.lease
    }

    public func release(_ leases: [AccountLease]) async throws {
        guard !leases.isEmpty else { return }
        let keys = leases.compactMap { membership.drop($0) }
        try await engine.write { batch in
            for key in keys { batch.release(key) }
        }
        let member = membership.current?.id
        let former = leases.filter { $0.member != member }
        guard !former.isEmpty else { return }
        try await ask { statements throws(PostgreSQLFailure) in try statements.release(former) }
    }

    public func runners(of accounts: [String]) async throws -> [String: String] {
        try await ask { statements throws(PostgreSQLFailure) in try statements.runners(of: accounts) }
    }

    public func notes(_ name: String) async throws -> [String: [UInt8]] {
        // Not on the thread of the leases: there may be very many.
        try await use(readWorker) { connection throws(PostgreSQLFailure) in
            let found = try connection.run(
                """
                SELECT account.name, note.value FROM account JOIN note ON note.account = account.row AND note.name = $1
                """, .text(name))
            var notes: [String: [UInt8]] = [:]
            for row in found.rows { notes[try found.text(row, 0)] = try found.data(row, 1) }
            return notes
        }
    }

    public var leases: [String: AccountLease] { membership.leases }

    public func observeRefusals(_ body: @escaping @Sendable (String) -> Void) { membership.observe(body) }

    // MARK: Files

    public func keepFile(account: String, entry: String, index: Int, path: String) async throws -> Bool {
        guard let key = membership.key(account), let member = membership.current else { return false }
        guard let file = KeptFile(path) else { return false }
        for part in 0..<file.parts {
            let isKept = try await use(readWorker) { connection throws(PostgreSQLFailure) in
                guard let bytes = file.read(part) else { return false }
                return try FileStatements(connection: connection)
                    .keep(bytes, part: part, of: FileStatements.Name(key, entry, index), member: member.row)
            }
            guard isKept else { return false }
        }
        return true
    }

    public func restoreFile(account: String, entry: String, index: Int, to path: String) async throws -> Bool {
        guard let key = membership.key(account), let file = RestoredFile(path) else { return false }
        var part = 0
        while true {
            let isThere = try await use(readWorker) { [part] connection throws(PostgreSQLFailure) in
                let bytes = try FileStatements(connection: connection).part(
                    part, of: FileStatements.Name(key, entry, index))
                return bytes.map { file.append($0) }
            }
            // Nil: there are no more.
            guard let isThere else { return file.finish(isComplete: part > 0) }
            guard isThere else { return file.finish(isComplete: false) }
            part += 1
        }
    }

    public func leave(within limit: Duration) async {
        guard let (row, id) = membership.current else { return }
        await Deadline.wait(limit) { [self] in
            // Behind everything that was committed.
            try? await engine.write { _ in }
            try? await ask { statements throws(PostgreSQLFailure) in try statements.leave(row) }
        }
        membership.isGone(id)
    }

    /// The member that claims are for.
    private func current() throws -> (row: Int64, id: String) {
        guard let member = membership.current else { throw MemberGone() }
        return member
    }

    /// Asks the database on the thread of the leases.
    private func ask<Value: Sendable>(
        isUrgent: Bool = false, _ body: @escaping @Sendable (MemberStatements) throws(PostgreSQLFailure) -> Value
    ) async throws -> Value {
        try await use(leaseWorker, isUrgent: isUrgent) { connection throws(PostgreSQLFailure) in
            try body(MemberStatements(connection: connection))
        }
    }

    private func use<Value: Sendable>(
        _ worker: PostgreSQLWorker, isUrgent: Bool = false,
        _ body: @escaping @Sendable (PostgreSQLConnection) throws(PostgreSQLFailure) -> Value
    ) async throws -> Value {
        try await worker.run(isUrgent: isUrgent, refusal: engine.closed) { [chosen, engine] session in
            do throws(PostgreSQLFailure) { return .success(try session.use(body)) } catch {
                // An owner that is no member any more.
                if error.kind == .orphan { return .failure(MemberGone()) }
                let failure = error.error(chosen.value)
                // What cannot be asked cannot be written to: it is said before somebody commits.
                if error.kind != .locked { engine.doubt(failure) }
                return .failure(failure)
            }
        }
    }
}
