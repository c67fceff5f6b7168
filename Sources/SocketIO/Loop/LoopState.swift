import CLibWebSocketsShims

/// What the loop's thread alone may touch.
final class LoopState {
    let library: OpaquePointer
    var timers = TimerHeap<() -> Void>()
    var turnEnds: [() -> Void] = []
    /// Sockets the library knows of; a socket leaves with its last callback.
    var sockets: [ObjectIdentifier: LWSWebSocket] = [:]
    /// Called once when the loop shuts down, while sockets still exist.
    var closers: [ObjectIdentifier: () -> Void] = [:]
    /// One buffer for all sockets: what is written is copied behind the library's headroom.
    var writeBuffer: [UInt8] = []
    /// Storage for the work of a turn, kept between turns.
    var batch: [LoopWork] = []
    let resolver: Resolver
    private var plainHost: OpaquePointer?
    private var secureHosts: [String: OpaquePointer] = [:]
    private var turnTime: ContinuousClock.Instant?

    init(library: OpaquePointer, resolver: Resolver) {
        self.library = library
        self.resolver = resolver
    }

    /// The time, read at most once per turn: hundreds of frames of one read share it.
    var now: ContinuousClock.Instant {
        if let turnTime { return turnTime }
        let time = ContinuousClock.now
        turnTime = time
        return time
    }

    func forgetTime() { turnTime = nil }

    /// The virtual host for plain connections, or for TLS with one set of authorities.
    /// nil: the library could not make it.
    func virtualHost(isSecure: Bool, authorityFile: String?) -> OpaquePointer? {
        guard isSecure else {
            if plainHost == nil { plainHost = clws_vhost_create(library, "plain", 0, nil) }
            return plainHost
        }
        let key = authorityFile ?? ""
        if let known = secureHosts[key] { return known }
        let host = clws_vhost_create(library, "secure-\(secureHosts.count)", 1, authorityFile)
        if let host { secureHosts[key] = host }
        return host
    }
}
