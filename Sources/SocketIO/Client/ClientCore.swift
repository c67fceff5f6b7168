import Glibc
import JSONBytes

/// What a client does, on the loop: carries out what the session decides, and feeds it what happens.
///
/// Timers hold it strongly and are cancelled when it finishes: a weak reference would give it a side table, and
/// every later retain and release on the way of a message would take the slow path (measured: a tenth of the cost).
final class ClientCore {
    let configuration: SocketIOClient.Configuration
    let loop: RealtimeLoop
    let encoder: PacketEncoder
    /// As it stands in received packets: empty for the main namespace.
    let namespace: [UInt8]
    private let auth: SocketIOClient.Auth
    /// Both until the client is finished.
    var delegate: (any SocketIODelegate)?
    var client: SocketIOClient?

    var session: SocketSession
    var decoder: PacketDecoder
    var transport: (any WebSocketTransport)?
    var lastActivity: ContinuousClock.Instant?
    /// Counts transports, so that an answer cannot go out on a later connection.
    var connectionNumber: UInt64 = 0
    var acknowledgements = AcknowledgementBook()
    /// Events that came before the namespace's acceptance, which some servers send.
    var early = EarlyPackets()
    /// Bounds the server's pings on this connection.
    var pings = FloodGate()
    var attachmentTimer: UInt64?
    private var authTask: Task<Void, Never>?
    private var random = SystemRandomNumberGenerator()
    private var timer: (id: UInt64, deadline: ContinuousClock.Instant)?
    private var actions: [SocketSession.Action] = []
    private var isActing = false

    init(
        configuration: SocketIOClient.Configuration, loop: RealtimeLoop, auth: @escaping SocketIOClient.Auth,
        delegate: any SocketIODelegate
    ) {
        self.configuration = configuration
        self.loop = loop
        self.auth = auth
        self.delegate = delegate
        encoder = PacketEncoder(namespace: configuration.namespace)
        namespace = configuration.namespace == "/" ? [] : Array(configuration.namespace.utf8)
        decoder = PacketDecoder(limits: configuration.limits)
        var session = SocketSession.Configuration()
        session.backoff = configuration.backoff
        session.reconnects = configuration.reconnects
        session.authenticationTimeout = configuration.timeouts.authentication
        session.openTimeout = configuration.timeouts.open
        session.namespaceTimeout = configuration.timeouts.namespace
        session.closeTimeout = configuration.timeouts.close + .seconds(1)
        self.session = SocketSession(configuration: session)
    }

    func connect(as client: SocketIOClient) {
        guard !session.isFinished else { return }
        let isNew = self.client == nil
        self.client = client
        guard let state = loop.confined else { return handle(.loopShutDown) }
        if isNew {
            state.closers[ObjectIdentifier(self)] = { self.handle(.loopShutDown) }
        }
        handle(.connect)
    }

    // MARK: The session's doing

    func handle(_ event: SocketSession.Event) {
        actions += session.handle(event, now: .now, random: &random)
        guard !isActing else { return }
        isActing = true
        var next = 0
        // What the delegate does in a report may append here.
        while next < actions.count {
            perform(actions[next])
            next += 1
        }
        actions.removeAll(keepingCapacity: true)
        isActing = false
        armTimer()
    }

    private func perform(_ action: SocketSession.Action) {
        switch action {
        case .authenticate(let attempt, let failures): authenticate(attempt, failures)
        case .cancelAuthentication:
            authTask?.cancel()
            authTask = nil
        case .openTransport: openTransport()
        case .dropTransport(let gracefully): dropTransport(gracefully: gracefully)
        case .closeTransport:
            _ = transport?.send(encoder.disconnect(), isBinary: false)
            transport?.close(code: 1000, reason: "")
        case .sendConnect(let payload):
            _ = transport?.send(encoder.connect(payload: payload), isBinary: false)
        case .report(let state): report(state)
        case .finish: finish()
        }
    }

    private func authenticate(_ attempt: UInt64, _ failures: Int) {
        guard let client else { return }
        let auth = self.auth
        authTask = Task {
            do {
                let payload = try await auth(failures + 1)
                await client.authenticated(attempt, payload)
            } catch {
                await client.authenticationFailed(attempt, String("\(error)".prefix(300)))
            }
        }
    }

