import SocketIO

@Sendable func acknowledgements(_ url: String) async throws {
    let loop = try RealtimeLoop()
    defer { loop.shutdown() }
    let socket = try SocketIOSocket(url, loop: loop, offline: .keep(atMost: 10))
    socket.answer("question") { event in [.string("\(event.values[0].string ?? "")? Yes.")] }
    socket.connect()

    let sum = try await socket.emit("answer", 42, timeout: .seconds(5), as: Int.self)
    let all = try await socket.emit("answer", "a", ["b": 2.5], timeout: .seconds(5))
    print(sum, all.values)
    do {
        _ = try await socket.emit("ignore", timeout: .milliseconds(100))
    } catch SocketIOError.acknowledgementTimedOut(let time) {
        print("no answer within \(time)")
    }
    try await socket.emit("question", "Shall we")
    socket.disconnect()
}
