/// The life of a client as a pure state machine: what happened and when goes in, what is to be done comes out.
///
/// One attempt: ask for the auth payload, open the transport, await the server's `open`, send CONNECT with the
/// payload, await the namespace's answer. Whatever ends it, the next attempt begins from the beginning.
struct SocketSession {
    struct Configuration: Sendable {
        var backoff = SocketIOBackoff.Configuration()
        var reconnects = true
        var authenticationTimeout: Duration = .seconds(60)
        var openTimeout: Duration = .seconds(10)
        var namespaceTimeout: Duration = .seconds(10)
        var closeTimeout: Duration = .seconds(3)
    }

    enum Event: Equatable {
        case connect
        case disconnect
        case reconnect(reason: String)
        /// The auth callback of this attempt answered; `payload` is the JSON text of an object.
        case authenticated(attempt: UInt64, payload: [UInt8]?)
        case authenticationFailed(attempt: UInt64, String)
        case transportOpened
        case transportEnded(SocketIODisconnect)
        case opened(EngineHandshake)
        case joined(socketID: String, recoveryID: String?)
        /// The server's doing or ours: the connection is of no use any more.
        case lost(SocketIODisconnect)
        /// The deadline passed, or something was heard since.
        case deadline(lastActivity: ContinuousClock.Instant?)
        case loopShutDown
    }

    enum Action: Equatable {
        case authenticate(attempt: UInt64, failures: Int)
        case cancelAuthentication
        case openTransport
        /// Let go of the transport; it hears no more of us. `gracefully`: the peer is probably there.
        case dropTransport(gracefully: Bool, SocketIODisconnect)
        /// Send DISCONNECT and close; `transportEnded` will follow.
        case closeTransport
        case sendConnect(payload: [UInt8]?)
        case report(SocketIOState)
        /// Nobody will be told anything any more.
        case finish
    }

    private enum Stage: Equatable {
        case idle
        case authenticating
        case opening(payload: [UInt8]?)
        case awaitingOpen(payload: [UInt8]?)
        case joining
        case connected(since: ContinuousClock.Instant)
        case waiting
        case closing
        case finished
    }

    let configuration: Configuration
    private(set) var backoff: SocketIOBackoff
    private(set) var state = SocketIOState.idle
    /// When ``Event/deadline(lastActivity:)`` is due.
    private(set) var deadline: ContinuousClock.Instant?
    private(set) var recovery = RecoveryMemory()
    private var stage = Stage.idle
    private var handshake: EngineHandshake?
    private var attempt: UInt64 = 0

    init(configuration: Configuration) {
        self.configuration = configuration
        backoff = SocketIOBackoff(configuration: configuration.backoff)
    }

    /// The longest message the server takes, if it said so. Bytes.
    var maximumPayload: Int? { handshake?.maximumPayload }

    var isConnected: Bool {
        if case .connected = stage { true } else { false }
    }
    var isJoining: Bool { stage == .joining }
    var isFinished: Bool { stage == .finished }
    /// Whether the next attempt waits because of the connection, which others may open anew meanwhile.
    var waitsForTransport: Bool {
        guard stage == .waiting, case .disconnected(let reason, _) = state else { return false }
        return reason.concernsConnection
    }

    /// Notes the offset of an event, for connection state recovery.
    mutating func noteOffset(_ bytes: UnsafeRawBufferPointer) { recovery.note(bytes) }

    mutating func handle(
        _ event: Event, now: ContinuousClock.Instant, random: inout some RandomNumberGenerator
    ) -> [Action] {
        switch event {
        case .connect:
            guard stage == .idle || stage == .waiting else { return [] }
            return begin(now)
        case .disconnect: return disconnect(now)
        case .reconnect(let reason):
            switch stage {
            case .idle, .waiting, .closing, .finished: return []
            default: return lose(.reconnectRequested(reason), gracefully: true, now, &random)
            }
        case .authenticated(let number, let payload):
            guard stage == .authenticating, number == attempt else { return [] }
            stage = .opening(payload: payload)
            deadline = nil
            return [.openTransport]
        case .authenticationFailed(let number, let words):
            guard stage == .authenticating, number == attempt else { return [] }
            return lose(.authenticationUnavailable(words), gracefully: false, now, &random)
        case .transportOpened:
            guard case .opening(let payload) = stage else { return [] }
            stage = .awaitingOpen(payload: payload)
            deadline = now.advanced(by: configuration.openTimeout)
            return []
        case .transportEnded(let reason): return transportEnded(reason, now, &random)
        case .opened(let handshake): return opened(handshake, now, &random)
        case .joined(let socketID, let recoveryID): return joined(socketID, recoveryID, now, &random)
        case .lost(let reason):
            switch stage {
            case .opening, .awaitingOpen, .joining, .connected:
                return lose(reason, gracefully: reason != .pingTimeout, now, &random)
            default: return []
            }
        case .deadline(let lastActivity): return deadlinePassed(lastActivity, now, &random)
        case .loopShutDown:
            guard stage != .finished else { return [] }
            return finish(.loopShutDown)
        }
    }

