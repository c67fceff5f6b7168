import Glibc
import Locking

/// One `getaddrinfo` on a thread of its own.
final class Lookup: Sendable {
    typealias Completion = @Sendable (Lookup, Resolver.Outcome) -> Void
    private let completion: Locked<Completion?>

    init(_ completion: @escaping Completion) {
        self.completion = Locked(completion)
    }

    /// After this returned, ``run(_:)`` calls nothing any more.
    func abandon() {
        completion.withLock { $0 = nil }
    }

    func run(_ name: String) {
        finish(Self.addresses(of: name))
    }

    func finish(_ outcome: Resolver.Outcome) {
        // Called under the lock, so that `abandon` waits for a call under way. It only enqueues.
        completion.withLock { completion in
            completion?(self, outcome)
            completion = nil
        }
    }

    private static func addresses(of name: String) -> Resolver.Outcome {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(name, nil, &hints, &list)
        guard result == 0 else { return .failed(String(cString: gai_strerror(result))) }
        defer { freeaddrinfo(list) }
        var found: [NumericAddress] = []
        var next = list
        while let entry = next {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let status = getnameinfo(
                entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            if status == 0 {
                let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
                let address = NumericAddress(String(decoding: bytes, as: UTF8.self))
                if !found.contains(address) { found.append(address) }
            }
            next = entry.pointee.ai_next
        }
        return found.isEmpty ? .failed("the name has no address") : .addresses(found)
    }
}
