import Timing

/// The store's own thread: writes batches, answers what only it can, and tries again what fails.
final class StoreWriter {
    private let engine: StoreEngine
    private let backend: any StoreBackend

    init(_ engine: StoreEngine, _ backend: any StoreBackend) {
        self.engine = engine
        self.backend = backend
    }

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

    private func write(_ batch: StoreBatch) {
        let refused: Set<AccountKey>
        do { refused = try backend.write(batch) } catch { return postpone(error) }
        engine.state.withLock { state in
            state.current = nil
            state.resume()
        }
        engine.report(.good)
        batch.complete(refused: refused)
    }

    private func reopen() {
        do { try backend.open() } catch { return postpone(error) }
        engine.state.withLock { $0.resume() }
        engine.report(.good)
    }

    private func postpone(_ error: StoreError) {
        let impatient = engine.state.withLock { state in
            state.postpone(SystemClock.monotonic)
            // Those behind it would fail as well.
            return (state.current?.takeImpatient() ?? []) + state.pending.takeImpatient()
        }
        engine.report(.failing(reason: error.description))
        for body in impatient { body(error) }
    }

    // MARK: Answering

    private func answer(_ job: EngineState.Job) {
        switch job {
        case .load(let key, let continuation):
            let found = read(orElse: StoredAccount()) { () throws(StoreError) in try backend.load(key) }
            continuation.resume(with: found.map { stored in engine.state.withLock { $0.completed(stored, of: key) } })
        case .accounts(let continuation):
            let found = read(orElse: []) { () throws(StoreError) in try backend.accounts() }
            continuation.resume(with: found.map { names in engine.state.withLock { $0.completed(names) } })
        }
    }

    private func read<Value>(
        orElse nothing: Value, _ body: () throws(StoreError) -> Value
    ) -> Result<Value, any Error> {
        do { return .success(try body()) } catch {
            if engine.state.withLock({ $0.retryAt == nil }) { postpone(error) }
            return backend.isMissing ? .success(nothing) : .failure(error)
        }
    }

    // MARK: The end

    private func finish() {
        backend.close()
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
            let accounts = left.reduce(into: Set<String>()) { $0.formUnion($1.items.map(\.key.account)) }
            engine.log(
                .error,
                "\(engine.place) was closed with changes of \(accounts.count) accounts that could not be written")
        }
        for batch in left { batch.complete() }
        for job in jobs { job.fail(engine.closed) }
        engine.state.wakeAll()
    }
}
