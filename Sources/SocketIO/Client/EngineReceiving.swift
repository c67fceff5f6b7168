import JSONBytes

// The way in: from the transport to the client of the namespace.
extension EngineConnection: WebSocketHandler {
    func webSocketOpened() { transportOpened() }

    func webSocketEnded(_ outcome: WebSocketEnd) {
        transport = nil
        let place = "\(configuration.host):\(configuration.port)"
        switch outcome {
        case .timedOut(let phase): end(.timedOut(SocketIOPhase(phase)), gracefully: false)
        case .failed(let phase, let words, let status):
            let status = status == 200 && phase != .upgrade ? nil : status
            let code = status.map { ", HTTP \($0)" } ?? ""
            let text = "\(place): \(phase.rawValue) failed\(code): \(words); \(phase.remedy)"
            end(.transportFailed(text, status: status), gracefully: false)
        case .closed(let code, let reason):
            end(.transportClosed(code: code, reason: String(reason.prefix(300))), gracefully: false)
        case .messageTooLarge(let limit): end(.messageTooLarge(limit: limit), gracefully: false)
        case .violated(let violation):
            let text = "\(place): the server broke the WebSocket protocol: \(violation); look at what stands between"
            end(.transportFailed(text, status: nil), gracefully: false)
        case .loopShutDown: end(.loopShutDown, gracefully: false)
        }
    }

    func webSocketReceived(_ bytes: UnsafeRawBufferPointer, isBinary: Bool) {
        if activeTurn != loop.turnNumber { isActive() }
        if isBinary { return receivedBinary(bytes) }
        do {
            // The transport has seen to it that it is UTF-8. Messages first, and without the detour over the enum of all
            // packets: this is the way of every event.
            guard bytes.first == 0x34 else {
                if let packet = try decoder.decode(text: bytes) { received(packet) }
                return
            }
            guard let message = try decoder.decode(message: bytes, isUTF8: true, notes: memberNotes) else {
                return armAttachmentTimer()
            }
            if message.kind == .event, let addressed {
                let isDelivered = addressed._withUnsafeGuaranteedRef { core in
                    guard core.isConnected, message.isIn(namespace: core.namespace) else { return false }
                    core.deliver(message)
                    return true
                }
                if isDelivered { return }
            }
            received(message, bytes)
        } catch {
            end(.protocolViolation(error), gracefully: true)
        }
    }

    private func isActive() {
        activeTurn = loop.turnNumber
        lastActivity = loop.confined?.now
    }

    /// A packet that is no event, or not for whom the last one was.
    @inline(never)
    private func received(_ message: SocketPacketView, _ bytes: UnsafeRawBufferPointer) {
        guard let member = member(for: message) else { return }
        if message.kind == .event, member.isConnected {
            member.deliver(message)
        } else {
            member.received(message) { member.early.add(text: bytes, configuration.limits) }
        }
    }

    private func receivedBinary(_ bytes: UnsafeRawBufferPointer) {
        do {
            guard let packet = try decoder.decode(binary: bytes) else { return }
            cancelAttachmentTimer()
            packet.withView { view in
                guard let member = member(for: view) else { return }
                if view.kind == .event, member.isConnected {
                    member.deliver(view)
                } else {
                    member.received(view) { member.early.add(packet) }
                }
            }
        } catch {
            end(.protocolViolation(error), gracefully: true)
        }
    }

    private func received(_ packet: PacketView) {
        switch packet {
        case .open(let handshake): opened(handshake)
        case .close: end(.transportClosed(code: nil, reason: "the server closed the session"), gracefully: true)
        case .ping(let text):
            // The answer repeats what the ping carried; a long one is no ping.
            guard text.count <= 64 else { return }
            guard pings.admits(at: loop.confined?.now ?? .now), transport?.send([0x33] + text, isBinary: false) == true
            else { return end(.unexpectedPacket("a flood of pings"), gracefully: true) }
        case .pong, .upgrade, .noop, .message: return
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
