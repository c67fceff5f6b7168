/// What the gateway answered to a delivery.
public enum DeliveryAnswer: Sendable, Equatable {
    /// It has it and will settle it.
    case taken
    /// It is safe there.
    case adopted
    /// It is safe there and its turn is over.
    case finished
}

/// What the gateway reports about a delivery later.
public enum DeliveryOutcome: Sendable, Equatable {
    case adopted
    case finished
    case failed
}

/// The gateway, as the plugin sees it. Every call must return promptly. A class: a box for a value of unknown size would be
/// opened for every message.
public protocol GatewayPort: AnyObject, Sendable {
    /// A message for an agent: the delivery object of `gateway_channel.h`. The bytes are good for the call only. Called
    /// on the realtime loop, in order per account and conversation.
    func deliver(_ delivery: UnsafeRawBufferPointer) -> DeliveryAnswer

    /// An account's status changed; JSON text. Called on the realtime loop.
    func accountChanged(_ status: [UInt8])

    /// Whether ``passing(_:)`` is of use.
    var hearsPassing: Bool { get }

    /// Something that is true for the moment only: who types, who is there; JSON text. Called on the realtime loop.
    func passing(_ event: [UInt8])
}

extension GatewayPort {
    public var hearsPassing: Bool { false }
    public func passing(_ event: [UInt8]) {}
}

/// How a request to the plugin ended.
public struct RequestResult: Sendable {
    /// The codes of the C header.
    public enum Code: Sendable {
        case ok, invalid, failed, unavailable, shutDown
    }
    public var code: Code
    /// JSON text.
    public var json: [UInt8]

    public init(_ code: Code, _ json: [UInt8]) {
        self.code = code
        self.json = json
    }
}
