import Foundation
import Locking
import Testing

@testable import SocketIO

private struct Note: Codable, Equatable, Sendable {
    var text: String
    var number: Int
    var picture: Data?
}

/// The everyday client against python-socketio.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct SocketTests {
    /// A socket of a server, with short times, and its loop.
    private func withSocket(
        namespace: String = "/", offline: SocketIOSocket.Offline = .refuse, maximumQueuedBytes: Int = 1 << 20,
        auth: @escaping SocketIOSocket.Auth = { _ in nil },
        _ body: (SocketIOSocket, Server) async throws -> Void
    ) async throws {
        let server = try await Server("conformance.py")
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let configure: (inout SocketIOClient.Configuration) -> Void = {
            $0.namespace = namespace
            $0.maximumQueuedBytes = maximumQueuedBytes
            $0.backoff.initial = .milliseconds(20)
            $0.backoff.maximum = .milliseconds(200)
        }
        let socket = try SocketIOSocket(
            "http://127.0.0.1:\(server.port)", loop: loop, offline: offline, auth: auth, configure: configure)
        try await body(socket, server)
    }

    private func connected(_ socket: SocketIOSocket) async throws {
        let states = socket.states()
        socket.connect()
        for await state in states {
            if case .connected = state { return }
        }
        throw NothingCame()
    }

    @Test func valuesOfAllKindsInAndOut() async throws {
        try await withSocket { socket, _ in
            let heard = Mailbox<SocketIOOwnedEvent>()
            let notes = Mailbox<Note>()
            socket.on("echoed") { heard.put($0) }
            socket.on("echoed", as: Note.self) { notes.put($0) }
            try await connected(socket)
            let note = Note(text: "\"quoted\" — ü", number: -7, picture: Data([0, 255, 1]))
            try await socket.emit(
                "echo", .encoding(note), "text", 3, 2.5, true, nil, ["a", 1, .binary([9])], ["key": ["x": nil]])
            #expect(try await notes.next() == note)
            let event = try await heard.next()
            #expect(
                event.values == [
                    ["text": "\"quoted\" — ü", "number": -7, "picture": .binary([0, 255, 1])], "text", 3, 2.5, true,
                    nil,
                    ["a", 1, .binary([9])], ["key": ["x": nil]],
                ])
            #expect(try event.decode(Note.self) == note)
            #expect(try event.decode(String.self, at: 1) == "text")
            #expect(event.values[6][2]?.bytes == [9])
            #expect(event.values[7]["key"]?["x"]?.isNull == true)
            let problem = #expect(throws: SocketIOError.self) { try event.decode(Note.self, at: 7) }
            #expect(problem?.localizedDescription.contains("\"text\" is missing") == true)
            #expect(throws: SocketIOError.self) { try event.decode(Int.self, at: 20) }
        }
    }

    @Test func acknowledgementsBothWays() async throws {
        try await withSocket { socket, server in
            socket.answer("question") { event in [.string((event.values.first?.string ?? "") + "!"), .binary([1, 2])] }
            try await connected(socket)
            let note = Note(text: "t", number: 1, picture: Data([7]))
            #expect(
                try await socket.emit("answer", .encoding(note), timeout: .seconds(60), as: Note.self) == note)
            let ack = try await socket.emit("answer", 1, .bytes(Data([5])), timeout: .seconds(60))
            #expect(ack.values == [1, .binary([5])])
            await #expect(throws: SocketIOError.acknowledgementTimedOut(.milliseconds(50))) {
                try await socket.emit("ignore", timeout: .milliseconds(50))
            }
            await #expect(throws: SocketIOError.self) {
                try await socket.emit("answer", "no number", timeout: .seconds(60), as: Int.self)
            }
            try await socket.emit("question", "who")
            #expect(try await server.line("answered") == #"["who!", "0102"]"#)
        }
    }

    @Test func authGivesValues() async throws {
        let auth: SocketIOSocket.Auth = { attempt in ["token": "with \"quotes\"", "attempt": .int(Int64(attempt))] }
        try await withSocket(namespace: "/room", auth: auth) { socket, server in
            try await connected(socket)
            #expect(try await server.line("auth /room") == #"{"attempt": 1, "token": "with \"quotes\""}"#)
        }
    }

    @Test func authMustGiveAnObject() async throws {
        let auth: SocketIOSocket.Auth = { _ in ["no", "object"] }
        try await withSocket(auth: auth) { socket, _ in
            let states = socket.states()
            socket.connect()
            for await state in states {
                guard case .disconnected(let reason, _) = state else { continue }
                #expect(reason.localizedDescription.contains("must give an object"))
                return
            }
        }
    }

    @Test func connectsAgainAfterDisconnect() async throws {
        try await withSocket { socket, server in
            for _ in 0..<3 {
                let states = socket.states()
                try await connected(socket)
                #expect(await socket.socketID != nil)
                #expect(
                    try await socket.emit("answer", 1, timeout: .seconds(60), as: Int.self) == 1)
                socket.disconnect()
                for await state in states {
                    if case .disconnected(.clientRequested, nil) = state { break }
                }
                _ = try await server.line("gone")
                await #expect(throws: SocketIOError.notConnected) { try await socket.emit("echo") }
            }
        }
    }

    @Test func listenersOnceAnyAndCancelled() async throws {
        try await withSocket { socket, _ in
            let once = Mailbox<String>()
            let any = Mailbox<String>()
            let cancelled = Mailbox<String>()
            let problems = Mailbox<SocketIOError>()
            socket.once("echoed") { once.put($0.name) }
            socket.onAny { any.put($0.name) }
            socket.on("echoed") { cancelled.put($0.name) }.cancel()
            socket.on("echoed", as: Note.self) { _ in }
            socket.onProblem { problems.put($0) }
            try await connected(socket)
            for _ in 0..<3 { try await socket.emit("echo", "x") }
            for _ in 0..<3 { #expect(try await any.next() == "echoed") }
            for _ in 0..<3 { #expect("\(try await problems.next())".contains("unexpected data")) }
            #expect(once.waiting == ["echoed"])
            #expect(cancelled.waiting == [])
        }
    }

    /// The loop's thread may be behind, and then read first what came of something that was done after the listener was
    /// added.
    @Test func whoListensHearsWhatComesAfterwards() async throws {
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let socket = try SocketIOSocket("http://127.0.0.1:1", loop: loop)
        let begun = Mailbox<Bool>()
        let goOn = DispatchSemaphore(value: 0)
        loop.execute {
            begun.put(true)
            goOn.wait()
            socket.assumeIsolated { $0.changed(.connecting(attempt: 7)) }
        }
        _ = try await begun.next()
        let heard = Mailbox<SocketIOState>()
        let cancelled = Mailbox<SocketIOState>()
        socket.onState { heard.put($0) }
        socket.onState { cancelled.put($0) }.cancel()
        goOn.signal()
        #expect(try await heard.next(within: .seconds(10)) == .connecting(attempt: 7))
        #expect(cancelled.waiting == [])
    }

    @Test func streams() async throws {
        try await withSocket { socket, _ in
            let numbers = socket.values("echoed", as: Int.self)
            let events = socket.events()
            try await connected(socket)
            for number in 0..<100 { try await socket.emit("echo", .int(Int64(number))) }
            var expected = 0
            for await number in numbers {
                #expect(number == expected)
                expected += 1
                if expected == 100 { break }
            }
            var seen = 0
            for await event in events {
                #expect(event.values == [.int(Int64(seen))])
                seen += 1
                if seen == 100 { break }
            }
            // The end of the loop is the end of a stream.
            let last = socket.events()
            socket.loop.shutdown()
            for await _ in last {}
        }
    }

    @Test func offlineEventsAreKeptInOrderAndBounded() async throws {
        try await withSocket(offline: .keep(atMost: 3)) { socket, _ in
            let heard = socket.values("echoed", as: Int.self)
            for number in 0..<2 { try await socket.emit("echo", .int(Int64(number))) }
            await #expect(throws: SocketIOError.acknowledgementTimedOut(.milliseconds(30))) {
                try await socket.emit("ignore", timeout: .milliseconds(30))
            }
            try await socket.emit("echo", 2)
            await #expect(throws: SocketIOError.bufferFull(limit: 3)) { try await socket.emit("echo", 3) }
            socket.connect()
            var expected = 0
            for await number in heard {
                #expect(number == expected)
                expected += 1
                if expected == 3 { break }
            }
            // After a disconnect what waits is given up.
            socket.disconnect()
        }
        try await withSocket(offline: .keep(atMost: 3)) { socket, _ in
            let answer = Task { try await socket.emit("answer", "kept", timeout: .seconds(60), as: String.self) }
            socket.connect()
            let kept = try await answer.value
            #expect(kept == "kept")
        }
    }

    @Test func whatIsKeptOfflineIsBoundedInBytesToo() async throws {
        try await withSocket(offline: .keep(atMost: 100), maximumQueuedBytes: 1000) { socket, _ in
            let heard = socket.values("echoed", as: Int.self)
            try await socket.emit("echo", 1, .string(String(repeating: "x", count: 400)))
            await #expect(throws: SocketIOError.queueFull(limit: 1000)) {
                try await socket.emit("echo", .bytes([UInt8](repeating: 0, count: 700)))
            }
            // What cannot be sent at all is refused when it is given, not when there is a connection.
            await #expect(throws: SocketIOError.self) { try await socket.emit("connect") }
            try await socket.emit("echo", 2, .string(String(repeating: "x", count: 400)))
            socket.connect()
            var expected = 1
            for await number in heard {
                #expect(number == expected)
                expected += 1
                if expected == 3 { break }
            }
        }
    }

    @Test func aCancelledTaskWaitsNoLonger() async throws {
        try await withSocket(offline: .keep(atMost: 10)) { socket, _ in
            let heard = socket.values("echoed", as: Int.self)
            // Offline: what is cancelled is not sent.
            let early = Task { try await socket.emit("echo", 1, timeout: .seconds(600)) }
            try await socket.emit("echo", 2)
            early.cancel()
            await #expect(throws: SocketIOError.cancelled) { try await early.value }
            socket.connect()
            for await number in heard {
                #expect(number == 2)
                break
            }
            // Connected, on its way.
            let late = Task { try await socket.emit("ignore", timeout: .seconds(600)) }
            #expect(try await socket.emit("answer", 3, timeout: .seconds(10), as: Int.self) == 3)
            late.cancel()
            await #expect(throws: SocketIOError.cancelled) { try await late.value }
            // Cancelled before it began.
            let never = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await socket.emit("echo", 4, timeout: .seconds(600))
            }
            await #expect(throws: SocketIOError.cancelled) { try await never.value }
        }
    }

    @Test func aSlowReaderIsToldThatEventsWereDropped() async throws {
        try await withSocket { socket, _ in
            let problems = Mailbox<SocketIOError>()
            socket.onProblem { problems.put($0) }
            let slow = socket.values("echoed", as: Int.self, limit: 2)
            let quick = Mailbox<Int>()
            socket.on("echoed", as: Int.self) { quick.put($0) }
            try await connected(socket)
            for number in 0..<5 { try await socket.emit("echo", .int(Int64(number))) }
            for number in 0..<5 { #expect(try await quick.next() == number) }
            #expect(try await problems.next() == .streamOverflow(limit: 2))
            var kept: [Int] = []
            for await number in slow {
                kept.append(number)
                if kept.count == 2 { break }
            }
            #expect(kept == [3, 4])
            #expect(problems.waiting.isEmpty, "once, not for each")
        }
    }

    @Test func errorsSaySoInWords() {
        let errors: [any Error] = [
            SocketIOError.notConnected, SocketIOError.queueFull(limit: 5), SocketIOError.cancelled,
            SocketIOError.disconnected(.pingTimeout), SocketIOError.bufferFull(limit: 1),
            SocketIOError.streamOverflow(limit: 1),
            SocketIOError.acknowledgementTimedOut(.seconds(1)), SocketIODisconnect.serverDisconnected,
            SocketIODisconnect.protocolViolation(.attachmentNotExpected), PacketError.empty, WebSocketViolation.flood,
        ]
        for error in errors {
            #expect(!error.localizedDescription.contains("error "), "\(error)")
            #expect(!error.localizedDescription.contains("could not be completed"), "\(error)")
            #expect(error.localizedDescription.count > 8)
        }
    }
}
