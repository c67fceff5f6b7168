import CByteScan

/// What a server's bytes mean (RFC 6455, section 5): bytes in, in pieces of any size; messages, control frames and
/// violations out.
///
/// A message that lies whole in a piece is handed on where it lies; others are joined in a room borrowed from the loop.
/// Text is checked to be UTF-8, once, over the whole message. After a violation or a message that is too large nothing
/// more is read.
struct WebSocketFraming: ~Copyable {
    /// Bytes in an event are valid until the next call.
    enum Event {
        case message(UnsafeRawBufferPointer, isBinary: Bool)
        case ping(UnsafeRawBufferPointer)
        case pong
        case close(code: UInt16?, reason: UnsafeRawBufferPointer)
        case violation(WebSocketViolation)
        /// The message is longer than allowed, or announced to be; or there is no memory for it.
        case tooLarge
    }

    private let maximumMessageBytes: Int
    private let shelf: RoomShelf
    private var room: ByteRoom?
    /// Head bytes of a frame that did not come in one piece.
    private var partialHead: [UInt8] = []
    /// Payload of a control frame that did not come in one piece; it may come between the fragments of a message.
    private var partialControl: [UInt8] = []
    private var frame: FrameHead?
    /// Payload of `frame` that is still to come.
    private var left = 0
    /// 1 (text) or 2 (binary) inside a message, else 0.
    private var messageOpcode: UInt8 = 0
    private var isJoining = false
    /// What was last handed out lies in `room` or `partialControl`.
    private var isHandedOut = false
    private var isOver = false
    /// The last message was a long one, in pieces. The next one may be as long.
    private(set) var wasLong = false
    /// What makes a message long. Bytes.
    private static let long = 32 * 1024

    init(maximumMessageBytes: Int, shelf: RoomShelf) {
        self.maximumMessageBytes = max(0, maximumMessageBytes)
        self.shelf = shelf
    }

    deinit {
        if let room { shelf.putBack(room) }
    }

    /// The next event in `bytes` from `at` on, which moves; nil: all of them are used up.
    mutating func next(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> Event? {
        if isHandedOut { takeBack() }
        while !isOver {
            if frame == nil {
                do throws(WebSocketViolation) {
                    guard let head = try readHead(bytes, &at) else { return nil }
                    if let event = try begin(head) { return event }
                } catch {
                    return end(with: .violation(error))
                }
            }
            guard let frame else { continue }
            let available = min(left, bytes.count - at)
            let piece = UnsafeRawBufferPointer(rebasing: bytes[at..<at + available])
            if frame.isControl {
                guard let event = control(frame, piece, &at) else { return nil }
                return event
            }
            if available == left, frame.isFinal, !isJoining {
                at += available
                return message(piece)
            }
            guard available > 0 || left == 0 else { return nil }
            if let event = join(piece) { return event }
            at += available
            if left == 0, let event = frameEnded(frame) { return event }
        }
        at = bytes.count
        return nil
    }

    /// Where the rest of a large payload can be read to without a detour; nil: read elsewhere and call ``next(_:_:)``.
    /// - Parameter least: bytes that make it worth while.
    mutating func directSpace(least: Int) -> UnsafeMutableRawBufferPointer? {
        guard !isOver, !isHandedOut, isJoining, let frame, !frame.isControl, left >= least, let room else { return nil }
        return room.space(left, of: room.count + left)
    }

    /// `count` bytes were read into ``directSpace(least:)``; then ``next(_:_:)`` tells what they completed.
    mutating func readDirectly(_ count: Int) {
        guard count > 0, count <= left else { return }
        room?.grew(by: count)
        left -= count
    }

    // MARK: Frames

    @inline(__always)
    private mutating func readHead(
        _ bytes: UnsafeRawBufferPointer, _ at: inout Int
    ) throws(WebSocketViolation) -> FrameHead? {
        let available = bytes.count - at
        if partialHead.isEmpty, available >= 2 {
            let size = FrameHead.size(second: bytes[at + 1])
            if available >= size {
                let head = try FrameHead(bytes, at: at)
                at += size
                return head
            }
        }
        return try collectHead(bytes, &at)
    }

    private mutating func collectHead(
        _ bytes: UnsafeRawBufferPointer, _ at: inout Int
    ) throws(WebSocketViolation) -> FrameHead? {
        while at < bytes.count {
            partialHead.append(bytes[at])
            at += 1
            guard partialHead.count >= 2, partialHead.count == FrameHead.size(second: partialHead[1]) else { continue }
            let outcome = partialHead.withUnsafeBytes { bytes -> Result<FrameHead, WebSocketViolation> in
                do throws(WebSocketViolation) {
                    return .success(try FrameHead(bytes, at: 0))
                } catch {
                    return .failure(error)
                }
            }
            partialHead.removeAll(keepingCapacity: true)
            return try outcome.get()
        }
        return nil
    }

    @inline(__always)
    private mutating func begin(_ head: FrameHead) throws(WebSocketViolation) -> Event? {
        if !head.isControl {
            if head.opcode == 0 {
                guard messageOpcode != 0 else { throw .unexpectedContinuation }
            } else {
                guard messageOpcode == 0 else { throw .interruptedMessage }
                messageOpcode = head.opcode
            }
            let before = isJoining ? room?.count ?? 0 : 0
            guard head.length <= maximumMessageBytes, before <= maximumMessageBytes - head.length else {
                return end(with: .tooLarge)
            }
        }
        frame = head
        left = head.length
        return nil
    }

    /// The end of a data frame; an event if it is the end of the message.
    private mutating func frameEnded(_ ended: FrameHead) -> Event? {
        guard ended.isFinal else {
            frame = nil
            return nil
        }
        return message(room?.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0))
    }

