import HTTPTransfer
import SocketIO

// The examples of README.md, word for word; ReadmeTests compares them.

// example SocketIO
/// Says hello on a Socket.IO server and returns the name of the first event it hears.
func greet(server: String, namespace: String, token: @escaping @Sendable () async throws -> String) async throws
    -> String?
{
    let loop = try RealtimeLoop()
    defer { loop.shutdown() }
    var configuration = try SocketIOClient.Configuration(url: server)
    configuration.namespace = namespace
    let events = SocketIOEvents()
    let client = SocketIOClient(
        configuration: configuration, loop: loop,
        // Asked for every connect and reconnect, so that no old token is ever shown again.
        auth: { _ in Array(#"{"token":"\#(try await token())"}"#.utf8) }, delegate: events)
    await client.connect()
    for await happening in events.stream {
        switch happening {
        case .state(.connected): try await client.emit("hello", [.string("world")])
        case .state(let state): print(state)
        case .event(let event):
            await client.disconnect()
            return event.name
        }
    }
    return nil
}
// end

// example HTTPTransfer
/// Fetches a page into memory and a file onto the disk, over one connection pool.
func fetch(page: String, file: String, to path: String, token: String) async throws -> (Int, Int64) {
    let http = try HTTPTransfer()
    defer { http.shutdown() }
    let answer = try await http.perform(HTTPRequest(.get, page, bearer: token))
    // Streamed: memory does not grow with the file, and nothing stands at `path` unless all of it came.
    let download = try await http.download(HTTPRequest(.get, file, bearer: token), to: path, maximumBytes: 100_000_000)
    return (answer.status, download.bytes)
}
// end
