import CLibCurl
import Glibc
import Locking
import Synchronization
import Threads

/// What holds for all transfers of one engine.
struct TransferSettings: Sendable {
    var userAgent: String
    var certificateAuthorityFile: String?
    var usesEnvironmentProxy: Bool
    var maximumConnectionsPerHost: Int
    var threadName: String
}

/// The way to the transfer thread: a queue of commands, and the call that wakes it.
final class TransferEngine: Sendable {
    enum Command: Sendable {
        case add(TransferJob)
        case cancel(UInt64)
    }

    private struct Inbox {
        var commands: [Command] = []
        var isStopping = false
    }

    let settings: TransferSettings
    private let inbox = Locked(Inbox())
    private let multi: MultiHandle
    private let thread = Locked<NamedThread?>(nil)
    private let counter = Atomic<UInt64>(0)

    init(_ settings: TransferSettings) throws(HTTPTransferError) {
        self.settings = settings
        multi = try MultiHandle(settings)
        do {
            let created = try NamedThread(settings.threadName) { self.run() }
            thread.withLock { $0 = created }
        } catch {
            throw HTTPTransferError(
                .other(code: Int(error.code)), "cannot start the transfer thread: \(errorText(error.code))")
        }
    }

    func nextID() -> UInt64 { counter.add(1, ordering: .relaxed).newValue }

    func submit(_ job: TransferJob) {
        let wake: Bool? = inbox.withLock { inbox in
            guard !inbox.isStopping else { return nil }
            inbox.commands.append(.add(job))
            return inbox.commands.count == 1
        }
        switch wake {
        case nil: job.completion(.failure(.afterShutdown(job)))
        case true?: multi.wake()
        case false?: break
        }
    }

    func cancel(_ id: UInt64) {
        let wake = inbox.withLock { inbox in
            guard !inbox.isStopping else { return false }
            inbox.commands.append(.cancel(id))
            return inbox.commands.count == 1
        }
        if wake { multi.wake() }
    }

    /// Ends the thread and waits for it. A second caller waits with the first.
    func shutdown() {
        inbox.withLock { $0.isStopping = true }
        multi.wake()
        thread.withLock { thread in
            guard let running = thread else { return }
            thread = nil
            if running.isCurrent {
                // The last reference went away on the thread itself: it cannot wait for itself, and ends by itself.
                running.detach()
            } else {
                running.join()
            }
        }
    }

    fileprivate func run() {
        let loop = TransferLoop(multi, settings)
        while true {
            let (commands, stop) = inbox.withLock { inbox in
                defer { inbox.commands.removeAll() }
                return (inbox.commands, inbox.isStopping)
            }
            for command in commands { loop.take(command) }
            if stop { break }
            loop.turn()
        }
        loop.end()
        multi.close()
    }
}

/// The multi handle. Its own thread uses it; the others only wake it.
///
/// @unchecked: `curl_multi_wakeup` is the one call libcurl allows from other threads, and the mutex keeps it from
/// meeting `curl_multi_cleanup`. Everything else happens on the transfer thread.
final class MultiHandle: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
    private let isOpen = Locked(true)

    init(_ settings: TransferSettings) throws(HTTPTransferError) {
        guard clibcurl_global_init() == CURLE_OK, let multi = curl_multi_init() else {
            throw HTTPTransferError(.other(code: Int(CURLE_FAILED_INIT.rawValue)), "libcurl cannot be initialised")
        }
        pointer = multi
        // A second bound besides Admission: HTTP/1.1 on a server from which HTTP/2 was expected.
        clibcurl_multi_set_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, settings.maximumConnectionsPerHost)
        clibcurl_multi_set_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX))
        // Idle ones kept, over all hosts; ours.
        clibcurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, 64)
    }

    /// Only if the thread never started; else it is closed there.
    deinit { close() }

    func wake() {
        isOpen.withLock { if $0 { _ = curl_multi_wakeup(pointer) } }
    }

    func close() {
        isOpen.withLock {
            if $0 { curl_multi_cleanup(pointer) }
            $0 = false
        }
    }
}

extension HTTPTransferError {
    static func afterShutdown(_ job: TransferJob, requestSent: Bool = false) -> HTTPTransferError {
        HTTPTransferError(
            .shutDown, "the transfers were shut down", host: job.url.origin.authority, requestSent: requestSent)
    }
}
