typealias AcknowledgementCompletion = @Sendable (Result<SocketIOAck, SocketIOError>) -> Void

/// Acknowledgements that are awaited.
struct AcknowledgementBook {
    struct Entry {
        var completion: AcknowledgementCompletion
        var timer: UInt64
    }

    var lastID: UInt64 = 0
    var entries: [UInt64: Entry] = [:]
}

// The way out: events and acknowledgements.
extension ClientCore {
    func nextAcknowledgementID() -> UInt64 {
        acknowledgements.lastID += 1
        return acknowledgements.lastID
    }

    func emit(
        _ event: String, _ arguments: [SocketIOArgument],
        acknowledged: (id: UInt64, timeout: Duration, completion: AcknowledgementCompletion)?
    ) throws(SocketIOError) {
        guard isConnected else { throw .notConnected }
        try send(try encoder.event(event, arguments, id: acknowledged?.id))
        guard let (id, timeout, completion) = acknowledged else { return }
        let timer = loop.newIdentifier()
        acknowledgements.entries[id] = .init(completion: completion, timer: timer)
        loop.addTimer(timer, at: .now.advanced(by: timeout)) {
            self.settle(id, .failure(.acknowledgementTimedOut(timeout)))
        }
    }

    func acknowledge(_ id: UInt64, _ arguments: [SocketIOArgument]) throws(SocketIOError) {
        guard isConnected else { throw .notConnected }
        try send(try encoder.acknowledgement(arguments, id: id))
    }

    private func send(_ packet: EncodedPacket) throws(SocketIOError) {
        guard let transport = connection.transport else { throw .notConnected }
        let total = packet.attachments.reduce(packet.text.count) { $0 + $1.count }
        let limit = connection.configuration.maximumQueuedBytes
        guard packet.attachments.count <= configuration.limits.maximumAttachments else {
            throw .invalidArgument("more than \(configuration.limits.maximumAttachments) attachments in one packet")
        }
        if let limit = session.maximumPayload, limit > 0 {
            let longest = packet.attachments.reduce(packet.text.count) { max($0, $1.count) }
            guard longest <= limit else { throw .messageTooLarge(limit: limit) }
        }
        // All or nothing: a header without its attachments would break the connection.
        guard total <= limit, transport.queuedBytes <= limit - total else { throw .queueFull(limit: limit) }
        guard transport.send(packet.text, isBinary: false) else { throw .notConnected }
        for attachment in packet.attachments {
            guard transport.send(attachment, isBinary: true) else { throw .notConnected }
        }
    }

    /// An acknowledgement came, or will not come. Unknown numbers are ignored: the answer came late, or twice.
    func settle(_ id: UInt64, _ outcome: Result<SocketIOAck, SocketIOError>) {
        guard let entry = acknowledgements.entries.removeValue(forKey: id) else { return }
        loop.confined?.timers.cancel(entry.timer)
        entry.completion(outcome)
    }

    func failAcknowledgements(_ error: SocketIOError) {
        let entries = acknowledgements.entries
        acknowledgements.entries = [:]
        for entry in entries.values {
            loop.confined?.timers.cancel(entry.timer)
            entry.completion(.failure(error))
        }
    }
}
