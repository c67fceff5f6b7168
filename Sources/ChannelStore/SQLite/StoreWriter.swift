import Timing

/// The store's own thread: writes batches, answers what only it can, and keeps the file usable.
final class StoreWriter {
    private let engine: StoreEngine
    private let token = Int64.random(in: 1 ... .max)
    private var database: StoreDatabase?
    private var writer: BatchWriter?
    private var reader: AccountReader?

    init(_ engine: StoreEngine) { self.engine = engine }

    func run() {
        while true {
            switch engine.state.waitFor({ state, now in state.next(now) }) {
            case .answer(let jobs): for job in jobs { answer(job) }
            case .write(let batch): write(batch)
            case .reopen: reopen()
            case .finish: return finish()
            }
        }
    }

    // MARK: Writing

    private func write(_ batch: StoreBatch) {
        if let failure = attempt({ () throws(SQLiteFailure) in try write(batch, to: openFile()) }).failure {
            return postpone(failure)
        }
        engine.state.withLock { state in
            state.current = nil
            state.resume()
        }
        engine.report(.good)
        batch.complete()
    }

    private func write(_ batch: StoreBatch, to database: StoreDatabase) throws(SQLiteFailure) {
        let writer: BatchWriter
        if let made = self.writer {
            writer = made
        } else {
            writer = try BatchWriter(database.connection, token: token)
            self.writer = writer
        }
        try writer.write(batch)
    }

    private func reopen() {
        if let failure = attempt({ () throws(SQLiteFailure) in _ = try openFile() }).failure {
            return postpone(failure)
        }
        engine.state.withLock { $0.resume() }
        engine.report(.good)
    }

    private func postpone(_ failure: SQLiteFailure) {
        let error = failure.error(for: engine.file.path)
        let impatient = engine.state.withLock { state in
            state.postpone(SystemClock.monotonic)
            // Those behind it would fail as well.
            return (state.current?.takeRemovals() ?? []) + state.pending.takeRemovals()
        }
        engine.report(.failing(reason: error.description))
        for body in impatient { body(error) }
    }

    // MARK: Answering

    private func answer(_ job: EngineState.Job) {
        switch job {
        case .load(let account, let continuation):
            let found = read(orElse: StoredAccount()) { reader throws(SQLiteFailure) in try reader.load(account) }
            continuation.resume(
                with: found.map { stored in engine.state.withLock { $0.completed(stored, of: account) } })
        case .accounts(let continuation):
            let found = read(orElse: []) { reader throws(SQLiteFailure) in try reader.accounts() }
            continuation.resume(with: found.map { names in engine.state.withLock { $0.completed(names) } })
        }
    }

    private func read<Value>(
        orElse nothing: Value, _ body: (AccountReader) throws(SQLiteFailure) -> Value
    ) -> Result<Value, any Error> {
        let result = attempt { () throws(SQLiteFailure) -> Value in
            let connection = try openFile().connection
            let reader: AccountReader
            if let made = self.reader {
                reader = made
            } else {
                reader = try AccountReader(connection)
                self.reader = reader
            }
            return try body(reader)
        }
        switch result {
        case .success(let value): return .success(value)
        case .failure(let failure):
            let error = failure.error(for: engine.file.path)
            if engine.state.withLock({ $0.retryAt == nil }) { postpone(failure) }
            // Where no file is, nothing was kept, whether one can be made or not.
            if engine.file.isMissing { return .success(nothing) }
            return .failure(error)
        }
    }

    // MARK: The file

    /// Runs `body`, once more with a new file if this one turns out to be damaged.
    private func attempt<Value>(_ body: () throws(SQLiteFailure) -> Value) -> Result<Value, SQLiteFailure> {
        do { return .success(try body()) } catch {
            guard error.kind == .corrupt, let damaged = database?.identity else { return failed(error) }
            database?.connection.leaveLogOnClose()
            closeFile()
            do {
                try StoreDatabase.setAside(damaged, engine.file, because: error, log: engine.log)
                return .success(try body())
            } catch { return failed(error) }
        }
    }

    private func failed<Value>(_ failure: SQLiteFailure) -> Result<Value, SQLiteFailure> {
        switch failure.kind {
        case .busy: break
        // The log may begin anew once it is in the file, which takes no more room.
        case .full: database?.connection.checkpoint()
        default: closeFile()
        }
        return .failure(failure)
    }

    private func openFile() throws(SQLiteFailure) -> StoreDatabase {
        if let database {
            // Writing on to a file that was removed would be writing to nothing.
            if try engine.file.identity() == database.identity { return database }
            engine.log(.warning, "\(engine.file.path) was removed or replaced while in use; it is opened again")
            closeFile()
        }
        let opened = try StoreDatabase.open(engine.file, schema: engine.schema, log: engine.log)
        database = opened
        engine.state.withLock { $0.opened = opened.identity }
        return opened
    }

    private func closeFile() {
        engine.state.withLock { $0.opened = nil }
        writer = nil
        reader = nil
        database?.connection.close()
        database = nil
    }

    // MARK: The end

    private func finish() {
        database?.connection.checkpoint()
        closeFile()
        let (left, jobs) = engine.state.withLock { state -> ([StoreBatch], [EngineState.Job]) in
            defer {
                state.phase = .closed
                state.current = nil
                state.pending = StoreBatch()
                state.jobs = []
            }
            return ([state.current, state.pending].compactMap { $0 }.filter { !$0.isEmpty }, state.jobs)
        }
        if !left.isEmpty {
            let accounts = left.reduce(into: Set<String>()) { $0.formUnion($1.items.map(\.account)) }
            engine.log(
                .error,
                "\(engine.file.path) was closed with changes of \(accounts.count) accounts that could not be written")
        }
        for batch in left { batch.complete() }
        for job in jobs { job.fail(engine.closed) }
        engine.state.wakeAll()
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let failure) = self { return failure }
        return nil
    }
}
