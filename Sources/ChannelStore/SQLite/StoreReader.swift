import Locking
import Threads

/// Loads accounts over a connection and on a thread of its own, so that starting accounts do not wait for a slow disk to
/// write.
final class StoreReader: AccountSource {
    fileprivate struct Request: Sendable {
        let key: AccountKey
        /// The file that was open when it was asked for.
        let file: StoreFile.Identity
        let continuation: CheckedContinuation<StoredAccount, any Error>
        /// Takes it when this reader cannot answer it.
        let otherwise: @Sendable (EngineState.Job) -> Void
    }

    private struct Queue {
        var requests: [Request] = []
        var isStopping = false
        var thread: NamedThread?
    }

    private enum Step {
        case load(Request)
        case rest
        case end
    }

    private let file: StoreFile
    private let queue = StoreMonitor(Queue())
    private let openedFile = Locked<StoreFile.Identity?>(nil)

    init(file: StoreFile) { self.file = file }

    /// The file the writer has open; nil: none, and nothing is read here.
    var opened: StoreFile.Identity? {
        get { openedFile.withLock { $0 } }
        set { openedFile.withLock { $0 = newValue } }
    }

    func load(
        _ key: AccountKey, _ continuation: CheckedContinuation<StoredAccount, any Error>,
        otherwise: @escaping @Sendable (EngineState.Job) -> Void
    ) -> Bool {
        guard let identity = opened else { return false }
        let isTaken = queue.withLock { queue in
            guard !queue.isStopping else { return false }
            if queue.thread == nil { queue.thread = try? NamedThread("store-read") { self.run() } }
            guard queue.thread != nil else { return false }
            queue.requests.append(
                Request(key: key, file: identity, continuation: continuation, otherwise: otherwise))
            return true
        }
        if isTaken { queue.wakeAll() }
        return isTaken
    }

    func stop(waits: Bool) {
        let thread = queue.withLock { queue in
            queue.isStopping = true
            defer { queue.thread = nil }
            return queue.thread
        }
        queue.wakeAll()
        guard let thread else { return }
        if waits, !thread.isCurrent { thread.join() } else { thread.detach() }
    }

    private func run() {
        var open: (identity: StoreFile.Identity, connection: SQLiteConnection, reader: AccountReader)?
        defer { open?.connection.close() }
        var isRested = true
        while true {
            let step: Step = queue.waitFor { queue, _ in
                if !queue.requests.isEmpty { return .result(.load(queue.requests.removeFirst())) }
                if queue.isStopping { return .result(.end) }
                return isRested ? .wait(until: nil) : .result(.rest)
            }
            switch step {
            case .end: return
            case .rest:
                open?.connection.releaseMemory()
                isRested = true
            case .load(let request):
                isRested = false
                do {
                    if open?.identity != request.file {
                        open?.connection.close()
                        open = nil
                        open = try connect(request.file)
                    }
                    if let reader = open?.reader {
                        request.continuation.resume(returning: try reader.load(request.key.account))
                    } else {
                        request.hand()
                    }
                } catch {
                    // The writer finds out what is wrong with the file, and says so.
                    open?.connection.close()
                    open = nil
                    request.hand()
                }
            }
        }
    }

    private func connect(
        _ identity: StoreFile.Identity
    ) throws(SQLiteFailure) -> (StoreFile.Identity, SQLiteConnection, AccountReader) {
        guard try file.identity() == identity else {
            throw SQLiteFailure(.cannotOpen, problem: "the file was replaced")
        }
        let connection = try SQLiteConnection(path: try file.resolved(), busyMilliseconds: 1000)
        for setting in ["query_only = ON", "cache_size = -512", "mmap_size = 0", "cell_size_check = ON"] {
            try connection.run("PRAGMA \(setting)")
        }
        return (identity, connection, try AccountReader(connection))
    }
}

extension StoreReader.Request {
    fileprivate func hand() { otherwise(.load(key, continuation)) }
}
