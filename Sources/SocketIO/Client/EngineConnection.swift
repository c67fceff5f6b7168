import Glibc
import JSONBytes
import Timing

/// One WebSocket with its Engine.IO session, shared by the clients of one or several namespaces; on the loop.
///
/// It is opened for the first client that wants it and dropped when the last one leaves. What concerns the connection ends it
/// for all, what concerns a namespace only for that one.
final class EngineConnection {
    var configuration: SocketIOClient.Configuration { shared.value }
    private let shared: SharedConfiguration
    let loop: RealtimeLoop
    var transport: (any WebSocketTransport)?
    @exclusivity(unchecked) var decoder: PacketDecoder
    @FixedInstant var lastActivity: ContinuousClock.Instant?
    /// The turn of the loop in which that was.
    @exclusivity(unchecked) var activeTurn: UInt64 = 0
    /// The loop's: good until the next packet of any connection.
    let memberNotes: JSONNotes
    /// Bounds the server's pings on this connection.
    var pings = FloodGate()
    var attachmentTimer: UInt64?
    private(set) var handshake: EngineHandshake?
    private var isOpen = false
    private var isClosing = false
    /// Clients that were started and have not finished, connected or not.
    private var clients: [ClientCore] = []
    /// Those for whom the connection is there, or on its way.
    private(set) var members: [ClientCore] = []
    /// Whom the last packet was for: nearly always whom the next one is for. One of `members`, which hold it.
    ///
    /// Unmanaged, so that no message counts a reference. Who leaves `members` is retired, and so is still there when a
    /// delivery that led to it returns.
    @exclusivity(unchecked) var addressed: Unmanaged<ClientCore>?
    /// Namespaces that were left before the server answered their CONNECT. Until it has, another CONNECT or a DISCONNECT
    /// would make an official server close the connection.
    private var unanswered: Set<[UInt8]> = []

    init(configuration: SharedConfiguration, loop: RealtimeLoop) {
        shared = configuration
        self.loop = loop
        memberNotes = loop.memberNotes
        decoder = PacketDecoder(limits: configuration.value.limits)
    }

    // MARK: Clients

    func register(_ client: ClientCore) { clients.append(client) }

    func unregister(_ client: ClientCore) {
        leave(client, gracefully: false, .clientRequested)
        clients.removeAll { $0 === client }
    }

    /// Opens the connection for a client, or lets it take part in the one that is there.
    func join(_ client: ClientCore) {
        if isClosing { end(.transportClosed(code: 1000, reason: ""), gracefully: true) }
        guard !members.contains(where: { $0.namespace == client.namespace }) else {
            let words = "the namespace \(client.configuration.namespace) is in use on this connection already"
            let remedy = "use the client that is there, or a connection of its own"
            return client.handle(.transportEnded(.transportFailed("\(words); \(remedy)", status: nil)))
        }
        members.append(client)
        guard transport != nil else { return open(for: client) }
        guard isOpen else { return }
        client.handle(.transportOpened)
        if let handshake, !unanswered.contains(client.namespace) { client.handle(.opened(handshake)) }
    }

    /// A client lets go. `gracefully`: the peer is probably there.
    func leave(_ client: ClientCore, gracefully: Bool, _ reason: SocketIODisconnect) {
        guard let index = members.firstIndex(where: { $0 === client }) else { return }
        members.remove(at: index)
        forgetAddressed()
        // A client that was only waiting for its turn has nothing to say about the connection.
        let concernsAll = reason.concernsConnection && !(reason == .timedOut(.open) && handshake != nil)
        if members.isEmpty || concernsAll {
            end(reason, gracefully: gracefully)
        } else {
            sayLeft(client, reason)
        }
    }

    /// A client is done: DISCONNECT, and the close frame if it is the last one. It hears `transportEnded` then.
    func close(_ client: ClientCore) {
        guard members.count > 1 else {
            isClosing = true
            _ = transport?.send(client.encoder.disconnect(), isBinary: false)
            transport?.close(code: 1000, reason: "")
            return
        }
        sayLeft(client, .clientRequested)
        members.removeAll { $0 === client }
        forgetAddressed()
        client.handle(.transportEnded(.transportClosed(code: nil, reason: "")))
    }

    private func forgetAddressed() {
        guard let core = addressed?.takeUnretainedValue() else { return }
        addressed = nil
        loop.confined?.retired.append(core)
    }

    private func sayLeft(_ client: ClientCore, _ reason: SocketIODisconnect) {
        switch reason {
        case .serverDisconnected, .refused: return
        default: break
        }
        switch client.standing {
        case .stranger: return
        case .asked: unanswered.insert(client.namespace)
        case .accepted: _ = transport?.send(client.encoder.disconnect(), isBinary: false)
        }
    }

