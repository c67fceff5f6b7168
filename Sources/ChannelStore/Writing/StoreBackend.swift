/// What a store's thread writes to, and reads from what only it can. Used on that thread alone.
protocol StoreBackend: AnyObject {
    /// Writes all of it or nothing, but for the accounts of others, which it names. What fails is tried again with the same
    /// batch.
    func write(_ batch: StoreBatch) throws(StoreError) -> Set<AccountKey>
    func load(_ key: AccountKey) throws(StoreError) -> StoredAccount
    /// The accounts that anything is kept of.
    func accounts() throws(StoreError) -> [String]
    /// Makes ready to write.
    func open() throws(StoreError)
    /// Whether nothing can be kept there, whatever keeps it from being opened.
    var isMissing: Bool { get }
    func close()
}

/// Reads accounts of which nothing waits to be written, beside the writing.
protocol AccountSource: Sendable {
    /// False: it takes no more. `otherwise` gets what it took and cannot answer.
    func load(
        _ key: AccountKey, _ continuation: CheckedContinuation<StoredAccount, any Error>,
        otherwise: @escaping @Sendable (EngineState.Job) -> Void
    ) -> Bool

    /// Answers what waits, and ends.
    func stop(waits: Bool)
}
