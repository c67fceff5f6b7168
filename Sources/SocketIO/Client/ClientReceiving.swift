import JSONBytes

// The way in: from the transport to the delegate.
extension ClientCore: WebSocketHandler {
    func webSocketOpened() { handle(.transportOpened) }

    func webSocketEnded(_ end: WebSocketEnd) {
        transport = nil
        cancelAttachmentTimer()
        let place = "\(configuration.host):\(configuration.port)"
        switch end {
        case .timedOut(let phase): handle(.transportEnded(.timedOut(SocketIOPhase(phase))))
        case .failed(let phase, let words, let status):
            let status = status == 200 && phase != .upgrade ? nil : status
            let code = status.map { ", HTTP \($0)" } ?? ""
            let text = "\(place): \(phase.rawValue) failed\(code): \(words); \(phase.remedy)"
            handle(.transportEnded(.transportFailed(text, status: status)))
        case .closed(let code, let reason):
            handle(.transportEnded(.transportClosed(code: code, reason: String(reason.prefix(300)))))
        case .messageTooLarge(let limit): handle(.transportEnded(.messageTooLarge(limit: limit)))
        case .violated(let violation):
            let text = "\(place): the server broke the WebSocket protocol: \(violation); look at what stands between"
            handle(.transportEnded(.transportFailed(text, status: nil)))
        case .loopShutDown: handle(.loopShutDown)
        }
    }

    func webSocketReceived(_ bytes: UnsafeRawBufferPointer, isBinary: Bool) {
        lastActivity = loop.confined?.now
        if isBinary { return receivedBinary(bytes) }
        do {
            // The transport has seen to it that it is UTF-8. Messages first, and without the detour over the enum of all packets: this is the way of every event.
            guard bytes.first == 0x34 else {
                if let packet = try decoder.decode(text: bytes) { received(packet) }
                return
            }
            guard let message = try decoder.decode(message: bytes, isUTF8: true) else { return armAttachmentTimer() }
            if message.kind == .event, session.isConnected {
                deliver(message)
            } else {
                received(message) { self.early.add(text: bytes, self.configuration.limits) }
            }
        } catch {
            handle(.lost(.protocolViolation(error)))
        }
    }

    private func receivedBinary(_ bytes: UnsafeRawBufferPointer) {
        do {
            guard let packet = try decoder.decode(binary: bytes) else { return }
            cancelAttachmentTimer()
            packet.withView { view in
                if view.kind == .event, session.isConnected {
                    deliver(view)
                } else {
                    received(view) { self.early.add(packet) }
                }
            }
        } catch {
            handle(.lost(.protocolViolation(error)))
        }
    }

    @inline(__always)
    private func deliver(_ message: SocketPacketView) {
        guard message.isIn(namespace: namespace), message.elements.count > 0 else { return }
        if session.recovery.isOffered, message.elements.count > 1,
            let last = message.elements.last(in: message.text)?.stringBytes
        {
            session.noteOffset(last)
        }
        guard let client, let delegate else { return }
        delegate.socketIO(client, received: SocketIOEvent(message, self))
    }

    /// Everything but events in their time.
    private func received(_ message: SocketPacketView, keep: () -> Bool) {
        guard message.isIn(namespace: namespace) else { return }
        switch message.kind {
        case .event:
            guard session.isJoining else { return }
            if !keep() { handle(.lost(.unexpectedPacket("too many events before the namespace accepted"))) }
        case .acknowledgement:
            guard session.isConnected, let id = message.id else { return }
            let arguments = message.payload.map { Array($0.rawBytes) } ?? Array("[]".utf8)
            settle(id, .success(SocketIOAck(arguments: arguments, attachments: message.attachments)))
        case .connect:
            guard let sid = message.payload?["sid"]?.string, !sid.isEmpty else {
                return handle(
                    .lost(.unexpectedPacket("CONNECT without a socket id; the server speaks an older protocol")))
            }
            handle(.joined(socketID: sid, recoveryID: message.payload?["pid"]?.string))
        case .disconnect: handle(.lost(.serverDisconnected))
        case .connectError:
            let words = message.payload?["message"]?.string ?? message.payload?.string ?? "no reason given"
            let data = message.payload?["data"].map { Array($0.rawBytes) }
            handle(.lost(.refused(message: String(words.prefix(300)), data: data)))
        }
    }

    private func received(_ packet: PacketView) {
        switch packet {
        case .open(let handshake): handle(.opened(handshake))
        case .close: handle(.lost(.transportClosed(code: nil, reason: "the server closed the session")))
        case .ping(let text):
            // The answer repeats what the ping carried; a long one is no ping.
            guard text.count <= 64 else { return }
            guard pings.admits(at: loop.confined?.now ?? .now), transport?.send([0x33] + text, isBinary: false) == true
            else { return handle(.lost(.unexpectedPacket("a flood of pings"))) }
        case .pong, .upgrade, .noop, .message: return
        }
    }

    func replayEarly() {
        let packets = early.take()
        for packet in packets where session.isConnected {
            packet.withView { deliver($0) }
        }
    }
}

extension SocketIOPhase {
    init(_ phase: WebSocketPhase) {
        switch phase {
        case .resolve: self = .resolve
        case .connect: self = .connect
        case .tls: self = .tls
        case .upgrade: self = .upgrade
        }
    }
}

extension WebSocketPhase {
    /// What the operator can look at.
    var remedy: String {
        switch self {
        case .resolve: "check the server's name and this machine's name service"
        case .connect: "check that the server runs and that its port is reachable"
        case .tls: "check the server's certificate, or name its authority with certificateAuthorityFile"
        case .upgrade: "check that a Socket.IO server answers at this address and path"
        }
    }
}
