import JSONBytes

/// An event as it lies in the received bytes. It cannot be kept: copy what is needed.
public struct SocketIOEvent: ~Copyable {
    @usableFromInline let packet: SocketPacketView
    // The event exists only while the core delivers it.
    unowned(unsafe) let core: ClientCore

    @inline(__always)
    init(_ packet: SocketPacketView, _ core: ClientCore) {
        self.packet = packet
        self.core = core
    }

    /// The event's name: a string, or a number.
    public var name: JSONView {
        packet.elements.first(in: packet.text) ?? JSONView(validated: packet.text, start: 0, end: 0)
    }

    /// Whether the event has this name; allocates nothing.
    @inlinable @inline(__always)
    public func isNamed(_ name: StaticString) -> Bool {
        guard let own = packet.elements.first(in: packet.text) else { return false }
        return own.isPlain ? own.equals(plain: name) : own.equals(name)
    }

    /// The arguments after the name. If the server offers connection state recovery, the last one is its offset.
    public var argumentCount: Int { max(0, packet.elements.count - 1) }

    /// An argument, from 0; nil if there is none of that number. The first and the last are at hand, others are
    /// walked to.
    @inlinable @inline(__always)
    public func argument(_ index: Int) -> JSONView? {
        index == 0 ? packet.elements.second(in: packet.text) : laterArgument(index)
    }

    @usableFromInline
    func laterArgument(_ index: Int) -> JSONView? {
        guard let payload = packet.payload, index >= 0, index < argumentCount else { return nil }
        return packet.elements.element(index + 1, of: payload, in: packet.text)
    }

    /// The members of the first argument, if it is an object; noted while the packet was validated, so that going through
    /// them costs no second walk. nil: there is none, or it has more than are noted, or the packet waited for attachments;
    /// go through ``argument(_:)`` then.
    @inlinable public var members: JSONMembers? { packet.members }

    /// The whole packet's data: an array of the name and the arguments.
    public var arguments: JSONView? { packet.payload }

    /// The binary attachments.
    public var attachments: [[UInt8]] { packet.attachments }

    /// The attachment that `argument` stands for; nil if it stands for none.
    public func attachment(for argument: JSONView) -> [UInt8]? {
        guard argument.kind == .object, argument.isPlaceholder, let number = argument.placeholderNumber,
            packet.attachments.indices.contains(number)
        else { return nil }
        return packet.attachments[number]
    }

    /// The number under which the server awaits an acknowledgement; nil: it does not.
    public var acknowledgementID: UInt64? { packet.id }

    /// Answers the server at once. Does nothing if the server did not ask.
    /// - Throws: ``SocketIOError`` if the arguments are broken or the queue is full.
    public func acknowledge(_ arguments: [SocketIOArgument]) throws(SocketIOError) {
        guard let id = packet.id else { return }
        try core.acknowledge(id, arguments)
    }

    /// A way to answer the server later, from anywhere; nil: it did not ask.
    public var acknowledgement: SocketIOAcknowledgement? {
        guard let id = packet.id, let client = core.client else { return nil }
        return SocketIOAcknowledgement(client: client, id: id, connection: core.connectionNumber)
    }
}

/// An event with its own copy of everything, to be kept.
public struct SocketIOOwnedEvent: Sendable, Equatable {
    /// The name; a number in its JSON form.
    public let name: String
    /// JSON text of the array of the name and the arguments.
    public let json: [UInt8]
    /// The binary attachments, in the order of their numbers.
    public let attachments: [[UInt8]]
    /// The way to answer, if the server asked.
    public let acknowledgement: SocketIOAcknowledgement?

    /// Copies an event.
    public init(_ event: borrowing SocketIOEvent) {
        name = event.name.string ?? String(decoding: event.name.rawBytes, as: UTF8.self)
        json = event.arguments.map { Array($0.rawBytes) } ?? []
        attachments = event.attachments
        acknowledgement = event.acknowledgement
    }

    /// The arguments as parsed JSON; binary ones as their placeholders.
    public var arguments: [JSONValue] {
        guard case .array(let values)? = try? JSONValue(parsing: json) else { return [] }
        return Array(values.dropFirst())
    }

    /// The same content; the way to answer counts by its number.
    public static func == (left: Self, right: Self) -> Bool {
        left.json == right.json && left.attachments == right.attachments
            && left.acknowledgement?.id == right.acknowledgement?.id
    }
}

/// The right to answer one event.
public struct SocketIOAcknowledgement: Sendable {
    let client: SocketIOClient
    let id: UInt64
    let connection: UInt64

    /// Answers the server. The server takes the first answer only.
    /// - Throws: ``SocketIOError/notConnected`` if the connection the event came on is gone.
    public func send(_ arguments: [SocketIOArgument]) async throws(SocketIOError) {
        try await client.acknowledge(id, connection: connection, arguments)
    }
}

/// The server's answer to an emitted event.
public struct SocketIOAck: Sendable, Equatable {
    /// JSON text of the array of arguments.
    public var arguments: [UInt8]
    /// The binary attachments, in the order of their numbers.
    public var attachments: [[UInt8]]

    /// The arguments as a view, valid inside `body`.
    public func withArguments<Result>(_ body: (JSONView) throws -> Result) rethrows -> Result {
        try arguments.withUnsafeBytes { try body(JSONView(validated: $0, start: 0, end: $0.count)) }
    }
}
