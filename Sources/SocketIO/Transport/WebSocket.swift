import CLibWebSocketsShims
import Glibc

/// A WebSocket: libwebsockets makes the connection (TCP, TLS, verification), from the upgrade on it is our own.
///
/// libwebsockets 4.1.6 parses what a client receives byte by byte, and has no way to say what it holds unparsed, so the
/// connection is taken from it before the server says its first word. There is one way in, for `ws` and `wss`, for
/// servers that speak right behind their 101 and those that do not.
///
/// Nothing refers to it weakly (see `ClientCore`). From `open` until it has ended the loop keeps it alive. The library
/// calls it through a plain pointer; before that could dangle, the attempt is abandoned.
final class WebSocket: WebSocketTransport {
    enum Stage {
        case idle, resolving, connecting, upgrading, open, closing, ended
    }

    let request: WebSocketRequest
    let loop: RealtimeLoop
    /// Names it among the loop's sockets.
    let number: UInt64
    @exclusivity(unchecked) var handler: (any WebSocketHandler)?
    @exclusivity(unchecked) var stage = Stage.idle
    /// The connection on its way; the library's.
    var attempt: OpaquePointer?
    /// The connection that stands; ours.
    @exclusivity(unchecked) var link: OpaquePointer?
    var addresses: [NumericAddress] = []
    var connectUntil: ContinuousClock.Instant?
    var attemptFailed = false
    /// Why the server's certificate was refused, if it was.
    var distrust: String?
    var lookup: UInt64?
    var exchange: UpgradeExchange?
    @exclusivity(unchecked) var framing: WebSocketFraming
    var flood = FloodGate()
    var outgoing = OutgoingFrames()
    var isWaitingToWrite = false
    var isToBeFlushed = false
    /// What ended the connection, if we or the peer's close frame know better than the system.
    var end: WebSocketEnd?
    /// Read while closing, and thrown away.
    var discarded = 0
    private var timer: UInt64?

    init(request: WebSocketRequest, loop: RealtimeLoop, handler: any WebSocketHandler) {
        self.request = request
        self.loop = loop
        self.handler = handler
        number = loop.newIdentifier()
        framing = WebSocketFraming(
            maximumMessageBytes: request.maximumMessageBytes, shelf: loop.confined?.shelf ?? RoomShelf())
    }

    var queuedBytes: Int { outgoing.count }

    func open() {
        guard stage == .idle, let state = loop.confined else { return finishLater(.loopShutDown) }
        state.sockets[number] = self
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
        guard stage == .open, bytes.count <= request.maximumQueuedBytes,
            outgoing.count <= request.maximumQueuedBytes - bytes.count
        else { return false }
        bytes.withUnsafeBytes { add(isBinary ? OutgoingFrames.binary : OutgoingFrames.text, $0) }
        return true
    }

    func close(code: UInt16, reason: String) {
        switch stage {
        case .open: startClosing(code: code, reason: reason, end: nil)
        case .idle, .resolving, .connecting, .upgrading:
            finishLater(.closed(code: nil, reason: "closed before it was open"))
        case .closing, .ended: return
        }
    }

    func abandon(code: UInt16?) {
        handler = nil
        if let code, stage == .open {
            close(code: code, reason: "")
        } else if stage != .closing || code == nil {
            finish(.closed(code: nil, reason: "abandoned"))
        }
    }

    /// The loop ends.
    func abort() { finish(.loopShutDown) }

    // MARK: Ends

    /// Sends a close frame; what the peer still sends is thrown away until it hangs up.
    func startClosing(code: UInt16?, reason: String, end: WebSocketEnd?) {
        stage = .closing
        if let end { self.end = end }
        var payload: [UInt8] = []
        if let code {
            payload = [UInt8(code >> 8), UInt8(code & 0xFF)]
            // A close frame carries at most 125 bytes, two of them the code; a character is not cut.
            for character in reason {
                guard payload.count + character.utf8.count <= 125 else { break }
                payload += Array(character.utf8)
            }
        }
        payload.withUnsafeBytes { add(OutgoingFrames.close, $0) }
        arm(request.deadlines.close) { $0.finish(.closed(code: nil, reason: "no answer to the close frame")) }
    }

    /// The peer broke the rules: it is told, the handler is told, and nobody listens to it any more.
    func fail(code: UInt16, _ reason: WebSocketEnd) {
        guard stage == .open else { return }
        startClosing(code: code, reason: "", end: reason)
        let handler = self.handler
        self.handler = nil
        handler?.webSocketEnded(reason)
    }

    /// Ends: tells the handler, lets go of the connection.
    func finish(_ reason: WebSocketEnd) {
        guard stage != .ended else { return }
        let reason = stage == .closing ? end ?? reason : reason
        stage = .ended
        disarm()
        let state = loop.confined
        if let lookup { state?.resolver.cancel(lookup, name: request.host) }
        dropAttempt()
        if let link {
            clws_link_free(link)
            self.link = nil
        }
        outgoing = OutgoingFrames()
        exchange = nil
        let handler = self.handler
        self.handler = nil
        state?.sockets[number] = nil
        handler?.webSocketEnded(reason)
    }

    /// ``finish(_:)`` outside the caller's call.
    private func finishLater(_ reason: WebSocketEnd) {
        guard loop.confined != nil else { return finish(reason) }
        arm(.zero) { $0.finish(reason) }
    }

    func dropAttempt() {
        guard let attempt else { return }
        self.attempt = nil
        clws_abandon(attempt)
    }

    // MARK: The one timer

    func arm(_ delay: Duration, _ body: @escaping (WebSocket) -> Void) {
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

    func disarm() {
        guard let timer else { return }
        self.timer = nil
        loop.confined?.timers.cancel(timer)
    }
}
