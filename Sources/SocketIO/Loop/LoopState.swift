import CLibWebSocketsShims
import JSONBytes

/// What the loop's thread alone may touch.
final class LoopState {
    let library: OpaquePointer
    var timers = TimerHeap<() -> Void>()
    var turnEnds: [() -> Void] = []
    /// Sockets that have not ended, by number.
    var sockets: [UInt64: WebSocket] = [:]
    /// Sockets with something to write at the end of this turn.
    var toFlush: [WebSocket] = []
    /// Sockets that stopped reading with bytes at hand that the system will not announce again.
    var unread: [UInt64] = []
    /// Called once when the loop shuts down, while sockets still exist.
    var closers: [ObjectIdentifier: () -> Void] = [:]
    /// What ended while it may be in use further up the call stack, where no reference to it is counted; let go at the
    /// beginning of the next turn, before which the loop does not sleep.
    var retired: [AnyObject] = []
    /// One buffer for all sockets; what a socket needs later it keeps itself.
    let receiveBuffer: UnsafeMutableRawBufferPointer
    let shelf = RoomShelf()
    /// Storage for the work of a turn, kept between turns.
    var batch: [LoopWork] = []
    let resolver: Resolver
    private var plainHost: OpaquePointer?
    private var secureHosts: [String: OpaquePointer] = [:]
    @exclusivity(unchecked) private var turnTime: ContinuousClock.Instant?
    private var masks: [UInt32] = []
    private var random = SystemRandomNumberGenerator()

    init(library: OpaquePointer, resolver: Resolver, receiveBufferBytes: Int) {
        self.library = library
        self.resolver = resolver
        receiveBuffer = .allocate(byteCount: receiveBufferBytes, alignment: 64)
    }

    deinit { receiveBuffer.deallocate() }

    /// The time, read at most once per turn: hundreds of frames of one read share it.
    var now: ContinuousClock.Instant {
        if let turnTime { return turnTime }
        let time = ContinuousClock.now
        turnTime = time
        return time
    }

    func forgetTime() { turnTime = nil }

    /// Lets go of what was retired. Taken out before: what goes with it may retire something else.
    func letGo() {
        var last: [AnyObject] = []
        swap(&last, &retired)
    }

    /// A mask for a frame. They must not be foreseeable (RFC 6455, section 5.3); they are fetched in batches because
    /// each fetch is a system call.
    func nextMask() -> UInt32 {
        if masks.isEmpty {
            masks.reserveCapacity(64)
            for _ in 0..<32 {
                let two: UInt64 = random.next()
                masks.append(UInt32(truncatingIfNeeded: two))
                masks.append(UInt32(truncatingIfNeeded: two >> 32))
            }
        }
        return masks.removeLast()
    }

    /// A Sec-WebSocket-Key, and the answer that belongs to it. nil: OpenSSL has no memory.
    func upgradeKey() -> (key: String, accept: String)? {
        var bytes: [UInt8] = []
        for _ in 0..<4 { withUnsafeBytes(of: nextMask()) { bytes += $0 } }
        let key = Base64.encoded(bytes)
        var accept = [CChar](repeating: 0, count: 29)
        guard clws_accept_for(key, &accept) == 0 else { return nil }
        return (key, String(decoding: accept.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }

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
