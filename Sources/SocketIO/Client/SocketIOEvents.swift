/// What a client hears, as an asynchronous sequence: for programs that do not count nanoseconds.
///
/// ```swift
/// let loop = try RealtimeLoop()
/// let configuration = try SocketIOClient.Configuration(url: "https://example.org")
/// let events = SocketIOEvents()
/// let client = SocketIOClient(configuration: configuration, loop: loop, delegate: events)
/// await client.connect()
/// for await happening in events.stream {
///     if case .event(let event) = happening { print(event.name, event.arguments) }
/// }
/// ```
/// The stream ends when the client is finished. It holds at most `limit` happenings that nobody took yet; then the
/// oldest are dropped.
public final class SocketIOEvents: SocketIODelegate {
    /// What is heard.
    public enum Happening: Sendable, Equatable {
        /// An event of the server.
        case event(SocketIOOwnedEvent)
        /// The client stands elsewhere now.
        case state(SocketIOState)
    }

    /// What is heard, in order. For one reader.
    public let stream: AsyncStream<Happening>
    private let continuation: AsyncStream<Happening>.Continuation

    /// - Parameter limit: how many happenings may wait to be taken.
    public init(limit: Int = 10_000) {
        (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(max(1, limit)))
    }

    /// Part of ``SocketIODelegate``.
    public func socketIO(_ client: SocketIOClient, received event: borrowing SocketIOEvent) {
        continuation.yield(.event(SocketIOOwnedEvent(event)))
    }

    /// Part of ``SocketIODelegate``.
    public func socketIO(_ client: SocketIOClient, changed state: SocketIOState) {
        continuation.yield(.state(state))
        if case .disconnected(_, retryIn: nil) = state { continuation.finish() }
    }
}
