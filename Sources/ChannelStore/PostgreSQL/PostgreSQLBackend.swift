/// The database as the store's thread writes to it: one transaction for each batch, fenced by the leases.
final class PostgreSQLBackend: StoreBackend {
    private let session: PostgreSQLSession
    private let membership: Membership
    private var used: Set<Int64> = []
    /// Nothing was committed for these since they were removed.
    private var removed: Set<Int64> = []
    /// The number of the batch that is written next, and the member that has written those before.
    private var number: Int64 = 1
    private var member: Int64?
    /// It was tried before, and may have been written without our having heard.
    private var isRepeated = false

    init(_ session: PostgreSQLSession, _ membership: Membership) {
        self.session = session
        self.membership = membership
    }

    func write(_ batch: StoreBatch) throws(StoreError) -> Set<AccountKey> {
        let folded = batch.folded
        guard !folded.isEmpty else { return [] }
        let member = membership.row
        if member != self.member {
            self.member = member
            number = 1
            isRepeated = false
            used = []
        }
        guard let member else {
            membership.released(folded.lazy.filter(\.value.isReleased).map(\.key.row))
            return refuse(Set(folded.keys))
        }
        do throws(PostgreSQLFailure) {
            let refused = try session.use { connection throws(PostgreSQLFailure) in
                var transaction = FencedTransaction(
                    member: member, number: number, isRepeated: isRepeated, mustOutlivePower: batch.mustOutlivePower,
                    usualCommit: session.usualCommit, removed: removed)
                isRepeated = true
                defer { number = transaction.number }
                return try transaction.run(folded, connection) { used.contains($0) }
            }
            number += 1
            isRepeated = false
            membership.released(folded.lazy.filter(\.value.isReleased).map(\.key.row))
            for (key, left) in folded where !refused.contains(key) {
                if left.changes.forgetsAll {
                    used.remove(key.row)
                    removed.insert(key.row)
                }
                if !left.changes.isEmpty {
                    used.insert(key.row)
                    removed.remove(key.row)
                }
                if left.isReleased { removed.remove(key.row) }
            }
            return refuse(refused)
        } catch {
            // What is remembered of the tables may not be there any more.
            used = []
            throw error.error(session.settings)
        }
    }

    private func refuse(_ keys: Set<AccountKey>) -> Set<AccountKey> {
        if !keys.isEmpty { membership.refused(keys) }
        return keys
    }

    func open() throws(StoreError) {
        try read { connection throws(PostgreSQLFailure) in _ = try connection.run([PostgreSQLQuery("SELECT 1")]) }
    }

    func load(_ key: AccountKey) throws(StoreError) -> StoredAccount {
        try read { connection throws(PostgreSQLFailure) in
            try PostgreSQLReader.load([key.account], connection)[key.account] ?? StoredAccount()
        }
    }

    func accounts() throws(StoreError) -> [String] {
        try read { connection throws(PostgreSQLFailure) in
            let found = try connection.run("SELECT name FROM account WHERE used")
            var names: [String] = []
            for row in found.rows { names.append(try found.text(row, 0)) }
            return names
        }
    }

    private func read<Value>(
        _ body: (PostgreSQLConnection) throws(PostgreSQLFailure) -> Value
    ) throws(StoreError) -> Value {
        do throws(PostgreSQLFailure) { return try session.use(body) } catch { throw error.error(session.settings) }
    }

    /// What is in a database is there whether it answers or not.
    var isMissing: Bool { false }

    func close() { session.close() }
}
