import SocketIO

/// Called on the loop's thread with the event as it lies in the receive buffer.
final class Counter: SocketIODelegate {
    let done: AsyncStream<Void>.Continuation

    init(_ done: AsyncStream<Void>.Continuation) { self.done = done }

    func socketIO(_ client: SocketIOClient, received event: borrowing SocketIOEvent) {
        guard event.isNamed("echoed"), let number = event.argument(0)?.int64 else { return }
        if number == 999 { done.finish() }
    }

    func socketIO(_ client: SocketIOClient, changed state: SocketIOState) {
        guard case .connected = state else { return }
        client.assumeIsolated { client in
            for number in 0..<1000 { try? client.emit("echo", [.int(Int64(number))]) }
        }
    }
}

@Sendable func delegate(_ url: String) async throws {
    let loop = try RealtimeLoop()
    defer { loop.shutdown() }
    let (ended, done) = AsyncStream<Void>.makeStream()
    let configuration = try SocketIOClient.Configuration(url: url)
    let client = SocketIOClient(configuration: configuration, loop: loop, delegate: Counter(done))
    await client.connect()
    for await _ in ended {}
    await client.disconnect()
}
