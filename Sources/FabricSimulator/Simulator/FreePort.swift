import Glibc

/// Finds ports for the servers.
///
/// Below Linux's range for outgoing connections (32768 and up), on purpose: while a guild is down, a client that keeps
/// connecting to a port of that range may be given the very same port as its own and so connect to itself, and any
/// other connection may take the port before the guild is back.
enum FreePort {
    private static let range = 15_000...32_000

    /// The wanted port, or for 0 a free one that is not among those taken.
    static func find(_ wanted: Int, _ taken: inout Set<Int>) throws(SimulatorError) -> Int {
        guard wanted == 0 else {
            taken.insert(wanted)
            return wanted
        }
        for _ in 0..<200 {
            let port = Int.random(in: range)
            if !taken.contains(port), isFree(port) {
                taken.insert(port)
                return port
            }
        }
        throw SimulatorError("found no free port on 127.0.0.1 between \(range.lowerBound) and \(range.upperBound)")
    }

    /// Keeps a port ours while nobody listens on it: others find it taken, and who connects is refused. The listener can
    /// bind beside it, for both set SO_REUSEADDR and this one does not listen. Nil where it cannot be kept; the listener says
    /// why if it cannot bind either.
    static func keep(_ port: Int) -> Int32? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        guard binds(descriptor, to: port) else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    static func letGo(_ kept: [Int32]) { for descriptor in kept { close(descriptor) } }

    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return binds(descriptor, to: port)
    }

    private static func binds(_ descriptor: Int32, to port: Int) -> Bool {
        guard let number = UInt16(exactly: port) else { return false }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = number.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
