import SocketIO

actor Tokens {
    private var number = 0

    /// Stands for a request to whoever gives out tokens.
    func fresh() async throws -> String {
        number += 1
        return number == 1 ? "refused" : "token \"\(number)\""
    }
}

@Sendable func authentication(_ url: String) async throws {
    let loop = try RealtimeLoop()
    defer { loop.shutdown() }
    let tokens = Tokens()

    let socket = try SocketIOSocket(url, loop: loop) { attempt in
        ["token": .string(try await tokens.fresh()), "attempt": .int(Int64(attempt))]
    } configure: {
        $0.backoff.initial = .milliseconds(50)
    }
    let states = socket.states()
    socket.connect()
    for await state in states {
        switch state {
        case .disconnected(let reason, let retryIn):
            print("\(reason); again in \(retryIn.map { "\($0)" } ?? "no time")")
        case .connected:
            socket.disconnect()
            return
        case .idle, .connecting: continue
        }
    }
}
