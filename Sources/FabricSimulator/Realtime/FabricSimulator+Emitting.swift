import NIOCore
import NIOWebSocket

/// A `message.created` on its way, or held back by the reorder fault.
struct HeldEvent: Sendable {
    let message: SimulatedMessage
    let table: DeliveryTable
    let type: ChannelType
}

extension FabricSimulator {
    /// Users with a socket in the room.
    func listeningUsers(_ channel: String) -> Set<String> {
        Set((rooms[channel] ?? []).compactMap { sockets[$0]?.info.user })
    }

    func emit(_ emissions: [World.Emission]) {
        for emission in emissions {
            switch emission {
            case .message(let message, let table, let type):
                for stream in (streams[message.channel] ?? [:]).values { stream.yield(message) }
                emit(HeldEvent(message: message, table: table, type: type))
            case .joined(let user, let channel):
                membership("channel.joined", user: user, channel: channel)
            case .left(let user, let channel):
                for id in rooms[channel.id] ?? [] where sockets[id]?.info.user == user && !channel.isPublic {
                    sockets[id]?.info.rooms.remove(channel.id)
                    rooms[channel.id]?.remove(id)
                }
                membership("channel.left", user: user, channel: channel)
            case .room(let event, let channel, let guild, let body):
                guard !activeFaults.deaf.contains(guild) else { continue }
                let frame = ByteBuffer(string: "42/realtime,[\"\(event)\",") + body
                for id in rooms[channel] ?? [] where sockets[id]?.info.deaf == false { push(frame, to: id) }
            case .guild(let event, let guild, let body):
                guard !activeFaults.deaf.contains(guild) else { continue }
                let frame = ByteBuffer(string: "42/realtime,[\"\(event)\",") + body
                for socket in sockets.values
                where socket.info.guild == guild && socket.info.user != nil && !socket.info.deaf {
                    push(frame, to: socket.info.engineID)
                }
            }
        }
        changed()
    }

    private func membership(_ event: String, user: String, channel: SimulatedChannel) {
        guard switches.emitsMembership, !activeFaults.deaf.contains(channel.guild) else { return }
        let body = JSONText.bytes([
            "channelId": channel.id, "userId": user, "xType": channel.type.rawValue,
            "occurredAt": JSONText.time(guildNow),
        ])
        let frame = ByteBuffer(string: "42/realtime,[\"\(event)\",") + body
        for id in userRooms["\(channel.guild) \(user)"] ?? [] where sockets[id]?.info.deaf == false {
            push(frame, to: id)
        }
    }

    private func emit(_ event: HeldEvent) {
        if activeFaults.reorderWindow > 1 {
            held[event.message.channel, default: []].append(event)
            if held[event.message.channel, default: []].count >= activeFaults.reorderWindow {
                release(event.message.channel)
            }
        } else if activeFaults.emitDelay > 0 {
            loop.scheduleTask(in: .nanoseconds(Int64(activeFaults.emitDelay * 1e9))) { [self] in
                assumeIsolated { $0.push(event) }
            }
        } else {
            push(event)
        }
    }

    func releaseHeldEvents() {
        guard activeFaults.reorderWindow <= 1 else { return }
        for channel in Array(held.keys) { release(channel) }
    }

    private func release(_ channel: String) {
        for event in (held.removeValue(forKey: channel) ?? []).reversed() { push(event) }
    }

    /// To every socket in the room that the delivery table names; encoded once per value of `wakeup`.
    private func push(_ event: HeldEvent) {
        let message = event.message
        guard !activeFaults.deaf.contains(message.guild), let room = rooms[message.channel], !room.isEmpty else {
            return
        }
        var object = world.wireEvent(message, type: event.type, omitsSeq: activeFaults.omitsSeq)
        let frames = [true, false].map { wakeup in
            object["wakeup"] = wakeup
            return ByteBuffer(string: "42/realtime,[\"message.created\",") + JSONText.bytes(object)
        }
        for id in room {
            guard let socket = sockets[id], !socket.info.deaf, let user = socket.info.user else { continue }
            let outcome = event.table.outcome(for: user)
            guard outcome != .skip else { continue }
            for _ in 0..<max(1, activeFaults.repeats) { push(frames[outcome == .wake ? 0 : 1], to: id) }
        }
    }

    private func push(_ frame: ByteBuffer, to id: String) {
        counted.events += 1
        if let garbage = activeFaults.garbage { sendGarbage(garbage, to: id) }
        write(frame, to: id)
    }

    private func sendGarbage(_ garbage: Faults.Garbage, to id: String) {
        switch garbage {
        case .truncatedJSON: send(#"42/realtime,["message.created",{"#, to: id)
        case .unknownPacket: send("49", to: id)
        case .invalidUTF8: write(ByteBuffer(bytes: Array("42/realtime,[\"x\",\"".utf8) + [0xC3, 0x28]), to: id)
        case .unexpectedBinary: write(ByteBuffer(bytes: [0, 1, 2, 255]), opcode: .binary, to: id)
        }
    }
}

/// An event's text: what opens it, its object, and the closing bracket.
private func + (opening: ByteBuffer, body: [UInt8]) -> ByteBuffer {
    var frame = opening
    frame.writeBytes(body)
    frame.writeInteger(UInt8(ascii: "]"))
    return frame
}
