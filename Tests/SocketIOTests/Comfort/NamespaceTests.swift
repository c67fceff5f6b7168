import Foundation
import Locking
import SocketIO
import Testing

/// Several namespaces over one WebSocket, against python-socketio.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct NamespaceTests {
    private let quick: @Sendable (inout SocketIOClient.Configuration) -> Void = {
        $0.backoff.initial = .milliseconds(20)
        $0.backoff.maximum = .milliseconds(200)
    }

    /// The main namespace's socket and one of `/room` over its connection.
    private func withBoth(
        roomAuth: @escaping SocketIOSocket.Auth = { _ in nil },
        _ body: (SocketIOSocket, SocketIOSocket, Server) async throws -> Void
    ) async throws {
        let server = try await Server("conformance.py")
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let main = try SocketIOSocket("http://127.0.0.1:\(server.port)", loop: loop, configure: quick)
        let room = SocketIOSocket(namespace: "/room", over: main.connection, auth: roomAuth)
        try await body(main, room, server)
    }

    private func connect(_ socket: SocketIOSocket) async throws -> String {
        let states = socket.states()
        socket.connect()
        return try await connected(states)
    }

    private func connected(_ states: AsyncStream<SocketIOState>) async throws -> String {
        for await state in states {
            if case .connected(let id, _) = state { return id }
        }
        throw NothingCame()
    }

    private func lost(_ states: AsyncStream<SocketIOState>) async throws -> SocketIODisconnect {
        for await state in states {
            if case .disconnected(let reason, _) = state { return reason }
        }
        throw NothingCame()
    }

    private func connections(_ server: Server) async throws -> String {
        server.tell("connections")
        return try await server.line("connections")
    }

    @Test func eventsAndAnswersGoTheirOwnWays() async throws {
        try await withBoth { main, room, server in
            let heard = Mailbox<String>()
            main.onAny { heard.put("main \($0.name) \($0.values.first?.string ?? "")") }
            room.onAny { heard.put("room \($0.name) \($0.values.first?.string ?? "")") }
            room.answer("question") { event in [.string("room: " + (event.values.first?.string ?? ""))] }
            async let first = connect(main)
            async let second = connect(room)
            _ = try await (first, second)
            #expect(try await connections(server) == "1")
            try await main.emit("echo", "a")
            #expect(try await heard.next() == "main echoed a")
            try await room.emit("echo", "b")
            #expect(try await heard.next() == "room echoed b")
            // Both count their acknowledgements from 1.
            for number in 0..<5 {
                async let one = main.emit("answer", .int(Int64(number)), timeout: .seconds(60), as: Int.self)
                async let other = room.emit("answer", .int(Int64(-number)), .binary([1]), timeout: .seconds(60))
                #expect(try await one == number)
                #expect(try await other.values == [.int(Int64(-number)), .binary([1])])
            }
            try await room.emit("question", "who")
            #expect(try await server.line("answered") == #"["room: who"]"#)
            #expect(heard.waiting == ["room question who"])
        }
    }

    @Test func aNamespaceComesAndGoesAlone() async throws {
        try await withBoth { main, room, server in
            let id = try await connect(main)
            for _ in 0..<3 {
                _ = try await connect(room)
                let states = room.states()
                room.disconnect()
                #expect(try await lost(states) == .clientRequested)
                #expect(try await server.line("gone") == "/room")
            }
            // Put out by the server, it comes back by itself.
            _ = try await connect(room)
            let states = room.states()
            try await room.emit("leave")
            #expect(try await lost(states) == .serverDisconnected)
            _ = try await connected(states)
            #expect(try await connections(server) == "1")
            #expect(await main.socketID == id)
            // The first one leaves; the connection stays for the other.
            main.disconnect()
            #expect(try await server.line("gone") == "/")
            #expect(try await room.emit("answer", 1, timeout: .seconds(60), as: Int.self) == 1)
            #expect(try await connections(server) == "1")
            room.disconnect()
            #expect(try await server.line("gone") == "/room")
            while try await connections(server) != "0" {}
            _ = try await connect(main)
        }
    }

    @Test func aRefusalConcernsItsNamespaceOnly() async throws {
        let auth: SocketIOSocket.Auth = { attempt in ["token": attempt < 3 ? "refused" : "good"] }
        try await withBoth(roomAuth: auth) { main, room, server in
            let id = try await connect(main)
            let states = room.states()
            room.connect()
            for _ in 0..<2 {
                guard case .refused(let words, let data) = try await lost(states) else { throw NothingCame() }
                #expect(words == "bad token")
                #expect(data.map { String(decoding: $0, as: UTF8.self) } == #"{"code":7}"#)
            }
            _ = try await connected(states)
            #expect(await main.socketID == id)
            #expect(try await connections(server) == "1")
            #expect(try await main.emit("answer", 7, timeout: .seconds(60), as: Int.self) == 7)
        }
    }

    @Test func aLostConnectionIsMadeOnceForAll() async throws {
        try await withBoth { main, room, server in
            _ = try await connect(main)
            _ = try await connect(room)
            for _ in 0..<3 {
                let states = (main.states(), room.states())
                server.tell("cut")
                #expect(try await lost(states.0).concernsTransport)
                #expect(try await lost(states.1).concernsTransport)
                _ = try await connected(states.0)
                _ = try await connected(states.1)
                #expect(try await connections(server) == "1")
            }
            #expect(try await room.emit("answer", 7, timeout: .seconds(60), as: Int.self) == 7)
        }
    }

    @Test func oneNamespaceTwiceIsRefusedInWords() async throws {
        try await withBoth { main, room, server in
            _ = try await connect(room)
            let second = SocketIOSocket(namespace: "/room", over: main.connection, configure: quick)
            let states = second.states()
            second.connect()
            guard case .transportFailed(let words, _) = try await lost(states) else { throw NothingCame() }
            #expect(words.contains("/room is in use"))
            // It tries again, and once the place is free it has it.
            room.disconnect()
            _ = try await connected(states)
        }
    }

    @Test func connectRightAfterDisconnect() async throws {
        try await withBoth { main, room, server in
            _ = try await connect(main)
            _ = try await connect(room)
            for socket in [room, main, room, main] {
                let states = socket.states()
                socket.disconnect()
                socket.connect()
                #expect(try await lost(states) == .clientRequested)
                _ = try await connected(states)
            }
            // Alone on its connection as well, which is being closed meanwhile.
            room.disconnect()
            #expect(try await server.line("gone") == "/room")
            let states = main.states()
            main.disconnect()
            main.connect()
            _ = try await lost(states)
            _ = try await connected(states)
            #expect(try await main.emit("answer", 1, timeout: .seconds(60), as: Int.self) == 1)
        }
    }

    /// A namespace that is left before its CONNECT was answered is left for good only when the answer is there.
    @Test func leftBeforeItWasAnswered() async throws {
        let server = try await Server("raw.py", ["late"])
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let main = try SocketIOSocket("http://127.0.0.1:\(server.port)", loop: loop, configure: quick)
        let late = SocketIOSocket(namespace: "/late", over: main.connection)
        _ = try await connect(main)
        late.connect()
        #expect(try await server.line("text") == "40/late,")
        late.disconnect()
        let states = late.states()
        late.connect()
        try await main.emit("now")
        #expect(try await server.line("text") == #"42["now"]"#)
        // Not before the answer came: an official server would close the connection.
        #expect(try await server.line("text") == "41/late,")
        #expect(try await server.line("text") == "40/late,")
        try await main.emit("now")
        #expect(try await server.line("text") == #"42["now"]"#)
        #expect(try await connected(states) == "late 2")
        late.disconnect()
        #expect(try await server.line("text") == "41/late,")
    }

    @Test func theLoopsEndIsTheEndOfAll() async throws {
        try await withBoth { main, room, server in
            _ = try await connect(main)
            _ = try await connect(room)
            let states = (main.states(), room.states())
            main.loop.shutdown()
            var heard: [SocketIOState] = []
            for await state in states.0 { heard.append(state) }
            for await state in states.1 { heard.append(state) }
            #expect(heard == [.disconnected(.loopShutDown, retryIn: nil), .disconnected(.loopShutDown, retryIn: nil)])
        }
    }
}

extension SocketIODisconnect {
    fileprivate var concernsTransport: Bool {
        switch self {
        case .transportClosed, .transportFailed: true
        default: false
        }
    }
}
