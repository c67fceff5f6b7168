/// How much a line of the store's log matters.
public enum StoreLogLevel: Sendable, Equatable {
    case info, warning, error
}

/// A store in a SQLite file. What was committed survives the end of the process; where the commit holds an outgoing
/// message, a power cut too.
///
/// Commits of all accounts are written by one thread, each time everything that came while the last batch was being
/// written. Several stores, also of several modules in one process, may have the same file open as long as no two write to
/// the same account at the same time. A damaged file is moved to `<path>.corrupt-<time>` and a new one begun.
public final class SQLiteChannelStore: ChannelStore {
    private let engine: StoreEngine

    /// Touches nothing yet; the file is opened, and made if need be, when it is first needed.
    /// - Parameters:
    ///   - path: The file, e.g. `channel.db` in the state directory. It gets mode 0600 and must be no symbolic link; a
    ///     missing directory is made with mode 0700.
    ///   - log: Told, from any thread, what an operator should know.
    public convenience init(path: String, log: @escaping @Sendable (StoreLogLevel, String) -> Void) {
        self.init(path: path, schema: .current, log: log)
    }

    init(
        path: String, schema: StoreSchema, compactAt: Int = 4096,
        log: @escaping @Sendable (StoreLogLevel, String) -> Void
    ) {
        let file = StoreFile(path: path)
        let reader = StoreReader(file: file)
        engine = StoreEngine(place: path, compactAt: compactAt, reader: reader, log: log) {
            SQLiteBackend(file: file, schema: schema, reader: reader, log: log)
        }
    }

    // A store that nobody closed writes what waits and ends by itself.
    deinit { engine.abandon() }

    public func load(_ account: String) async throws -> StoredAccount {
        try await engine.load(AccountKey(account: account))
    }

    public func commit(
        _ changes: [StoreChange], account: String, completion: @escaping @Sendable (CommitOutcome) -> Void
    ) {
        engine.commit(changes, AccountKey(account: account), completion: completion)
    }

    public var health: StoreHealth { engine.health }

    public func observe(_ body: @escaping @Sendable (StoreHealth) -> Void) -> UInt64 { engine.observe(body) }

    public func stopObserving(_ number: UInt64) { engine.stopObserving(number) }

    public func accounts() async throws -> [String] { try await engine.accounts() }

    /// Forgets everything of an account that was unbound.
    /// - Throws: `StoreError` when that cannot be written now; it is still done as soon as it can be.
    public func remove(_ account: String) async throws { try await engine.remove(AccountKey(account: account)) }

    /// Writes what was committed, waiting for at most `limit`, and ends the store's threads. What cannot be written until
    /// then is completed nevertheless, and said in the log.
    public func close(within limit: Duration) { engine.close(within: limit) }
}
