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
    public let configuration: SocketIOClient.Configuration
    public let loop: RealtimeLoop
    // Touched by its clients only, which run on the loop.
    nonisolated(unsafe) let engine: EngineConnection

    public init(configuration: SocketIOClient.Configuration, loop: RealtimeLoop) {
        self.configuration = configuration
        self.loop = loop
        engine = EngineConnection(configuration: configuration, loop: loop)
    }
}