    @inline(__always)
    private mutating func message(_ bytes: UnsafeRawBufferPointer) -> Event {
        let isBinary = messageOpcode == 2
        frame = nil
        left = 0
        messageOpcode = 0
        isHandedOut = isJoining
        wasLong = isJoining && bytes.count >= Self.long
        guard isBinary || bytes.isUTF8 else { return end(with: .violation(.invalidUTF8)) }
        return .message(bytes, isBinary: isBinary)
    }

    private mutating func join(_ piece: UnsafeRawBufferPointer) -> Event? {
        let room = self.room ?? shelf.take()
        if !isJoining { room.removeAll() }
        self.room = room
        isJoining = true
        guard room.append(piece, of: room.count + left) else { return end(with: .tooLarge) }
        left -= piece.count
        return nil
    }

    // MARK: Control frames

    private mutating func control(_ head: FrameHead, _ piece: UnsafeRawBufferPointer, _ at: inout Int) -> Event? {
        at += piece.count
        left -= piece.count
        if left == 0, partialControl.isEmpty {
            frame = nil
            return controlEvent(head.opcode, piece)
        }
        partialControl += piece
        guard left == 0 else { return nil }
        frame = nil
        isHandedOut = true
        // Not changed before the next call, which is how long the event holds.
        return partialControl.withUnsafeBytes { controlEvent(head.opcode, $0) }
    }

    private mutating func controlEvent(_ opcode: UInt8, _ payload: UnsafeRawBufferPointer) -> Event {
        switch opcode {
        case 0x9: return .ping(payload)
        case 0xA: return .pong
        default: break
        }
        // Nothing may follow a close frame.
        isOver = true
        guard !payload.isEmpty else { return .close(code: nil, reason: payload) }
        guard payload.count >= 2 else { return .violation(.badCloseCode) }
        let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
        guard Self.mayBeSent(code) else { return .violation(.badCloseCode) }
        let reason = UnsafeRawBufferPointer(rebasing: payload[2...])
        guard reason.isUTF8 else { return .violation(.invalidUTF8) }
        return .close(code: code, reason: reason)
    }

    /// Of the codes below 3000 only those that are registered, and not those that only stand for something locally.
    private static func mayBeSent(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    // MARK: Ends

    private mutating func takeBack() {
        isHandedOut = false
        partialControl.removeAll(keepingCapacity: true)
        guard messageOpcode == 0, isJoining else { return }
        isJoining = false
        if let room {
            shelf.putBack(room)
            self.room = nil
        }
    }

    private mutating func end(with event: Event) -> Event {
        isOver = true
        return event
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these bytes are UTF-8.
    @inline(__always)
    var isUTF8: Bool {
        guard let baseAddress, byte_scan_is_ascii(baseAddress, count) == 0 else { return true }
        return withMemoryRebound(to: UInt8.self) { (try? UTF8Span(validating: $0.span)) != nil }
    }
}
