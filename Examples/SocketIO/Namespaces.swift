import SocketIO

@Sendable func namespaces(_ url: String) async throws {
    let loop = try RealtimeLoop()
    defer { loop.shutdown() }

    let chat = try SocketIOSocket(url, loop: loop, offline: .keep(atMost: 10))
    let room = SocketIOSocket(namespace: "/room", over: chat.connection, offline: .keep(atMost: 10)) { _ in
        ["token": "for this room only"]
    }
    chat.connect()
    room.connect()
    print(try await chat.emit("answer", "chat", timeout: .seconds(5), as: String.self))
    print(try await room.emit("answer", "room", timeout: .seconds(5), as: String.self))

    // The connection stays for the other one.
    chat.disconnect()
    print(try await room.emit("answer", "room again", timeout: .seconds(5), as: String.self))
    room.disconnect()
}
