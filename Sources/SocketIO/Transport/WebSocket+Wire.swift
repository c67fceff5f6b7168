import CLibWebSocketsShims

// The open connection: reading and writing.
extension WebSocket {
    /// Reads at a time, so that one connection does not keep the others waiting.
    private static let readsPerTurn = 16
    /// A message of which less is missing is not worth a read of its own.
    private static let leastDirectBytes = 4096
    /// What a peer may still send while the connection closes.
    private static let mostDiscarded = 1 << 20

    func ready(mayRead: Bool, mayWrite: Bool) {
        // A TLS session may have waited to write before it can read, and the other way round.
        if mayWrite || isWaitingToWrite { flush() }
        if mayRead || mayWrite { read() }
    }

    // MARK: In

    func read() {
        guard let state = loop.confined else { return }
        for _ in 0..<Self.readsPerTurn {
            guard let link, stage != .ended else { return }
            let direct = stage == .open ? framing.directSpace(least: Self.leastDirectBytes) : nil
            let space = direct ?? room(in: state)
            let count = clws_link_read(link, space.baseAddress, space.count)
            guard count > 0 else { return readEnded(count) }
            if direct == nil {
                receive(UnsafeRawBufferPointer(rebasing: space[..<count]))
            } else {
                framing.readDirectly(count)
                receiveFrames(UnsafeRawBufferPointer(start: nil, count: 0))
            }
            // The system had no more; what comes later it will tell. `link` may be gone by now.
            guard let link = self.link else { return }
            if count < space.count, clws_link_pending(link) == 0 { return }
        }
        // Bytes that TLS holds decrypted are not announced again.
        if let link, clws_link_pending(link) != 0 { state.unread.append(number) }
    }

    /// Where to read to. After a long message another one is to be expected: of it only the beginning is read here, and the
    /// rest, in `directSpace`, to where it is to lie.
    private func room(in state: LoopState) -> UnsafeMutableRawBufferPointer {
        guard framing.wasLong else { return state.receiveBuffer }
        return UnsafeMutableRawBufferPointer(rebasing: state.receiveBuffer[..<Self.leastDirectBytes])
    }

    private func readEnded(_ outcome: Int) {
        guard outcome != CLWS_WOULD_BLOCK else { return }
        switch stage {
        case .upgrading:
            let words = "the server hung up before it answered the WebSocket upgrade"
            finish(.failed(.upgrade, words: words, status: nil))
        default: finish(end ?? .closed(code: nil, reason: ""))
        }
    }

    private func receive(_ bytes: UnsafeRawBufferPointer) {
        switch stage {
        case .upgrading: receiveAnswer(bytes)
        case .open: receiveFrames(bytes)
        case .closing: receiveWhileClosing(bytes)
        default: return
        }
    }

    func receiveFrames(_ bytes: UnsafeRawBufferPointer) {
        var at = 0
        // Held once for all messages of a read. Who takes it away closes the connection, which ends the loop.
        let handler = self.handler
        while stage == .open, let event = framing.next(bytes, &at) {
            switch event {
            case .message(let message, let isBinary): handler?.webSocketReceived(message, isBinary: isBinary)
            case .ping(let payload): received(ping: payload)
            case .pong: if !admitsControlFrame() { failFlooded() }
            case .close(let code, let reason):
                let words = String(decoding: reason, as: UTF8.self)
                startClosing(code: code, reason: "", end: .closed(code: code, reason: words))
            case .violation(let violation): fail(code: violation.closeCode, .violated(violation))
            case .tooLarge: fail(code: 1009, .messageTooLarge(limit: request.maximumMessageBytes))
            }
        }
        if stage == .closing { receiveWhileClosing(UnsafeRawBufferPointer(rebasing: bytes[at...])) }
    }

    private func received(ping payload: UnsafeRawBufferPointer) {
        guard admitsControlFrame(), outgoing.count <= request.maximumQueuedBytes else { return failFlooded() }
        add(OutgoingFrames.pong, payload)
    }

    private func admitsControlFrame() -> Bool {
        guard let now = loop.confined?.now else { return false }
        return flood.admits(at: now)
    }

    private func failFlooded() {
        fail(code: WebSocketViolation.flood.closeCode, .violated(.flood))
    }

    /// Only the peer's close frame is of interest, and not even that if the end is known.
    private func receiveWhileClosing(_ bytes: UnsafeRawBufferPointer) {
        discarded += bytes.count
        guard discarded <= Self.mostDiscarded else { return finish(.closed(code: nil, reason: "")) }
        var at = 0
        while end == nil, let event = framing.next(bytes, &at) {
            guard case .close(let code, let reason) = event else { continue }
            end = .closed(code: code, reason: String(decoding: reason, as: UTF8.self))
        }
    }

    // MARK: Out

    func add(_ opcode: UInt8, _ payload: UnsafeRawBufferPointer) {
        outgoing.add(opcode, payload, mask: loop.confined?.nextMask() ?? 0)
        flushSoon()
    }

    /// Everything that is sent in a turn of the loop goes out together, at its end.
    func flushSoon() {
        guard !isToBeFlushed, !isWaitingToWrite, let state = loop.confined else { return }
        isToBeFlushed = true
        state.toFlush.append(self)
        loop.ensureTurn()
    }

    func flush() {
        isToBeFlushed = false
        guard let link, let state = loop.confined else { return }
        var isBlocked = false
        while outgoing.count > 0, !isBlocked {
            let written = outgoing.withBytes { clws_link_write(link, $0.baseAddress, $0.count) }
            if written > 0 {
                outgoing.wrote(written)
            } else if written == CLWS_WOULD_BLOCK {
                isBlocked = true
            } else {
                return readEnded(written)
            }
        }
        if isBlocked != isWaitingToWrite {
            isWaitingToWrite = isBlocked
            _ = clws_link_watch_writing(state.library, link, number, isBlocked ? 1 : 0)
        }
    }
}