    // MARK: Packets

    /// Whom a packet is for.
    func member(for message: SocketPacketView) -> ClientCore? {
        if let core = addressed?.takeUnretainedValue(), message.isIn(namespace: core.namespace) { return core }
        return search(message)
    }

    private func search(_ message: SocketPacketView) -> ClientCore? {
        for member in members where message.isIn(namespace: member.namespace) {
            if unanswered.contains(member.namespace) { break }
            addressed = Unmanaged.passUnretained(member)
            return member
        }
        answered(message)
        return nil
    }

    /// The answer to a CONNECT that nobody waits for any more.
    private func answered(_ message: SocketPacketView) {
        guard message.kind == .connect || message.kind == .connectError,
            let namespace = unanswered.remove(Array(message.namespace))
        else { return }
        let name = namespace.isEmpty ? "/" : String(decoding: namespace, as: UTF8.self)
        if message.kind == .connect {
            _ = transport?.send(PacketEncoder(namespace: name).disconnect(), isBinary: false)
        }
        guard let handshake, let next = members.first(where: { $0.namespace == namespace }) else { return }
        next.handle(.opened(handshake))
    }

    func opened(_ handshake: EngineHandshake) {
        guard self.handshake == nil else { return end(.unexpectedPacket("a second open packet"), gracefully: true) }
        self.handshake = handshake
        for member in members where isMember(member) { member.handle(.opened(handshake)) }
    }

    // MARK: The transport

    private func open(for client: ClientCore) {
        decoder.reset()
        pings = FloodGate()
        if let words = impediment { return end(.transportFailed(words, status: nil), gracefully: false) }
        let socket = loop.makeWebSocket(request, handler: self)
        transport = socket
        socket.open()
        // Who waits after a loss of the connection need not wait longer.
        for other in clients where other !== client && other.session.waitsForTransport { other.handle(.connect) }
    }

    func transportOpened() {
        isOpen = true
        for member in members where isMember(member) { member.handle(.transportOpened) }
    }

    /// The connection is over, for all.
    func end(_ reason: SocketIODisconnect, gracefully: Bool) {
        cancelAttachmentTimer()
        transport?.abandon(code: gracefully ? 1000 : nil)
        transport = nil
        isOpen = false
        isClosing = false
        handshake = nil
        unanswered = []
        forgetAddressed()
        let members = self.members
        self.members = []
        for member in members { member.handle(reason == .loopShutDown ? .loopShutDown : .transportEnded(reason)) }
    }

    private func isMember(_ client: ClientCore) -> Bool { members.contains { $0 === client } }

    private var request: WebSocketRequest {
        var path = configuration.path.hasPrefix("/") ? configuration.path : "/" + configuration.path
        path += "?EIO=4&transport=websocket"
        for pair in configuration.query { path += "&\(pair.name)=\(pair.value)" }
        var request = WebSocketRequest(
            host: configuration.host, port: configuration.port, isSecure: configuration.isSecure, path: path)
        request.headers = configuration.extraHeaders
        request.certificateAuthorityFile = configuration.certificateAuthorityFile
        request.maximumMessageBytes = configuration.limits.maximumFrameBytes
        request.maximumQueuedBytes = configuration.maximumQueuedBytes
        request.deadlines.resolve = configuration.timeouts.resolve
        request.deadlines.connect = configuration.timeouts.connect
        request.deadlines.tls = configuration.timeouts.tls
        request.deadlines.upgrade = configuration.timeouts.upgrade
        request.deadlines.close = configuration.timeouts.close
        return request
    }

    /// What makes it pointless to try; says what to do.
    private var impediment: String? {
        let request = self.request
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

    // MARK: Time

    func armAttachmentTimer() {
        cancelAttachmentTimer()
        let id = loop.newIdentifier()
        attachmentTimer = id
        loop.addTimer(id, at: .now.advanced(by: configuration.timeouts.attachments)) {
            guard self.attachmentTimer == id else { return }
            self.attachmentTimer = nil
            self.end(.timedOut(.attachments), gracefully: true)
        }
    }

    func cancelAttachmentTimer() {
        guard let attachmentTimer else { return }
        loop.confined?.timers.cancel(attachmentTimer)
        self.attachmentTimer = nil
    }
}

extension SocketIODisconnect {
    /// Whether it is about the connection, not about one namespace on it.
    var concernsConnection: Bool {
        switch self {
        case .pingTimeout, .transportClosed, .transportFailed, .protocolViolation, .messageTooLarge: true
        case .timedOut(let phase): phase != .authentication && phase != .namespace
        case .clientRequested, .serverDisconnected, .refused, .authenticationUnavailable, .unexpectedPacket,
            .reconnectRequested, .loopShutDown:
            false
        }
    }
}
