import GatewayControl
import Threads

/// Threads for calls that may block: a module's open and shutdown, a command's pipes, the control socket.
enum DetachedThread {
    /// Runs `body` on a new detached thread called `name` (at most 15 bytes are shown by the system).
    /// - Throws: `POSIXFailure` when the system gives no thread.
    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(POSIXFailure) {
        do {
            try NamedThread.detached(name, body)
        } catch {
            throw POSIXFailure(operation: "starting thread \(name)", code: error.code)
        }
    }
}
