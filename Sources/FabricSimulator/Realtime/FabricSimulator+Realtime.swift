import Foundation
import NIOCore
import NIOWebSocket

/// One WebSocket and what belongs to it.
struct RealtimeSocket: Sendable {
    var info: SimulatedSocket
    let channel: any Channel
    var ping: Scheduled<Void>?
    var pongDeadline: Scheduled<Void>?
    var cut: Scheduled<Void>?
}

/// A guild's realtime server: Engine.IO 4 over WebSocket, namespace `/realtime`.
extension FabricSimulator {
    static let namespace = "/realtime"

    func realtimeOpened(_ id: String, guild: String, channel: any Channel) {
        sockets[id] = RealtimeSocket(
            info: SimulatedSocket(
                engineID: id, sid: nil, guild: guild, user: nil, tokenExpiry: nil, rooms: [], connectedAt: now,
                rejected: false, deaf: false),
            channel: channel)
        counted.peakSockets = max(counted.peakSockets, sockets.count)
        if activeFaults.silence != .beforeOpen {
            let open: [String: any Sendable] = [
                "sid": id, "upgrades": [String](), "pingInterval": Int(switches.pingInterval * 1000),
                "pingTimeout": Int(switches.pingTimeout * 1000), "maxPayload": 1_000_000,
            ]
            send("0" + String(decoding: JSONText.bytes(open), as: UTF8.self), to: id)
            schedulePing(id)
        }
        changed()
    }

    func realtimeClosed(_ id: String) {
        forgetRooms(of: id)
        guard let socket = sockets.removeValue(forKey: id) else { return }
        for timer in [socket.ping, socket.pongDeadline, socket.cut] { timer?.cancel() }
        changed()
    }

    func realtimeReceived(_ id: String, text: String) {
        guard sockets[id] != nil else { return }
        defer { changed() }
        switch ClientPacket(text) {
        case .ping:
            // The real server closes such clients without a status.
            counted.clientPings += 1
            closeSocket(id)
        case .pong:
            counted.pongsReceived += 1
            sockets[id]?.pongDeadline?.cancel()
            sockets[id]?.pongDeadline = nil
            schedulePing(id)
        case .connect(let namespace, let payload):
            connect(id, namespace: namespace, payload: payload)
        case .disconnect(let namespace):
            if namespace == Self.namespace {
                forgetRooms(of: id)
                sockets[id]?.info.sid = nil
            }
        case .event(let namespace, let ack, let payload):
            if namespace == Self.namespace { event(id, ack: ack, payload: payload) }
        case .close, .malformed:
            closeSocket(id)
        case .other: break
        }
    }

    // MARK: CONNECT

