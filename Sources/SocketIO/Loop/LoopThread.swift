import CLibWebSocketsShims
import Glibc

/// A thread of our own, outside Dispatch and Swift's pool.
enum LoopThread {
    // A closure crosses to the new thread in a box; that thread alone opens it.
    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a thread with all signals blocked, so that the process' handlers run on its own threads.
    /// nil: the system refused.
    static func start(named name: String, _ body: @escaping @Sendable () -> Void) -> pthread_t? {
        var everything = sigset_t()
        var before = sigset_t()
        sigfillset(&everything)
        pthread_sigmask(SIG_BLOCK, &everything, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }

        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                // The kernel takes at most 15 bytes.
                clws_name_thread(String(start.name.prefix(15)))
                start.body()
                return nil
            }, start.toOpaque())
        guard result == 0 else {
            start.release()
            return nil
        }
        return thread
    }
}
