/// The file as the store's thread writes to it: opened when it is needed, set aside when it is damaged.
final class SQLiteBackend: StoreBackend {
    private let file: StoreFile
    private let schema: StoreSchema
    private let reader: StoreReader
    private let log: @Sendable (StoreLogLevel, String) -> Void
    private let token = Int64.random(in: 1 ... .max)
    private var database: StoreDatabase?
    private var writer: BatchWriter?
    private var accountReader: AccountReader?

    init(
        file: StoreFile, schema: StoreSchema, reader: StoreReader,
        log: @escaping @Sendable (StoreLogLevel, String) -> Void
    ) {
        self.file = file
        self.schema = schema
        self.reader = reader
        self.log = log
    }

    func write(_ batch: StoreBatch) throws(StoreError) -> Set<AccountKey> {
        try attempt { () throws(SQLiteFailure) in
            let connection = try openFile().connection
            let writer: BatchWriter
            if let made = self.writer {
                writer = made
            } else {
                writer = try BatchWriter(connection, token: token)
                self.writer = writer
            }
            try writer.write(batch)
        }
        return []
    }

    func open() throws(StoreError) { try attempt { () throws(SQLiteFailure) in _ = try openFile() } }

    func load(_ key: AccountKey) throws(StoreError) -> StoredAccount {
        try read { reader throws(SQLiteFailure) in try reader.load(key.account) }
    }

    func accounts() throws(StoreError) -> [String] {
        try read { reader throws(SQLiteFailure) in try reader.accounts() }
    }

    /// Where no file is, nothing was kept, whether one can be made or not.
    var isMissing: Bool { file.isMissing }

    private func read<Value>(_ body: (AccountReader) throws(SQLiteFailure) -> Value) throws(StoreError) -> Value {
        try attempt { () throws(SQLiteFailure) -> Value in
            let connection = try openFile().connection
            let reader: AccountReader
            if let made = accountReader {
                reader = made
            } else {
                reader = try AccountReader(connection)
                accountReader = reader
            }
            return try body(reader)
        }
    }

    /// Runs `body`, once more with a new file if this one turns out to be damaged.
    private func attempt<Value>(_ body: () throws(SQLiteFailure) -> Value) throws(StoreError) -> Value {
        do { return try body() } catch {
            guard error.kind == .corrupt, let damaged = database?.identity else { throw failed(error) }
            database?.connection.leaveLogOnClose()
            closeFile()
            do {
                try StoreDatabase.setAside(damaged, file, because: error, log: log)
                return try body()
            } catch { throw failed(error) }
        }
    }

    private func failed(_ failure: SQLiteFailure) -> StoreError {
        switch failure.kind {
        case .busy: break
        // The log may begin anew once it is in the file, which takes no more room.
        case .full: database?.connection.checkpoint()
        default: closeFile()
        }
        return failure.error(for: file.path)
    }

    // MARK: The file

    private func openFile() throws(SQLiteFailure) -> StoreDatabase {
        if let database {
            // Writing on to a file that was removed would be writing to nothing.
            if try file.identity() == database.identity { return database }
            log(.warning, "\(file.path) was removed or replaced while in use; it is opened again")
            closeFile()
        }
        let opened = try StoreDatabase.open(file, schema: schema, log: log)
        database = opened
        reader.opened = opened.identity
        return opened
    }

    private func closeFile() {
        reader.opened = nil
        writer = nil
        accountReader = nil
        database?.connection.close()
        database = nil
    }

    func close() {
        database?.connection.checkpoint()
        closeFile()
    }
}
