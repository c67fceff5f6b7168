import JSONBytes

/// What a client of one namespace does, on the loop: carries out what the session decides, and feeds it what happens.
///
/// Only code on the loop touches it, and no access calls out while it lasts; what every message reads is therefore marked
/// `@exclusivity(unchecked)`, here and where else it stands (the checks were a fifteenth of the cost of a message).
///
/// Timers hold it strongly and are cancelled when it finishes: a weak reference would give it a side table, and
/// every later retain and release on the way of a message would take the slow path (measured: a tenth of the cost).
final class ClientCore {
    /// Who hears events.
    final class Audience {
        let client: SocketIOClient
        let delegate: any SocketIODelegate

        init(client: SocketIOClient, delegate: any SocketIODelegate) {
            self.client = client
            self.delegate = delegate
        }
    }

    /// What the server knows of us on the present connection.
    enum Standing {
        case stranger
        /// CONNECT was sent, and not answered yet.
        case asked
        case accepted
    }

    var configuration: SocketIOClient.Configuration { shared.value }
    private let shared: SharedConfiguration
    let loop: RealtimeLoop
    let encoder: PacketEncoder
    /// As it stands in received packets: empty for the main namespace.
    let namespace: [UInt8]
    private let auth: SocketIOClient.Auth
    /// Both until the client is finished.
    @exclusivity(unchecked) var delegate: (any SocketIODelegate)?
    @exclusivity(unchecked) var client: SocketIOClient?
    /// The two, for the way of every event: their references are not counted there. Retired when the client is finished.
    @exclusivity(unchecked) var audience: Unmanaged<Audience>?

    let connection: EngineConnection
    // Asked for every message; of the session itself Swift would make a copy.
    @exclusivity(unchecked) private(set) var isConnected = false
    @exclusivity(unchecked) private(set) var recoversOffsets = false
    var session: SocketSession
    private(set) var standing = Standing.stranger
    /// Counts connections, so that an answer cannot go out on a later one.
    var connectionNumber: UInt64 = 0
    var acknowledgements = AcknowledgementBook()
    /// Events that came before the namespace's acceptance, which some servers send.
    var early = EarlyPackets()
    private var authTask: Task<Void, Never>?
    private var random = SystemRandomNumberGenerator()
    private var timer: (id: UInt64, deadline: ContinuousClock.Instant)?
    private var actions: [SocketSession.Action] = []
    private var isActing = false

    init(
        configuration shared: SharedConfiguration, connection: EngineConnection,
        auth: @escaping SocketIOClient.Auth, delegate: any SocketIODelegate
    ) {
        self.shared = shared
        let configuration = shared.value
        self.connection = connection
        loop = connection.loop
        self.auth = auth
        self.delegate = delegate
        encoder = PacketEncoder(namespace: configuration.namespace)
        namespace = configuration.namespace == "/" ? [] : Array(configuration.namespace.utf8)
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
        if isNew, let delegate { audience = .passRetained(Audience(client: client, delegate: delegate)) }
        guard let state = loop.confined else { return handle(.loopShutDown) }
        if isNew {
            state.closers[ObjectIdentifier(self)] = { self.handle(.loopShutDown) }
            connection.register(self)
        }
        handle(.connect)
    }

    // MARK: The session's doing

    func handle(_ event: SocketSession.Event) {
        actions += session.handle(event, now: .now, random: &random)
        isConnected = session.isConnected
        recoversOffsets = session.recovery.isOffered
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
        case .openTransport: join()
        case .dropTransport(let gracefully, let reason): connection.leave(self, gracefully: gracefully, reason)
        case .closeTransport: connection.close(self)
        case .sendConnect(let payload):
            standing = .asked
            _ = connection.transport?.send(encoder.connect(payload: payload), isBinary: false)
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

    private func join() {
        authTask = nil
        early = EarlyPackets()
        standing = .stranger
        connectionNumber += 1
        connection.join(self)
    }

    private func report(_ state: SocketIOState) {
        switch state {
        case .connected: standing = .accepted
        case .disconnected(let reason, _): failAcknowledgements(.disconnected(reason))
        case .idle, .connecting: break
        }
        if let client { delegate?.socketIO(client, changed: state) }
        if case .connected = state { replayEarly() }
    }

    private func finish() {
        connection.unregister(self)
        failAcknowledgements(.notConnected)
        loop.confined?.closers[ObjectIdentifier(self)] = nil
        delegate = nil
        client = nil
        guard let audience else { return }
        self.audience = nil
        let last = audience.takeRetainedValue()
        loop.confined?.retired.append(last)
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
            self.handle(.deadline(lastActivity: self.connection.lastActivity))
        }
    }
}
