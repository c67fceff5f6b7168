import JSONBytes

/// Turns WebSocket messages into Engine.IO 4 and Socket.IO 5 packets.
///
/// A value: bytes in, a packet or a typed error out. What it accepts is what the official decoder
/// accepts, without that one's oddities: numbers are digits (not `1e1`, a space or a byte order mark), a
/// placeholder's number is whole and in range, a packet announced with no attachments is complete, an empty
/// frame is an error. Nothing is allocated for packets without attachments.
///
/// After an error the connection should be closed; the decoder itself stays usable and starts afresh.
public struct PacketDecoder: Sendable {
    /// What a peer may ask of us.
    public struct Limits: Sendable {
        /// One WebSocket message, bytes.
        public var maximumFrameBytes = 16 * 1024 * 1024
        /// One packet with its attachments, bytes.
        public var maximumPacketBytes = 32 * 1024 * 1024
        /// Binary attachments of one packet.
        public var maximumAttachments = 64
        /// Nested arrays and objects in JSON.
        public var maximumDepth = 64
        /// Bytes of an event's name.
        public var maximumEventNameBytes = 256

        /// The defaults.
        public init() {}
    }

    /// What a peer may ask of us.
    public var limits: Limits
    private var pending: OwnedPacket?
    private var pendingBytes = 0

    /// A decoder for one connection.
    public init(limits: Limits = .init()) {
        self.limits = limits
    }

    /// Whether a packet waits for attachments.
    public var isExpectingAttachments: Bool { pending != nil }

    /// Forgets a packet whose attachments have not all come; for a new connection.
    public mutating func reset() { pending = nil }

    /// Decodes a text message.
    /// - Returns: the packet, over `bytes`; nil if attachments must come first.
    public mutating func decode(text bytes: UnsafeRawBufferPointer) throws(PacketError) -> PacketView? {
        guard let type = bytes.first else { throw .empty }
        if type == 0x34 { return try decode(message: bytes, isUTF8: false).map { .message($0) } }
        guard bytes.count <= limits.maximumFrameBytes else {
            throw .frameTooLarge(bytes: bytes.count, limit: limits.maximumFrameBytes)
        }
        switch type {
        case 0x32: return .ping(UnsafeRawBufferPointer(rebasing: bytes[1...]))
        case 0x30: return .open(try handshake(bytes))
        case 0x31: return .close
        case 0x33: return .pong
        case 0x35: return .upgrade
        case 0x36: return .noop
        default: throw .unknownEngineType(type)
        }
    }

    /// Decodes a binary message: the next attachment of a packet.
    /// - Returns: the packet once its last attachment is there; nil before.
    public mutating func decode(binary bytes: UnsafeRawBufferPointer) throws(PacketError) -> OwnedPacket? {
        guard var packet = pending else { throw .attachmentNotExpected }
        // Taken out, not copied: appending must not duplicate what has come before.
        pending = nil
        guard bytes.count <= limits.maximumFrameBytes else {
            throw .frameTooLarge(bytes: bytes.count, limit: limits.maximumFrameBytes)
        }
        pendingBytes += bytes.count
        guard pendingBytes <= limits.maximumPacketBytes else {
            throw .packetTooLarge(limit: limits.maximumPacketBytes)
        }
        packet.attachments.append(Array(bytes))
        if packet.attachments.count == packet.header.attachments { return packet }
        pending = packet
        return nil
    }

    /// Decodes a text message that begins with `4`; nil if attachments must come first.
    /// - Parameters:
    ///   - isUTF8: whether that is known already.
    ///   - notes: where the members of an event's first argument are noted, for the view that is returned.
    @inline(__always)
    mutating func decode(
        message bytes: UnsafeRawBufferPointer, isUTF8: Bool, notes: JSONNotes? = nil
    ) throws(PacketError) -> SocketPacketView? {
        guard bytes.count <= limits.maximumFrameBytes else {
            throw .frameTooLarge(bytes: bytes.count, limit: limits.maximumFrameBytes)
        }
        guard pending == nil else {
            pending = nil
            throw .textWhileAttachmentsExpected
        }
        let header = try SocketHeader(bytes, limits: limits, isUTF8: isUTF8, notes: notes)
        if header.attachments == 0 { return header.view(of: bytes, attachments: nil, notes: notes) }
        pending = OwnedPacket(header: header, text: Array(bytes))
        pendingBytes = bytes.count
        return nil
    }

    private func handshake(_ bytes: UnsafeRawBufferPointer) throws(PacketError) -> EngineHandshake {
        let end: Int
        do {
            end = try JSONBytes.validate(bytes, from: 1, maximumDepth: limits.maximumDepth)
        } catch {
            throw .invalidJSON(error)
        }
        try requireOnlySpace(bytes, from: end)
        return try EngineHandshake(JSONView(validated: bytes, start: 1, end: end))
    }
}

@inline(__always)
func requireOnlySpace(_ bytes: UnsafeRawBufferPointer, from start: Int) throws(PacketError) {
    var offset = start
    while offset < bytes.count {
        switch bytes[offset] {
        case 0x20, 0x09, 0x0A, 0x0D: offset += 1
        default: throw .trailingBytes(offset: offset)
        }
    }
}
