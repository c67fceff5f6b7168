import SocketIO

struct Message: Codable, Sendable {
    var author: String
    var text: String
}

@Sendable func gettingStarted(_ url: String) async throws {
    let loop = try RealtimeLoop()
    defer { loop.shutdown() }

    let socket = try SocketIOSocket(url, loop: loop, offline: .keep(atMost: 100))
    socket.on("echoed", as: Message.self) { message in print("\(message.author): \(message.text)") }
    socket.onState { state in print(state) }
    let echoed = socket.events("echoed")
    socket.connect()

    try await socket.emit("echo", .encoding(Message(author: "me", text: "hello")))
    for await event in echoed {
        print(event.values[0]["text"]?.string ?? "")
        break
    }
    socket.disconnect()
}
