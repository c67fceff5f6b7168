import Foundation
import JSONBytes
import Locking
import Testing

@testable import SocketIO

/// Against python-socketio, a server that none of us wrote.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ConformanceTests {
    @Test func connectsAndEchoesBothWays() async throws {
        let server = try await Server("conformance.py")
        try await withClient(of: server) { client, heard in
            let connected = try await heard.connected()
            #expect(!connected.id.isEmpty)
            #expect(await client.socketID == connected.id)
            try await client.emit("echo", ["grüße \"x\"", 7, true, .null, .json(Array(#"{"a":[1,2]}"#.utf8))])
            let echoed = try JSONValue(parsing: try await heard.event("echoed"))
            let sent = #"["echoed","grüße \"x\"",7,true,null,{"a":[1,2]}]"#
            #expect(echoed == (try JSONValue(parsing: sent)))
            #expect(await client.lastTransportActivity != nil)
            await client.disconnect()
            let end = try await heard.disconnected()
            #expect(end.why == .clientRequested)
            #expect(end.retryIn == nil)
            _ = try await server.line("gone")
        }
    }

    @Test func otherNamespace() async throws {
        let server = try await Server("conformance.py")
        let auth: SocketIOClient.Auth = { _ in Array(#"{"token":"t"}"#.utf8) }
        let configure: (inout SocketIOClient.Configuration) -> Void = { $0.namespace = "/room" }
        try await withClient(of: server, auth: auth, configure: configure) { client, heard in
            _ = try await heard.connected()
            #expect(try await server.line("auth") == #"/room {"token": "t"}"#)
            try await client.emit("echo", ["in the room"])
            #expect(try await heard.event("echoed") == #"["echoed","in the room"]"#)
        }
    }

    @Test func acknowledgementsBothWays() async throws {
        let server = try await Server("conformance.py")
        let answers: @Sendable (SocketIOClient, borrowing SocketIOEvent) -> Void = { _, event in
            if event.isNamed("question") { try? event.acknowledge(["answer", .binary([1, 2, 255])]) }
        }
        try await withClient(of: server, onEvent: answers) { client, heard in
            _ = try await heard.connected()
            let ack = try await client.emit("answer", ["a", 2], ackTimeout: .seconds(10))
            #expect(String(decoding: ack.arguments, as: UTF8.self) == #"["a",2]"#)
            try await client.emit("question", ["?"])
            #expect(try await server.line("answered") == #"["answer", "0102ff"]"#)
            await #expect(throws: SocketIOError.acknowledgementTimedOut(.milliseconds(100))) {
                _ = try await client.emit("ignore", [], ackTimeout: .milliseconds(100))
            }
            let waiting = Task { try await client.emit("ignore", [], ackTimeout: .seconds(60)) }
            waiting.cancel()
            await #expect(throws: SocketIOError.cancelled) { _ = try await waiting.value }
            let lost = Mailbox<Result<SocketIOAck, SocketIOError>>()
            try await client.emit("ignore", [], ackTimeout: .seconds(60)) { lost.put($0) }
            try await client.emit("leave")
            #expect(try await lost.next() == .failure(.disconnected(.serverDisconnected)))
        }
    }

    @Test func theDelegateMayCallTheClient() async throws {
        let server = try await Server("conformance.py")
        let onEvent: @Sendable (SocketIOClient, borrowing SocketIOEvent) -> Void = { client, event in
            let count = event.argument(0)?.int64 ?? 0
            client.assumeIsolated { client in
                if count < 50 {
                    try? client.emit("echo", [.int(count + 1)])
                } else {
                    // Inside its own event: the connection goes away under it.
                    client.disconnect()
                }
            }
        }
        try await withClient(of: server, onEvent: onEvent) { client, heard in
            _ = try await heard.connected()
            try await client.emit("echo", [0])
            #expect(try await heard.disconnected().why == .clientRequested)
        }
    }

    @Test func binaryBothWays() async throws {
        let server = try await Server("conformance.py")
        let data = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let resolved = Mailbox<[UInt8]>()
        let onEvent: @Sendable (SocketIOClient, borrowing SocketIOEvent) -> Void = { _, event in
            guard let argument = event.argument(0), let again = argument["again"] else { return }
            resolved.put(event.attachment(for: again) ?? [])
        }
        try await withClient(of: server, onEvent: onEvent) { client, heard in
            _ = try await heard.connected()
            try await client.emit("binary", [.binary(data)])
            #expect(try await resolved.next() == Array(data.reversed()))
            let attachments = try await heard.heard.first { heard -> [[UInt8]]? in
                guard case .event("binary", _, let attachments) = heard else { return nil }
                return attachments
            }
            #expect(attachments == [data, data.reversed()])
            let ack = try await client.emit("answer", [.binary([9, 8, 7]), "x"], ackTimeout: .seconds(10))
            #expect(ack.attachments == [[9, 8, 7]])
            let empty = try await client.emit("answer", [.binary([])], ackTimeout: .seconds(10))
            #expect(empty.attachments == [[]])
        }
    }

    /// Long messages are read another way than short ones, and each way may follow the other.
    @Test func longAndShortMessagesFollowEachOther() async throws {
        let server = try await Server("conformance.py")
        try await withClient(of: server) { client, heard in
            _ = try await heard.connected()
            let sizes = [200_000, 200_000, 5, 90_000, 33_000, 70_000, 4000, 4100, 300_000, 1, 2, 3, 250_000]
            let texts = sizes.enumerated().map { String(repeating: "x", count: $1 / 2) + "\($0)" }
            for text in texts { try await client.emit("echo", [.string(text)]) }
            for text in texts { #expect(try await heard.event("echoed") == "[\"echoed\",\"\(text)\"]") }
        }
    }

    @Test func authIsAskedForEveryConnect() async throws {
        let server = try await Server("conformance.py")
        let count = Locked(0)
        let auth: SocketIOClient.Auth = { _ in
            let number = count.withLock {
                $0 += 1
                return $0
            }
            if number == 2 { throw NothingCame() }
            return Array(#"{"token":"token-\#(number)"}"#.utf8)
        }
        try await withClient(of: server, auth: auth) { _, heard in
            _ = try await heard.connected()
            #expect(try await server.line("auth") == #"/ {"token": "token-1"}"#)
            server.tell("drop")
            #expect(try await heard.disconnected().why == .serverDisconnected)
            // The callback fails once: an attempt of its own, never the old token.
            #expect(try await heard.disconnected().why == .authenticationUnavailable("NothingCame()"))
            _ = try await heard.connected()
            #expect(try await server.line("auth") == #"/ {"token": "token-3"}"#)
        }
    }

    @Test func refusalIsToldAndRetried() async throws {
        let server = try await Server("conformance.py")
        let count = Locked(0)
        let auth: SocketIOClient.Auth = { _ in
            let number = count.withLock {
                $0 += 1
                return $0
            }
            return Array((number == 1 ? #"{"token":"refused"}"# : #"{"token":"good"}"#).utf8)
        }
        try await withClient(of: server, auth: auth) { _, heard in
            let refusal = try await heard.disconnected()
            #expect(refusal.why == .refused(message: "bad token", data: Array(#"{"code":7}"#.utf8)))
            #expect(refusal.retryIn != nil)
            _ = try await heard.connected()
        }
    }

    @Test func unknownNamespaceIsRefused() async throws {
        let server = try await Server("conformance.py")
        let configure: (inout SocketIOClient.Configuration) -> Void = {
            $0.namespace = "/nowhere"
            $0.reconnects = false
        }
        try await withClient(of: server, configure: configure) { _, heard in
            let refusal = try await heard.disconnected()
            guard case .refused = refusal.why else {
                Issue.record("\(refusal)")
                return
            }
            #expect(refusal.retryIn == nil)
        }
    }

    @Test func eventsBeforeTheAcceptanceAreDeliveredAfterIt() async throws {
        let server = try await Server("conformance.py")
        let auth: SocketIOClient.Auth = { _ in Array(#"{"token":"early"}"#.utf8) }
        try await withClient(of: server, auth: auth) { _, heard in
            _ = try await heard.connected()
            #expect(try await heard.event("early") == #"["early",["before","connect"]]"#)
        }
    }

    @Test func staysWithFrequentPings() async throws {
        // Who stands still for a second loses the connection, and rightly: one round of ten without that is enough. Who does
        // not answer has none.
        for _ in 0..<9 { if try await staysTwoSeconds() { return } }
        #expect(try await staysTwoSeconds())
    }

    private func staysTwoSeconds() async throws -> Bool {
        let server = try await Server("conformance.py", ["--ping", "0.2", "--timeout", "1"])
        let stayed = Locked(false)
        try await withClient(of: server) { client, heard in
            let id = try await heard.connected().id
            // Several rounds of pings: an answer of the server proves that it kept the connection.
            guard let since = await client.lastTransportActivity else { return }
            while let last = await client.lastTransportActivity, last < since.advanced(by: .milliseconds(2000)) {
                guard (try? await client.emit("answer", [1], ackTimeout: .seconds(5))) != nil else { return }
            }
            let isSame = await client.socketID == id
            stayed.withLock { $0 = isSame }
        }
        return stayed.withLock { $0 }
    }

    @Test func aServerThatVanishes() async throws {
        // Where nobody else looks for a port while it is down.
        let server = try await Server("conformance.py", ["--port", "\(Int.random(in: 10_000..<15_000))"])
        try await withClient(of: server) { _, heard in
            _ = try await heard.connected()
            server.kill()
            guard case .transportClosed = try await heard.disconnected().why else {
                Issue.record("not closed")
                return
            }
            guard case .transportFailed(let words, _) = try await heard.disconnected().why else {
                Issue.record("not failed")
                return
            }
            #expect(words.contains("127.0.0.1:\(server.port): connect failed"))
            let again = try await Server("conformance.py", ["--port", "\(server.port)"])
            _ = try await heard.connected()
            again.kill()
        }
    }
}
