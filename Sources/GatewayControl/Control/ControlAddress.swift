import CGatewaySystem
import Glibc

/// The Unix socket of a gateway: `gateway.sock` in its state directory.
///
/// A socket's path may have 107 bytes. A longer one is reached through `/proc/self/fd/<descriptor of the directory>`,
/// which is always short and, unlike changing the working directory, concerns nobody else in the process.
package struct ControlAddress: ~Copyable {
    package static let fileName = "gateway.sock"

    /// The path as people know it.
    package let path: String
    private var address = sockaddr_un()
    private var directory: Int32 = -1

    package init(stateDirectory: String) throws(POSIXFailure) {
        path = stateDirectory + "/" + Self.fileName
        var short = path
        if path.utf8.count >= MemoryLayout.size(ofValue: address.sun_path) {
            directory = gateway_open(stateDirectory, O_RDONLY | O_DIRECTORY, 0)
            guard directory >= 0 else { throw POSIXFailure(operation: "opening \(stateDirectory)") }
            short = "/proc/self/fd/\(directory)/" + Self.fileName
        }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: short.utf8) }
    }

    deinit { if directory >= 0 { close(directory) } }

    /// Lends the address to `bind` or `connect`.
    package func lend<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// A stream socket that the commands of agents do not inherit.
    package static func socket() throws(POSIXFailure) -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = Glibc.socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { throw POSIXFailure(operation: "making a socket") }
        return descriptor
    }
}
