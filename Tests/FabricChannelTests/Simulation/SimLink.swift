import FabricAPI
import JSONBytes

@testable import FabricChannel
@testable import SocketIO

/// The account's connection to one guild: the real state machine of a client over a network in virtual time, instead of
/// `ClientCore` and its transport.
final class SimLink {
    let number: Int
    let guild: SimGuild
    private unowned let account: SimAccount
    private var session: SocketSession
    private(set) var socket: SimSocket?
    /// The token that the present attempt was made with.
    private(set) var token: String?
    private var isSilent = false
    /// Counts attempts to authenticate, and transports: an answer to an earlier one comes to nothing.
    private var attempts = 0
    private var alarm: ContinuousClock.Instant?
    private var alarms = 0
    private var actions: [SocketSession.Action] = []
    private var isActing = false

    private static let handshake: EngineHandshake? = Array(
        #"{"sid":"x","pingInterval":25000,"pingTimeout":20000,"upgrades":[]}"#.utf8
    ).withUnsafeBytes { try? EngineHandshake(JSONView(validated: $0, start: 0, end: $0.count)) }

    init(number: Int, guild: SimGuild, account: SimAccount) {
        self.number = number
        self.guild = guild
        self.account = account
        session = SocketSession(configuration: .init())
    }

    private var world: World { account.world }

    func connect() { handle(.connect) }
    func reconnect(_ reason: String) { handle(.reconnect(reason: reason)) }

    /// Nothing is heard of this connection any more.
    func silence() {
        isSilent = true
        attempts += 1
        alarms += 1
        drop()
    }

    private func drop() {
        guard let socket else { return }
        self.socket = nil
        socket.isOpen = false
        guild.sockets.removeAll { $0 === socket }
    }

    private func handle(_ event: SocketSession.Event) {
        guard !isSilent else { return }
        actions += session.handle(event, now: world.moment.instant, random: &world.schedule.random)
        guard !isActing else { return }
        isActing = true
        var next = 0
        while next < actions.count, !isSilent {
            perform(actions[next])
            next += 1
        }
        actions.removeAll(keepingCapacity: true)
        isActing = false
        armAlarm()
    }

    private func perform(_ action: SocketSession.Action) {
        switch action {
        case .authenticate(let attempt, _): authenticate(attempt)
        case .cancelAuthentication: attempts += 1
        case .openTransport: openTransport()
        case .dropTransport:
            attempts += 1
            drop()
        case .closeTransport: drop()
        case .sendConnect: sendConnect()
        case .report(let state): report(state)
        case .finish: break
        }
    }

    /// Runs `body` unless the attempt is over by then.
    private func soon(_ usual: Double, _ body: @escaping () -> Void) {
        let attempt = attempts
        world.schedule.after(world.schedule.random.delay(usual)) { [self] in
            if attempt == attempts, !isSilent { body() }
        }
    }

    private func authenticate(_ number: UInt64) {
        account.handle(.askedForToken(self.number))
        account.sessions.token(for: guild.id) { [self] result in
            switch result {
            case .success(let token):
                self.token = token
                handle(.authenticated(attempt: number, payload: nil))
            case .failure(let error): handle(.authenticationFailed(attempt: number, "\(error.kind)"))
            }
        }
    }

    private func openTransport() {
        attempts += 1
        soon(0.3) { [self] in
            guard !guild.isDown, !world.isHit(.disconnects, 0.2) else {
                return handle(.transportEnded(.transportFailed("refused", status: nil)))
            }
            handle(.transportOpened)
            soon(0.1) { [self] in
                guard let handshake = Self.handshake, !guild.isDown else { return }
                handle(.opened(handshake))
            }
        }
    }

    /// The guild answers CONNECT before it looks at the token; with a bad one the socket is deaf, or closed.
    private func sendConnect() {
        let token = token ?? ""
        soon(0.3) { [self] in
            // No answer: its deadline tells.
            guard !guild.isDown, !world.isHit(.lostAnswers, 0.1) else { return }
            let socket = SimSocket(
                event: { [self] socket, event, bytes, message in
                    if self.socket === socket { account.received(event, bytes, message, self) }
                },
                lost: { [self] socket in
                    guard self.socket === socket else { return }
                    handle(.transportEnded(.transportClosed(code: nil, reason: "")))
                })
            let isTaken = guild.takes(token)
            socket.isDeaf = !isTaken || world.isHit(.deafness, 0.3)
            self.socket = socket
            guild.sockets.append(socket)
            handle(.joined(socketID: "s", recoveryID: nil))
            if !isTaken, world.schedule.random.chance(0.5) {
                soon(0.5) { [self] in handle(.lost(.serverDisconnected)) }
            }
        }
    }

    private func report(_ state: SocketIOState) {
        switch state {
        case .idle: break
        case .connecting: account.handle(.connecting(number))
        case .connected: account.handle(.connected(number))
        case .disconnected(let reason, _):
            if reason.suggestsRejectedToken, let token { account.sessions.invalidate(token) }
            token = nil
            account.handle(.disconnected(number))
        }
    }

    private func armAlarm() {
        guard session.deadline != alarm else { return }
        alarm = session.deadline
        alarms += 1
        guard let alarm else { return }
        let count = alarms
        world.schedule.after(world.seconds(until: alarm) + 1e-6) { [self] in
            guard count == alarms else { return }
            self.alarm = nil
            // A guild that is there pings; a peer that is gone without a word does not.
            handle(.deadline(lastActivity: socket.map { $0.isGone } == false ? world.moment.instant : nil))
        }
    }
}
