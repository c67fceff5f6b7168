import Foundation
import Testing

@testable import SocketIO

@Suite(.serialized, .timeLimit(.minutes(5)))
struct ManyClientsTests {
    @Test func hundredsOfClientsOnOneThread() async throws {
        let server = try await Server("conformance.py")
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let recorder = Recorder()
        let configuration = try SocketIOClient.Configuration(url: "http://localhost:\(server.port)")
        let clients = (0..<300).map { _ in
            SocketIOClient(configuration: configuration, loop: loop, delegate: recorder)
        }
        let threads = try LoopTests.threads().filter { $0 == "realtime" || $0 == "resolve" }.count
        for client in clients { await client.connect() }
        for _ in clients { _ = try await recorder.connected(within: .seconds(60)) }
        #expect(try LoopTests.threads().filter { $0 == "realtime" || $0 == "resolve" }.count <= threads + 4)
        for (number, client) in clients.enumerated() { try await client.emit("echo", [.int(Int64(number))]) }
        var heard: Set<String> = []
        for _ in clients { heard.insert(try await recorder.event("echoed", within: .seconds(60))) }
        #expect(heard == Set((0..<300).map { "[\"echoed\",\($0)]" }))
    }

    @Test func theStreamOfHappenings() async throws {
        let server = try await Server("conformance.py")
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let events = SocketIOEvents()
        let configuration = try SocketIOClient.Configuration(url: "ws://127.0.0.1:\(server.port)/")
        let client = SocketIOClient(configuration: configuration, loop: loop, delegate: events)
        await client.connect()
        var seen: [String] = []
        for await happening in events.stream {
            switch happening {
            case .state(.connected): try await client.emit("question", ["?"])
            case .event(let event):
                seen.append(event.name)
                #expect(event.arguments == [.string("?")])
                try await event.acknowledgement?.send(["from afar"])
                #expect(try await server.line("answered") == #"["from afar"]"#)
                await client.disconnect()
            default: continue
            }
        }
        #expect(seen == ["question"])
        #expect(await client.state == .disconnected(.clientRequested, retryIn: nil))
        await client.connect()
        #expect(await client.state == .disconnected(.clientRequested, retryIn: nil))
    }

    @Test func connectAfterTheLoopsEnd() async throws {
        let loop = try RealtimeLoop()
        loop.shutdown()
        let recorder = Recorder()
        let configuration = try SocketIOClient.Configuration(url: "http://127.0.0.1:1")
        let client = SocketIOClient(configuration: configuration, loop: loop, delegate: recorder)
        await client.connect()
        #expect(try await recorder.disconnected().why == .loopShutDown)
    }

    @Test func addresses() throws {
        func address(_ url: String) throws -> String {
            let parsed = try ServerAddress(url)
            return "\(parsed.isSecure ? "tls " : "")\(parsed.host) \(parsed.port)"
        }
        #expect(try address("http://a.example") == "a.example 80")
        #expect(try address("HTTPS://a.example/") == "tls a.example 443")
        #expect(try address("ws://[::1]:7002") == "::1 7002")
        #expect(try address("wss://[fe80::1]/") == "tls fe80::1 443")
        #expect(try address("http://127.0.0.1:1") == "127.0.0.1 1")
        for wrong in [
            "", "a.example", "ftp://a", "http://", "http://:80", "http://a:0", "http://a:65536", "http://a:x",
            "http://a/b",
            "http://a?b", "http://u:p@a", "http://::1", "http://[::1", "http://[::1]x", "http://a b", "http://ä",
            "http://a\r\nb",
        ] {
            #expect(throws: SocketIOError.self, "\(wrong)") { _ = try ServerAddress(wrong) }
        }
    }
}
