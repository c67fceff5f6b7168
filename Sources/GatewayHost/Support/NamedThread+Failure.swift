import GatewayControl
import Threads

extension NamedThread {
    /// As `detached`, with a refusal in the gateway's words: for a module's open and shutdown, a command's pipes, the
    /// control socket.
    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(POSIXFailure) {
        do {
            try detached(name, body)
        } catch {
            throw POSIXFailure(operation: "starting thread \(name)", code: error.code)
        }
    }
}
