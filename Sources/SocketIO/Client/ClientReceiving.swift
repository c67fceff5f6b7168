import JSONBytes

// The way in of one namespace: from its connection to the delegate.
extension ClientCore {
    @inline(__always)
    func deliver(_ message: SocketPacketView) {
        guard message.elements.count > 0 else { return }
        if recoversOffsets, message.elements.count > 1,
            let last = message.elements.last(in: message.text)?.stringBytes
        {
            session.noteOffset(last)
        }
        audience?._withUnsafeGuaranteedRef { $0.delegate.socketIO($0.client, received: SocketIOEvent(message, self)) }
    }

    /// Everything but events in their time.
    func received(_ message: SocketPacketView, keep: () -> Bool) {
        switch message.kind {
        case .event:
            guard session.isJoining else { return }
            if !keep() { handle(.lost(.unexpectedPacket("too many events before the namespace accepted"))) }
        case .acknowledgement:
            guard isConnected, let id = message.id else { return }
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

    func replayEarly() {
        let packets = early.take()
        for packet in packets where isConnected {
            packet.withView { deliver($0) }
        }
    }
}
