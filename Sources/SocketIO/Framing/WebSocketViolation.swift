/// What a server did that WebSocket (RFC 6455) does not allow, or not in this measure.
public enum WebSocketViolation: Error, Equatable, Sendable {
    /// A frame with a reserved bit set; extensions, which would give it a meaning, were not agreed on.
    case reservedBits
    case reservedOpcode(UInt8)
    /// A masked frame; only clients mask.
    case maskedFrame
    /// A length of 2^63 or more, or one written with more bytes than it needs.
    case badLength
    /// A ping, pong or close frame that is not final.
    case fragmentedControlFrame
    /// A ping, pong or close frame of more than 125 bytes.
    case longControlFrame
    /// A continuation of no message.
    case unexpectedContinuation
    /// A new message inside another.
    case interruptedMessage
    /// A close frame with one byte, or with a code that may not be sent.
    case badCloseCode
    /// A text message, or the reason of a close frame, that is not UTF-8.
    case invalidUTF8
    /// Pings or pongs in a number that serves no purpose, or answers to them that the server does not take.
    case flood

    /// The code of the close frame that tells the server.
    public var closeCode: UInt16 {
        switch self {
        case .invalidUTF8: 1007
        case .flood: 1008
        default: 1002
        }
    }
}

extension WebSocketViolation: CustomStringConvertible {
    public var description: String {
        switch self {
        case .reservedBits: "a frame with reserved bits"
        case .reservedOpcode(let opcode): "a frame of the reserved kind \(opcode)"
        case .maskedFrame: "a masked frame"
        case .badLength: "a frame with an illegal length"
        case .fragmentedControlFrame: "a control frame in fragments"
        case .longControlFrame: "a control frame of more than 125 bytes"
        case .unexpectedContinuation: "a continuation of no message"
        case .interruptedMessage: "a message inside another message"
        case .badCloseCode: "a close frame with an illegal code"
        case .invalidUTF8: "text that is not UTF-8"
        case .flood: "a flood of pings"
        }
    }
}
