import SocketIO

// The example of README.md, word for word; ReadmeTests compares them.

// example SocketIO
struct Remark: Codable, Sendable {
    var author: String
    var text: String
}

/// Says something to a server that answers `echo` with an event `echoed`, and returns what comes back.
func say(_ remark: Remark, to server: String, token: @escaping @Sendable () async throws -> String) async throws
    -> Remark?
{
    let loop = try RealtimeLoop()  // one thread, for any number of sockets
    defer { loop.shutdown() }
    let socket = try SocketIOSocket(server, loop: loop, offline: .keep(atMost: 100)) { _ in
        // Asked before every CONNECT, so that no old token is ever shown again.
        ["token": .string(try await token())]
    }
    socket.onState { state in print(state) }
    let heard = socket.values("echoed", as: Remark.self)
    socket.connect()
    // Sent once there is a connection. An answer is awaited for a time that is given, always.
    let sum = try await socket.emit("answer", 41, ["bytes": .binary([1, 2])], timeout: .seconds(5), as: Int.self)
    print("answered: \(sum)")
    try await socket.emit("echo", .encoding(remark))
    for await remark in heard { return remark }
    return nil
}
// end

@Sendable func readme(_ url: String) async throws {
    let answer = try await say(Remark(author: "me", text: "hello"), to: url) { "a \"quoted\" token" }
    print(answer?.text ?? "nothing")
}
