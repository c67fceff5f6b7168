import CThreads
import Glibc

/// A thread of our own, outside Dispatch and Swift's pool: it may block.
///
/// All signals but those of faults are blocked on it, so that the process' handlers run on the process' own threads, and a
/// SIGPIPE of a library stays a return code. Each is to be joined or detached, once.
public struct NamedThread: Sendable {
    private let thread: pthread_t

    /// The system gave no thread; `code` is its error number.
    public struct Refusal: Error {
        public let code: Int32
    }

    // A closure crosses to the new thread in a box; that thread alone opens it.
    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a thread.
    /// - Parameters:
    ///   - name: what the system shows of it, at most 15 bytes.
    ///   - body: runs on the thread, which ends with it.
    public init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(Refusal) {
        var signals = sigset_t()
        var before = sigset_t()
        sigfillset(&signals)
        for fault in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT] { sigdelset(&signals, fault) }
        // The new thread inherits the mask.
        pthread_sigmask(SIG_BLOCK, &signals, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var created = pthread_t()
        let code = pthread_create(
            &created, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                cthreads_name(String(start.name.prefix(15)))
                start.body()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw Refusal(code: code)
        }
        thread = created
    }

    /// Starts a thread that nobody waits for.
    public static func detached(_ name: String, _ body: @escaping @Sendable () -> Void) throws(Refusal) {
        try NamedThread(name, body).detach()
    }

    /// Whether it is the calling thread.
    public var isCurrent: Bool { pthread_equal(thread, pthread_self()) != 0 }

    /// Waits until it has ended. Not on itself.
    public func join() { pthread_join(thread, nil) }
    /// Lets it end by itself.
    public func detach() { pthread_detach(thread) }
}