    private func connect(_ id: String, namespace: String, payload: String) {
        guard let socket = sockets[id], activeFaults.silence != .beforeConnect else { return }
        guard namespace == Self.namespace else {
            if namespace == "/" {
                return send(#"40{"sid":"\#(TokenText.random(bytes: 15))"}"#, to: id)
            }
            return send(#"44\#(namespace),{"message":"Invalid namespace"}"#, to: id)
        }
        // A second CONNECT to an open namespace is a client's mistake; socket.io closes on it.
        guard socket.info.sid == nil else { return closeSocket(id) }
        let guild = socket.info.guild
        counted.connects[guild, default: 0] += 1
        let token = JSONText.object(Array(payload.utf8))?["token"] as? String
        var found = token.flatMap { introspect($0, guild: guild) }
        if activeFaults.rejectConnects > 0 {
            activeFaults.rejectConnects -= 1
            found = nil
        }
        if found == nil {
            counted.rejectedConnects[guild, default: 0] += 1
            sockets[id]?.info.rejected = true
            if switches.rejectMode == .connectError {
                return send(#"44/realtime,{"message":"unauthorized"}"#, to: id)
            }
        }
        let sid = TokenText.random(bytes: 15)
        sockets[id]?.info.sid = sid
        send(#"40/realtime,{"sid":"\#(sid)"}"#, to: id)
        if let found {
            authenticate(id, token: found)
        } else {
            switch switches.rejectMode {
            case .disconnectPacket:
                sockets[id]?.info.sid = nil
                send("41/realtime,", to: id)
            case .close: sockets[id]?.channel.close(promise: nil)
            case .silent, .connectError: break
            }
        }
    }

    private func authenticate(_ id: String, token: World.Token) {
        guard let guild = sockets[id]?.info.guild else { return }
        sockets[id]?.info.user = token.user
        sockets[id]?.info.tokenExpiry = token.expiresAt
        userRooms["\(guild) \(token.user)", default: []].insert(id)
        noteOverlap(guild, token.user)
        guard switches.cutAtExpiry else { return }
        let delay = TimeAmount.nanoseconds(Int64(max(0, token.expiresAt - now) * 1e9))
        sockets[id]?.cut = loop.scheduleTask(in: delay) { [self] in assumeIsolated { $0.cut(id) } }
    }

    /// Ends a live socket whose token has expired.
    func cut(_ id: String) {
        forgetRooms(of: id)
        send("41/realtime,", to: id)
        closeSocket(id)
    }

    // MARK: Client events

    private func event(_ id: String, ack: String?, payload: String) {
        guard let socket = sockets[id], socket.info.sid != nil, let user = socket.info.user,
            let array = try? JSONSerialization.jsonObject(with: Data(payload.utf8)) as? [Any],
            let name = array.first as? String
        else { return }
        let channel = (array.dropFirst().first as? [String: Any])?["channelId"] as? String ?? ""
        var answer = #"{"ok":true}"#
        switch name {
        case "join_channel":
            counted.joins += 1
            if let info = world.channels[channel]?.info, info.guild == socket.info.guild,
                world.mayRead(info, user: user)
            {
                sockets[id]?.info.rooms.insert(channel)
                rooms[channel, default: []].insert(id)
            } else {
                answer = #"{"ok":false,"error":"forbidden"}"#
            }
        case "leave_channel":
            sockets[id]?.info.rooms.remove(channel)
            rooms[channel]?.remove(id)
        default:
            // Typing and the like: nothing depends on them.
            return
        }
        if let ack, switches.acknowledgesJoin { send("43/realtime,\(ack)[\(answer)]", to: id) }
    }

    func forgetRooms(of id: String) {
        guard let socket = sockets[id] else { return }
        for room in socket.info.rooms { rooms[room]?.remove(id) }
        sockets[id]?.info.rooms = []
        if let user = socket.info.user {
            userRooms["\(socket.info.guild) \(user)"]?.remove(id)
            sockets[id]?.info.user = nil
            noteOverlap(socket.info.guild, user)
        }
    }

    /// Called when a user's sockets in a guild became more or fewer.
    private func noteOverlap(_ guild: String, _ user: String) {
        let name = "\(guild) \(user)"
        if userRooms[name]?.count ?? 0 > 1 {
            overlapping[name] = overlapping[name] ?? now
        } else if let since = overlapping.removeValue(forKey: name) {
            counted.overlapSeconds[user] = max(counted.overlapSeconds[user] ?? 0, now - since)
        }
    }

    // MARK: Frames and heartbeat

    func send(_ text: String, to id: String) {
        write(ByteBuffer(string: text), to: id)
    }

    func write(_ data: ByteBuffer, opcode: WebSocketOpcode = .text, to id: String) {
        guard let channel = sockets[id]?.channel else { return }
        var data = data
        if opcode == .text, distortion.strikes(activeFaults.distorts) {
            data = ByteBuffer(bytes: distortion.distort(Array(data.readableBytesView)))
        }
        channel.writeAndFlush(WebSocketFrame(fin: true, opcode: opcode, data: data), promise: nil)
    }

    func closeSocket(_ id: String) {
        guard let channel = sockets[id]?.channel else { return }
        // An empty close frame: "closed without status".
        write(ByteBuffer(), opcode: .connectionClose, to: id)
        channel.close(promise: nil)
    }

    private func schedulePing(_ id: String) {
        let interval = TimeAmount.nanoseconds(Int64(switches.pingInterval * 1e9))
        sockets[id]?.ping?.cancel()
        sockets[id]?.ping = loop.scheduleTask(in: interval) { [self] in assumeIsolated { $0.ping(id) } }
    }

    private func ping(_ id: String) {
        guard sockets[id] != nil else { return }
        // Looks again later, so that lifting the fault brings the heartbeat back.
        guard !activeFaults.withholdsPings else { return schedulePing(id) }
        counted.pingsSent += 1
        send("2", to: id)
        let timeout = TimeAmount.nanoseconds(Int64(switches.pingTimeout * 1e9))
        sockets[id]?.pongDeadline = loop.scheduleTask(in: timeout) { [self] in
            assumeIsolated {
                guard let channel = $0.sockets[id]?.channel else { return }
                $0.counted.pingTimeouts += 1
                channel.close(promise: nil)
            }
        }
    }
}
