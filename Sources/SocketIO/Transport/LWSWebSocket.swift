import CLibWebSocketsShims
import Glibc

/// A WebSocket over libwebsockets.
///
/// Nothing refers to it weakly (see `ClientCore`). From `open` until its last callback the loop keeps it alive. The
/// library calls it through a plain pointer; before that could dangle, the socket is detached from the library's side.
final class LWSWebSocket: WebSocketTransport {
    enum Stage {
        case idle, resolving, connecting, upgrading, open, closing, ended
    }

    let request: WebSocketRequest
    let loop: RealtimeLoop
    var handler: (any WebSocketHandler)?
    var stage = Stage.idle
    var wire: OpaquePointer?
    var outgoing = OutgoingQueue()
    /// Pieces of a message that did not come in one.
    var partial: [UInt8] = []
    /// What ended the connection, if we or the peer's close frame know better than the library.
    var end: WebSocketEnd?
    /// Why the server's certificate was refused, if it was.
    var distrust: String?
    private var addresses: [NumericAddress] = []
    private var connectUntil: ContinuousClock.Instant?
    private var timer: UInt64?
    private var lookup: UInt64?
    private var attemptFailed = false
    private var closeReason: (code: UInt16, reason: String)?

    init(request: WebSocketRequest, loop: RealtimeLoop, handler: any WebSocketHandler) {
        self.request = request
        self.loop = loop
        self.handler = handler
    }

    var queuedBytes: Int { outgoing.bytes }

    func open() {
        guard stage == .idle, let state = loop.confined else { return finishLater(.loopShutDown) }
        state.sockets[ObjectIdentifier(self)] = self
        stage = .resolving
        if let address = NumericAddress(literal: request.host) {
            addresses = [address]
            // Not inside `open`: the library may fail at once.
            arm(.zero) { $0.startConnecting() }
            return
        }
        let id = loop.newIdentifier()
        lookup = id
        arm(request.deadlines.resolve) { $0.finish(.timedOut(.resolve)) }
        state.resolver.resolve(request.host, id: id) { outcome in
            guard self.stage == .resolving else { return }
            self.lookup = nil
            switch outcome {
            case .addresses(let found):
                self.addresses = found
                self.startConnecting()
            case .failed(let words):
                self.finish(.failed(.resolve, words: words, status: nil))
            }
        }
    }

    func send(_ bytes: [UInt8], isBinary: Bool) -> Bool {
        guard stage == .open, let wire, outgoing.bytes + bytes.count <= request.maximumQueuedBytes else { return false }
        outgoing.add(bytes, isBinary: isBinary)
        clws_want_write(wire)
        return true
    }

    func close(code: UInt16, reason: String) {
        switch stage {
        case .open:
            stage = .closing
            closeReason = (code, reason)
            arm(request.deadlines.close) { $0.finish(.closed(code: nil, reason: "no answer to the close frame")) }
            if let wire { clws_want_write(wire) }
        case .idle, .resolving, .connecting, .upgrading:
            finishLater(.closed(code: nil, reason: "closed before it was open"))
        case .closing, .ended:
            return
        }
    }

    func abandon(gracefully: Bool) {
        handler = nil
        if gracefully, stage == .open {
            close(code: 1000, reason: "")
        } else if stage != .closing || !gracefully {
            finish(.closed(code: nil, reason: "abandoned"))
        }
    }

    /// The loop ends.
    func abort() { finish(.loopShutDown) }

    // MARK: Steps

    private func startConnecting() {
        connectUntil = loop.confined?.now.advanced(by: request.deadlines.connect)
        connectNext()
    }

    /// Tries the next address; each gets its share of what is left of the deadline.
    private func connectNext() {
        guard let state = loop.confined, let connectUntil else { return finish(.loopShutDown) }
        state.forgetTime()
        let left = state.now.duration(to: connectUntil)
        guard !addresses.isEmpty, left > .zero else { return finish(end ?? .timedOut(.connect)) }
        let address = addresses.removeFirst()
        stage = .connecting
        end = nil
        attemptFailed = false
        let share = addresses.isEmpty ? left : max(left / (addresses.count + 1), min(left, .seconds(1)))
        arm(share) { $0.connectDeadlinePassed() }
        guard let host = state.virtualHost(isSecure: request.isSecure, authorityFile: request.certificateAuthorityFile)
        else {
            return finish(.failed(.tls, words: "the TLS context cannot be made", status: nil))
        }
        let name = request.host.contains(":") ? "[\(request.host)]" : request.host
        let standardPort = request.isSecure ? 443 : 80
        let hostHeader = request.port == standardPort ? name : "\(name):\(request.port)"
        let opened = address.text.withCString { address in
            hostHeader.withCString { header in
                request.path.withCString { path in
                    var target = clws_target()
                    target.address = address
                    target.port = Int32(clamping: request.port)
                    target.uses_tls = request.isSecure ? 1 : 0
                    target.path = path
                    target.host = header
                    target.vhost = host
                    target.connection = Unmanaged.passUnretained(self).toOpaque()
                    return clws_connect(state.library, &target)
                }
            }
        }
        // A failure within the call was heard by the callback.
        guard !attemptFailed, stage != .ended else { return }
        if let opened {
            wire = opened
        } else {
            failed(words: "cannot connect", status: 0)
        }
    }

