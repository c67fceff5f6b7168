import Foundation
import SocketIO

struct Picture: Codable, Sendable {
    var name: String
    var data: Data
}

@Sendable func binary(_ url: String) async throws {
    let loop = try RealtimeLoop()
    defer { loop.shutdown() }
    let socket = try SocketIOSocket(url, loop: loop, offline: .keep(atMost: 10))
    socket.connect()

    let sent = Picture(name: "dot", data: Data([137, 80, 78, 71]))
    let picture = try await socket.emit("answer", .encoding(sent), timeout: .seconds(5), as: Picture.self)
    print(picture.name, picture.data.count)
    let raw = try await socket.emit("answer", .bytes([1, 2, 3]), ["inside": .binary([4])], timeout: .seconds(5))
    print(raw.values[0].bytes ?? [], raw.values[1]["inside"]?.bytes ?? [])
    socket.disconnect()
}
