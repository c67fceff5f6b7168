import Glibc

/// The process's limit on descriptors.
package struct DescriptorLimit: Equatable, Sendable {
    package var soft: Int
    package var hard: Int

    package static var current: DescriptorLimit {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit) == 0 else {
            return DescriptorLimit(soft: 1024, hard: 1024)
        }
        return DescriptorLimit(soft: number(limit.rlim_cur), hard: number(limit.rlim_max))
    }

    /// Descriptors that sockets and transfers leave free, where there are so many in all: Swift's thread pool ends the process
    /// when it can open none.
    package static func left(of limit: Int) -> Int { min(64, limit / 8) }

    /// Whether a descriptor that was just made is one of the very last, which only passing needs may take. The system gives the
    /// lowest number that is free.
    package static func isLast(_ descriptor: Int32) -> Bool {
        let limit = current.soft
        return Int(descriptor) >= limit - min(8, limit / 32)
    }

    /// Raises the soft limit to the hard one. Beyond a million it would only make tables of programs that size one by it.
    /// - Returns: the limit in effect.
    package static func raise() -> DescriptorLimit {
        let before = current
        let wanted = min(before.hard, 1 << 20)
        guard before.soft < wanted else { return before }
        var limit = rlimit()
        limit.rlim_cur = rlim_t(wanted)
        limit.rlim_max = rlim_t(before.hard)
        _ = setrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit)
        return current
    }

    /// Descriptors that are open now; `nil` if they cannot be counted, as when there is none left to count with.
    package static var open: Int? {
        guard let stream = opendir("/proc/self/fd") else { return nil }
        defer { closedir(stream) }
        var count = 0
        while readdir(stream) != nil { count += 1 }
        // “.”, “..” and the one that reads.
        return max(0, count - 3)
    }

    private static func number(_ value: rlim_t) -> Int { Int(clamping: value) }
}