    private func connectDeadlinePassed() {
        guard let wire, stage == .connecting else { return finish(.timedOut(.connect)) }
        guard request.isSecure, clws_is_tcp_connected(wire) == 1 else {
            end = .timedOut(.connect)
            dropWire()
            return connectNext()
        }
        arm(request.deadlines.tls) { $0.finish(.timedOut(.tls)) }
    }

    /// TCP (and TLS, if any) stand; the request is about to be written.
    func requestStarts() {
        guard stage == .connecting else { return }
        stage = .upgrading
        arm(request.deadlines.upgrade) { $0.finish(.timedOut(.upgrade)) }
    }

    func opened() {
        guard stage == .connecting || stage == .upgrading else { return }
        stage = .open
        disarm()
        addresses = []
        handler?.webSocketOpened()
    }

    /// The library could not open the connection; it has let go of it already.
    func failed(words: String, status: Int) {
        wire = nil
        attemptFailed = true
        guard stage == .connecting || stage == .upgrading else { return }
        let phase: WebSocketPhase =
            stage == .upgrading ? .upgrade : (distrust != nil || isAboutTLS(words) ? .tls : .connect)
        let heard = end ?? .failed(phase, words: distrust ?? words, status: status == 0 ? nil : status)
        if phase == .connect, !addresses.isEmpty {
            end = nil
            // Not from inside the library's callback.
            arm(.zero) { $0.connectNext() }
        } else {
            finish(heard)
        }
    }

    private func isAboutTLS(_ words: String) -> Bool {
        guard request.isSecure else { return false }
        let lower = words.lowercased()
        return ["ssl", "tls", "cert", "hostname", "issuer"].contains { lower.contains($0) }
    }

    /// Ends: tells the handler, lets go of the library's connection.
    func finish(_ reason: WebSocketEnd) {
        guard stage != .ended else { return }
        stage = .ended
        disarm()
        if let lookup { loop.confined?.resolver.cancel(lookup, name: request.host) }
        dropWire()
        outgoing = OutgoingQueue()
        partial = []
        let handler = self.handler
        self.handler = nil
        loop.confined?.sockets[ObjectIdentifier(self)] = nil
        handler?.webSocketEnded(reason)
    }

    /// ``finish(_:)`` outside the caller's call.
    private func finishLater(_ reason: WebSocketEnd) {
        guard loop.confined != nil else { return finish(reason) }
        arm(.zero) { $0.finish(reason) }
    }

    private func dropWire() {
        guard let wire else { return }
        self.wire = nil
        clws_detach(wire)
        clws_kill(wire)
    }

    /// Called when the socket may write: one message, or the close frame when all is written.
    /// False: the connection is to be closed now, by the library.
    func writeNext(_ wire: OpaquePointer) -> Bool {
        if let message = outgoing.takeFirst() {
            guard let state = loop.confined else { return false }
            let headroom = Int(clws_write_headroom())
            state.writeBuffer.replaceSubrange(0..<state.writeBuffer.count, with: repeatElement(0, count: headroom))
            state.writeBuffer.append(contentsOf: message.bytes)
            let result = state.writeBuffer.withUnsafeMutableBufferPointer { buffer -> Int32 in
                guard let base = buffer.baseAddress else { return -1 }
                return clws_write(wire, base + headroom, message.bytes.count, message.isBinary ? 1 : 0)
            }
            // A rare huge message must not keep its size in memory.
            if state.writeBuffer.capacity > 256 * 1024 { state.writeBuffer = [] }
            guard result == 0 else { return false }
            if !outgoing.isEmpty || closeReason != nil { clws_want_write(wire) }
            return true
        }
        if let closeReason {
            let reason = Array(closeReason.reason.utf8)
            reason.withUnsafeBufferPointer { clws_set_close_reason(wire, closeReason.code, $0.baseAddress, $0.count) }
            return false
        }
        return true
    }

    // MARK: The one timer

    private func arm(_ delay: Duration, _ body: @escaping (LWSWebSocket) -> Void) {
        disarm()
        guard let state = loop.confined else { return }
        let id = loop.newIdentifier()
        timer = id
        loop.addTimer(id, at: state.now.advanced(by: delay)) {
            guard self.timer == id else { return }
            self.timer = nil
            body(self)
        }
    }

    private func disarm() {
        guard let timer else { return }
        self.timer = nil
        loop.confined?.timers.cancel(timer)
    }
}
