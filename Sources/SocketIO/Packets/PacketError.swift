import JSONBytes

/// Why received bytes are not a packet.
public enum PacketError: Error, Equatable, Sendable {
    /// A frame without any byte.
    case empty
    /// A frame longer than ``PacketDecoder/Limits/maximumFrameBytes``.
    case frameTooLarge(bytes: Int, limit: Int)
    /// A packet whose header and attachments together exceed ``PacketDecoder/Limits/maximumPacketBytes``.
    case packetTooLarge(limit: Int)
    /// First byte of the frame is no Engine.IO packet type.
    case unknownEngineType(UInt8)
    /// The `open` packet lacks a usable value for this field.
    case invalidHandshake(field: String)
    /// No Socket.IO packet type where one must be.
    case unknownType(UInt8)
    /// A binary packet without a number of attachments in digits followed by `-`.
    case illegalAttachmentCount
    case tooManyAttachments(limit: Int)
    /// A namespace that is not UTF-8 or longer than 512 bytes.
    case illegalNamespace
    /// An acknowledgement number beyond 64 bits.
    case identifierOutOfRange
    /// Where JSON must begin there is none, or it is broken.
    case invalidJSON(JSONSyntaxError)
    /// Something follows the JSON value at this offset.
    case trailingBytes(offset: Int)
    /// The JSON value has not the form this kind of packet demands.
    case illegalPayload(SocketPacketKind)
    /// An event with a name that only the client itself may use.
    case reservedEventName
    case eventNameTooLong(limit: Int)
    /// A placeholder that names no attachment of the packet.
    case illegalPlaceholder
    /// A text packet while attachments are still to come.
    case textWhileAttachmentsExpected
    /// A binary frame that no packet announced.
    case attachmentNotExpected
}

/// The kinds of Socket.IO packets; binary events and acknowledgements appear as events and acknowledgements.
public enum SocketPacketKind: String, Sendable {
    case connect, disconnect, event, acknowledgement, connectError
}
