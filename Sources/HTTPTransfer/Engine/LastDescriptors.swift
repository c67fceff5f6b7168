import Glibc

/// The last descriptors of the process, which transfers leave to whoever cannot do without one: Swift's thread pool looks at
/// its threads by files in /proc, and ends the process when it cannot open one.
///
/// Up to 32 are left. WebSockets leave up to 64 (`clws_is_last`), so that what they brought can still be answered.
enum LastDescriptors {
    /// Whether a descriptor that was just made is one of them. The system gives the lowest number that is free.
    static func contain(_ descriptor: Int32) -> Bool {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit) == 0 else { return false }
        let most = Int(clamping: limit.rlim_cur)
        return Int(descriptor) >= most - min(32, most / 16)
    }
}
