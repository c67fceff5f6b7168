import FoundationEssentials

// What happened, in words for whoever reads a log or a dialogue.

extension SocketIOError: CustomStringConvertible, LocalizedError {
    public var description: String {
        switch self {
        case .notConnected: "not connected"
        case .queueFull(let limit): "more than \(limit) bytes wait to be sent; the server or the network is slow"
        case .bufferFull(let limit): "not connected, and \(limit) events wait for the connection already"
        case .streamOverflow(let limit):
            "a stream is read too slowly: the oldest of more than \(limit) events that waited were dropped"
        case .invalidArgument(let words): words
        case .unexpectedValue(let words): "unexpected data: \(words)"
        case .messageTooLarge(let limit): "a message of more than the \(limit) bytes the server takes"
        case .acknowledgementTimedOut(let time): "no acknowledgement within \(time)"
        case .disconnected(let reason):
            "the connection ended before the acknowledgement came (\(reason)); whether the server saw the event is unknown"
        case .cancelled: "cancelled"
        }
    }

    public var errorDescription: String? { description }
}

extension SocketIODisconnect: LocalizedError {
    public var errorDescription: String? { description }
}

extension RealtimeLoop.SetupError: LocalizedError {
    public var errorDescription: String? { description }
}

extension WebSocketViolation: LocalizedError {
    public var errorDescription: String? { "the server sent " + description }
}

extension PacketError: CustomStringConvertible, LocalizedError {
    public var description: String {
        switch self {
        case .empty: "an empty packet"
        case .frameTooLarge(let bytes, let limit): "a message of \(bytes) bytes, more than \(limit)"
        case .packetTooLarge(let limit): "a packet whose attachments have more than \(limit) bytes"
        case .unknownEngineType(let byte): "no Engine.IO packet type (first byte \(byte))"
        case .invalidHandshake(let field): "an open packet without a usable \(field)"
        case .unknownType(let byte): "no Socket.IO packet type (byte \(byte))"
        case .illegalAttachmentCount: "a binary packet without a number of attachments"
        case .tooManyAttachments(let limit): "a packet with more than \(limit) attachments"
        case .illegalNamespace: "a namespace that is not UTF-8 or is too long"
        case .identifierOutOfRange: "an acknowledgement number beyond 64 bits"
        case .invalidJSON(let error): "broken JSON: \(error)"
        case .trailingBytes(let offset): "more bytes after its data (offset \(offset))"
        case .illegalPayload(let kind): "data that a packet of kind \(kind.rawValue) cannot have"
        case .reservedEventName: "an event with a reserved name"
        case .eventNameTooLong(let limit): "an event name of more than \(limit) bytes"
        case .illegalPlaceholder: "a placeholder for an attachment that does not exist"
        case .textWhileAttachmentsExpected: "text where attachments were due"
        case .attachmentNotExpected: "an attachment that no packet announced"
        }
    }

    public var errorDescription: String? { description }
}