    func authenticated(_ attempt: UInt64, _ payload: [UInt8]?) {
        guard let payload else { return handle(.authenticated(attempt: attempt, payload: nil)) }
        let object = payload.drop { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }
        let isObject = Array(object).withUnsafeBytes { bytes in
            bytes.first == 0x7B && (try? JSONBytes.validateWhole(bytes)) != nil
        }
        guard isObject else {
            return handle(.authenticationFailed(attempt: attempt, "the auth callback's answer is no JSON object"))
        }
        handle(.authenticated(attempt: attempt, payload: Array(object)))
    }

    private func openTransport() {
        authTask = nil
        decoder.reset()
        early = EarlyPackets()
        pings = FloodGate()
        connectionNumber += 1
        var request = WebSocketRequest(
            host: configuration.host, port: configuration.port, isSecure: configuration.isSecure, path: requestPath)
        request.headers = configuration.extraHeaders
        request.certificateAuthorityFile = configuration.certificateAuthorityFile
        request.maximumMessageBytes = configuration.limits.maximumFrameBytes
        request.maximumQueuedBytes = configuration.maximumQueuedBytes
        request.deadlines.resolve = configuration.timeouts.resolve
        request.deadlines.connect = configuration.timeouts.connect
        request.deadlines.tls = configuration.timeouts.tls
        request.deadlines.upgrade = configuration.timeouts.upgrade
        request.deadlines.close = configuration.timeouts.close
        if let words = impediment(request) {
            return handle(.transportEnded(.transportFailed(words, status: nil)))
        }
        let socket = loop.makeWebSocket(request, handler: self)
        transport = socket
        socket.open()
    }

    private var requestPath: String {
        var path = configuration.path.hasPrefix("/") ? configuration.path : "/" + configuration.path
        path += "?EIO=4&transport=websocket"
        for pair in configuration.query { path += "&\(pair.name)=\(pair.value)" }
        return path
    }

    /// What makes it pointless to try; says what to do.
    private func impediment(_ request: WebSocketRequest) -> String? {
        let lines = request.headers.flatMap { [$0.name, $0.value] } + [request.path]
        guard lines.allSatisfy({ $0.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }), !request.path.contains(" ") else {
            return "a request header or the path contains a control character or a space; correct the settings"
        }
        guard let file = request.certificateAuthorityFile, request.isSecure else { return nil }
        guard access(file, R_OK) == 0 else {
            let words = String(cString: strerror(errno))
            return "the certificate authority file \(file) cannot be read (\(words)); correct its path or permissions"
        }
        return nil
    }

    private func dropTransport(gracefully: Bool) {
        cancelAttachmentTimer()
        transport?.abandon(code: gracefully ? 1000 : nil)
        transport = nil
    }

    private func report(_ state: SocketIOState) {
        if case .disconnected(let reason, _) = state {
            transport = nil
            failAcknowledgements(.disconnected(reason))
        }
        if let client { delegate?.socketIO(client, changed: state) }
        if case .connected = state { replayEarly() }
    }

    private func finish() {
        cancelAttachmentTimer()
        transport?.abandon(code: nil)
        transport = nil
        failAcknowledgements(.notConnected)
        loop.confined?.closers[ObjectIdentifier(self)] = nil
        delegate = nil
        client = nil
    }

    // MARK: Time

    private func armTimer() {
        guard session.deadline != timer?.deadline else { return }
        if let timer { loop.confined?.timers.cancel(timer.id) }
        timer = nil
        guard let deadline = session.deadline else { return }
        let id = loop.newIdentifier()
        timer = (id, deadline)
        loop.addTimer(id, at: deadline) {
            guard self.timer?.id == id else { return }
            self.timer = nil
            self.handle(.deadline(lastActivity: self.lastActivity))
        }
    }

    func armAttachmentTimer() {
        cancelAttachmentTimer()
        let id = loop.newIdentifier()
        attachmentTimer = id
        loop.addTimer(id, at: .now.advanced(by: configuration.timeouts.attachments)) {
            guard self.attachmentTimer == id else { return }
            self.attachmentTimer = nil
            self.handle(.lost(.timedOut(.attachments)))
        }
    }

    func cancelAttachmentTimer() {
        guard let attachmentTimer else { return }
        loop.confined?.timers.cancel(attachmentTimer)
        self.attachmentTimer = nil
    }
}
