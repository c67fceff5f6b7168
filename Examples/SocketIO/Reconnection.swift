import SocketIO

@Sendable func reconnection(_ url: String) async throws {
    let loop = try RealtimeLoop()
    defer { loop.shutdown() }

    let socket = try SocketIOSocket(
        url, loop: loop,
        configure: {
            $0.backoff.initial = .milliseconds(100)
            $0.backoff.maximum = .seconds(20)
        })
    let states = socket.states()
    socket.connect()
    var connections = 0
    for await state in states {
        switch state {
        case .connected:
            connections += 1
            if connections == 1 {
                // The server drops us; the client comes again by itself.
                try await socket.emit("leave")
            } else {
                socket.disconnect()
            }
        case .disconnected(let reason, retryIn: .some(let delay)): print("\(reason), again in \(delay)")
        case .disconnected(let reason, retryIn: nil):
            print("over: \(reason)")
            return
        case .idle, .connecting: continue
        }
    }
}