    // MARK: Steps

    private mutating func begin(_ now: ContinuousClock.Instant) -> [Action] {
        attempt += 1
        stage = .authenticating
        deadline = now.advanced(by: configuration.authenticationTimeout)
        handshake = nil
        state = .connecting(attempt: backoff.failures + 1)
        return [.report(state), .authenticate(attempt: attempt, failures: backoff.failures)]
    }

    private mutating func opened(
        _ handshake: EngineHandshake, _ now: ContinuousClock.Instant, _ random: inout some RandomNumberGenerator
    ) -> [Action] {
        guard case .awaitingOpen(let payload) = stage else {
            guard isJoining || isConnected else { return [] }
            return lose(.unexpectedPacket("a second open packet"), gracefully: true, now, &random)
        }
        self.handshake = handshake
        stage = .joining
        deadline = now.advanced(by: configuration.namespaceTimeout)
        return [.sendConnect(payload: recovery.merged(into: payload))]
    }

    private mutating func joined(
        _ socketID: String, _ recoveryID: String?, _ now: ContinuousClock.Instant,
        _ random: inout some RandomNumberGenerator
    ) -> [Action] {
        guard stage == .joining else {
            guard isConnected else { return [] }
            return lose(.unexpectedPacket("a second CONNECT for the namespace"), gracefully: true, now, &random)
        }
        let recovered = recovery.joined(recoveryID)
        stage = .connected(since: now)
        deadline = now.advanced(by: patience)
        state = .connected(socketID: socketID, recovered: recovered)
        return [.report(state)]
    }

    private mutating func transportEnded(
        _ reason: SocketIODisconnect, _ now: ContinuousClock.Instant, _ random: inout some RandomNumberGenerator
    ) -> [Action] {
        switch stage {
        case .closing: return finish(.clientRequested)
        case .opening, .awaitingOpen, .joining, .connected:
            return lose(reason, gracefully: false, now, &random)
        case .idle, .authenticating, .waiting, .finished: return []
        }
    }

    private mutating func disconnect(_ now: ContinuousClock.Instant) -> [Action] {
        switch stage {
        case .finished, .closing: return []
        case .connected, .joining, .awaitingOpen:
            stage = .closing
            deadline = now.advanced(by: configuration.closeTimeout)
            return [.closeTransport]
        case .idle, .authenticating, .opening, .waiting: return finish(.clientRequested)
        }
    }

    private mutating func deadlinePassed(
        _ lastActivity: ContinuousClock.Instant?, _ now: ContinuousClock.Instant,
        _ random: inout some RandomNumberGenerator
    ) -> [Action] {
        guard let due = deadline else { return [] }
        if case .connected(let since) = stage {
            // Any message proves the server alive; the deadline moves only when it is looked at.
            let alive = max(lastActivity ?? since, since)
            let dead = alive.advanced(by: patience)
            guard now >= dead else {
                deadline = dead
                return []
            }
            return lose(.pingTimeout, gracefully: false, now, &random)
        }
        guard now >= due else { return [] }
        switch stage {
        case .authenticating:
            let words = "no answer within \(configuration.authenticationTimeout)"
            return lose(.authenticationUnavailable(words), gracefully: false, now, &random)
        case .awaitingOpen: return lose(.timedOut(.open), gracefully: false, now, &random)
        case .joining: return lose(.timedOut(.namespace), gracefully: false, now, &random)
        case .waiting: return begin(now)
        case .closing: return finish(.clientRequested)
        case .idle, .opening, .connected, .finished:
            deadline = nil
            return []
        }
    }

    /// The server promises a ping every interval and allows the timeout on top.
    private var patience: Duration {
        guard let handshake else { return .seconds(45) }
        return handshake.pingInterval + handshake.pingTimeout
    }

    private mutating func lose(
        _ reason: SocketIODisconnect, gracefully: Bool, _ now: ContinuousClock.Instant,
        _ random: inout some RandomNumberGenerator
    ) -> [Action] {
        guard configuration.reconnects else { return finish(reason, gracefully: gracefully) }
        let cleanup = release(reason, gracefully: gracefully)
        if case .connected(let since) = stage, since.advanced(by: configuration.backoff.usefulAfter) <= now {
            backoff.reset()
        }
        let delay = backoff.failed(using: &random)
        stage = .waiting
        deadline = now.advanced(by: delay)
        state = .disconnected(reason, retryIn: delay)
        return cleanup + [.report(state)]
    }

    private mutating func finish(_ reason: SocketIODisconnect, gracefully: Bool = false) -> [Action] {
        let cleanup = release(reason, gracefully: gracefully)
        stage = .finished
        deadline = nil
        state = .disconnected(reason, retryIn: nil)
        return cleanup + [.report(state), .finish]
    }

    private func release(_ reason: SocketIODisconnect, gracefully: Bool) -> [Action] {
        switch stage {
        case .authenticating: [.cancelAuthentication]
        case .opening, .awaitingOpen, .joining, .connected, .closing: [.dropTransport(gracefully: gracefully, reason)]
        case .idle, .waiting, .finished: []
        }
    }
}
