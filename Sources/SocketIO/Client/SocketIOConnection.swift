/// A WebSocket that clients of several namespaces share.
///
/// ```swift
/// let connection = SocketIOConnection(configuration: try .init(url: "https://chat.example"), loop: loop)
/// let news = SocketIOSocket(namespace: "/news", over: connection)
/// let admin = SocketIOSocket(namespace: "/admin", over: connection) { _ in ["token": "…"] }
/// ```
/// It is opened when the first of them connects and closed when the last one disconnects. Each has its own credentials,
/// state, acknowledgements and backoff: a namespace that refuses, or disconnects its client, leaves the others alone.
/// When the connection is lost all of them reconnect, over one new connection. Every
/// ``SocketIOSocket`` and ``SocketIOClient`` has one, which others can join.
public final class SocketIOConnection: Sendable {
    /// Whom to connect to, and how. Its `namespace` is that of clients that name none.
    public var configuration: SocketIOClient.Configuration { shared.value }
    let shared: SharedConfiguration
    /// The thread that its clients run on.
    public let loop: RealtimeLoop
    // Touched by its clients only, which run on the loop.
    nonisolated(unsafe) let engine: EngineConnection

    /// A connection that is opened when its first client connects.
    public init(configuration: SocketIOClient.Configuration, loop: RealtimeLoop) {
        shared = SharedConfiguration(configuration)
        self.loop = loop
        engine = EngineConnection(configuration: shared, loop: loop)
    }
}

/// A configuration that several objects hold: it is 300 bytes long, and there may be ten thousand of them.
final class SharedConfiguration: Sendable {
    let value: SocketIOClient.Configuration

    init(_ value: SocketIOClient.Configuration) { self.value = value }
}
