import Glibc
import JSONBytes

/// A packet as it lies in the received bytes; valid only while those are.
public enum PacketView {
    case open(EngineHandshake)
    case close
    /// With what follows the type, such as `probe`.
    case ping(UnsafeRawBufferPointer)
    case pong
    case upgrade
    case noop
    case message(SocketPacketView)
}

/// A Socket.IO packet as it lies in the received bytes; valid only while those are.
public struct SocketPacketView {
    /// What kind of packet it is.
    public var kind: SocketPacketKind
    /// Empty for the main namespace, else beginning with `/`. UTF-8.
    public var namespace: UnsafeRawBufferPointer
    /// The acknowledgement asked for (event) or given (acknowledgement).
    public var id: UInt64?
    /// Validated JSON; nil if the packet has no data.
    public var payload: JSONView?
    /// Where the elements of an array payload lie in `text`.
    @usableFromInline let elements: PayloadElements
    /// Of the first argument, if it is an object and they were noted.
    @usableFromInline let members: JSONMembers?
    @usableFromInline let text: UnsafeRawBufferPointer
    /// A pointer, so that no references are counted where a view is passed on.
    let attached: UnsafePointer<[[UInt8]]>?
    /// The binary attachments, in the order of their numbers.
    public var attachments: [[UInt8]] { attached?.pointee ?? [] }

    /// Whether the packet belongs to a namespace, given as it stands here.
    @inline(__always)
    func isIn(namespace name: [UInt8]) -> Bool {
        guard namespace.count == name.count else { return false }
        guard let start = namespace.baseAddress else { return true }
        return name.withUnsafeBytes { memcmp(start, $0.baseAddress ?? start, name.count) == 0 }
    }
}

/// A packet with its own copy of the bytes.
public struct OwnedPacket: Sendable {
    let header: SocketHeader
    let text: [UInt8]
    /// The binary attachments, in the order of their numbers.
    public internal(set) var attachments: [[UInt8]] = []

    /// The packet as a view, valid inside `body`.
    public func withView<Result>(_ body: (SocketPacketView) throws -> Result) rethrows -> Result {
        try withUnsafePointer(to: attachments) { attachments in
            try text.withUnsafeBytes { try body(header.view(of: $0, attachments: attachments)) }
        }
    }
}

/// The server's first packet: who we are to it and how it keeps the connection alive.
public struct EngineHandshake: Sendable, Equatable {
    /// Engine.IO's own session id, not the Socket.IO one.
    public var sessionID: String
    /// The server sends a ping every so often.
    public var pingInterval: Duration
    /// How long the server waits for our answer.
    public var pingTimeout: Duration
    /// Largest packet the server takes, if it says so. Bytes.
    public var maximumPayload: Int?

    init(_ json: JSONView) throws(PacketError) {
        guard json.kind == .object else { throw .invalidHandshake(field: "the whole") }
        guard let sid = json["sid"]?.string, !sid.isEmpty, sid.utf8.count <= 256 else {
            throw .invalidHandshake(field: "sid")
        }
        sessionID = sid
        pingInterval = try Self.milliseconds(json, "pingInterval")
        pingTimeout = try Self.milliseconds(json, "pingTimeout")
        maximumPayload = json["maxPayload"]?.int64.flatMap { Int(exactly: $0) }
    }

    private static func milliseconds(_ json: JSONView, _ field: String) throws(PacketError) -> Duration {
        // A day is far beyond any server's setting and keeps sums of durations harmless.
        guard let value = json[field], value.kind == .number, let number = value.double, number > 0,
            number <= 86_400_000
        else { throw .invalidHandshake(field: field) }
        return .milliseconds(Int64(number.rounded(.up)))
    }
}
