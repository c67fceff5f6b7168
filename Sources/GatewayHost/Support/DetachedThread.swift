import CGatewaySystem
import GatewayControl
import Glibc

/// Threads of our own for calls that may block: a module's open and shutdown, a command's pipes, the control socket.
/// They never occupy a thread of Swift's pool.
enum DetachedThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Runs `body` on a new detached thread called `name` (at most 15 bytes are shown by the system).
    /// - Throws: `POSIXFailure` when the system gives no thread.
    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(POSIXFailure) {
        let boxed = Unmanaged.passRetained(
            Body {
                gateway_name_thread(String(name.prefix(15)))
                body()
            })
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, boxed.toOpaque())
        guard code == 0 else {
            boxed.release()
            throw POSIXFailure(operation: "starting thread \(name)", code: code)
        }
        pthread_detach(thread)
    }
}
