import Foundation
import Locking
import Testing

@testable import SocketIO

/// Against a server that behaves as no honest one does.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct HostileTests {
    /// Resident memory of this process, bytes.
    static func resident() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        return (Int(text.split(separator: " ")[1]) ?? 0) * 4096
    }

    let once: (inout SocketIOClient.Configuration) -> Void = { $0.reconnects = false }

    func ending(
        _ behaviour: String, configure: (inout SocketIOClient.Configuration) -> Void = { _ in }
    ) async throws -> SocketIODisconnect {
        let server = try await Server("raw.py", [behaviour])
        let end = Locked<SocketIODisconnect?>(nil)
        try await withClient(of: server, configure: configure) { (_, heard) async throws in
            let why = try await heard.disconnected().why
            end.withLock { $0 = why }
        }
        return try #require(end.withLock { $0 })
    }

    @Test func endlessHeader() async throws {
        let before = try Self.resident()
        let why = try await ending("header") { $0.timeouts.upgrade = .seconds(60) }
        guard case .transportFailed = why else {
            Issue.record("\(why)")
            return
        }
        let grown = try Self.resident() - before
        #expect(grown < 48 << 20 || Self.keepsWhatIsFreed)
    }

    @Test func absurdLength() async throws {
        let before = try Self.resident()
        let why = try await ending("length")
        #expect(why == .messageTooLarge(limit: 16 << 20))
        let grown = try Self.resident() - before
        #expect(grown < 48 << 20 || Self.keepsWhatIsFreed)
    }

    /// The address sanitizer does, for a while.
    private static var keepsWhatIsFreed: Bool { dlsym(nil, "__asan_init") != nil }

    @Test func endlessFragments() async throws {
        let before = try Self.resident()
        let why = try await ending("fragments") { $0.limits.maximumFrameBytes = 1 << 20 }
        #expect(why == .messageTooLarge(limit: 1 << 20))
        let grown = try Self.resident() - before
        #expect(grown < 48 << 20 || Self.keepsWhatIsFreed)
    }

    @Test func deadlines() async throws {
        let silent = try await ending("silent") { $0.timeouts.upgrade = .milliseconds(200) }
        #expect(silent == .timedOut(.upgrade))
        let noOpen = try await ending("noopen") { $0.timeouts.open = .milliseconds(200) }
        #expect(noOpen == .timedOut(.open))
        let noNamespace = try await ending("nonamespace") { $0.timeouts.namespace = .milliseconds(200) }
        #expect(noNamespace == .timedOut(.namespace))
        let noAttachment = try await ending("attachment") { $0.timeouts.attachments = .milliseconds(300) }
        #expect(noAttachment == .timedOut(.attachments))
        let noPing = try await ending("open")
        #expect(noPing == .pingTimeout)
    }

    @Test func tlsDeadline() async throws {
        let server = try await Server("raw.py", ["silent"])
        let configure: (inout SocketIOClient.Configuration) -> Void = {
            $0.timeouts.connect = .milliseconds(200)
            $0.timeouts.tls = .milliseconds(200)
        }
        try await withClient(of: server, scheme: "https", configure: configure) { (_, heard) async throws in
            #expect(try await heard.disconnected().why == .timedOut(.tls))
        }
    }

    @Test func refusedUpgrades() async throws {
        guard case .transportFailed(let words, let status) = try await ending("forbidden") else {
            Issue.record("not failed")
            return
        }
        #expect(status == 401)
        #expect(words.contains("HTTP 401"))
        guard case .transportFailed(_, let other) = try await ending("redirect") else {
            Issue.record("not failed")
            return
        }
        #expect(other == 302)
    }

    @Test func redirectIsNotFollowed() async throws {
        let server = try await Server("raw.py", ["redirect"])
        let configure: (inout SocketIOClient.Configuration) -> Void = {
            $0.reconnects = false
            $0.extraHeaders = [("Authorization", "Bearer secret")]
        }
        try await withClient(of: server, configure: configure) { (_, heard) async throws in
            _ = try await heard.disconnected()
            _ = try await server.line("lost")
            #expect(!server.lines.waiting.contains("accepted 2"))
        }
    }

    @Test func garbageAndCloseFrames() async throws {
        let garbage = try await ending("garbage")
        #expect(garbage == .protocolViolation(.illegalPayload(.event)))
        let close = try await ending("close")
        #expect(close == .transportClosed(code: 4001, reason: "go away"))
    }

    @Test func firstFrameWithTheUpgradeAnswer() async throws {
        let server = try await Server("raw.py", ["early"])
        try await withClient(of: server) { (_, heard) async throws in
            #expect(try await heard.connected().id == "s")
            #expect(try await heard.event("first") == #"["first",1]"#)
        }
    }

    @Test func theServersLimitIsKept() async throws {
        let server = try await Server("raw.py", ["early"])
        try await withClient(of: server) { client, heard in
            _ = try await heard.connected()
            // The server would close the connection.
            await #expect(throws: SocketIOError.messageTooLarge(limit: 1_000_000)) {
                try await client.emit("big", [.binary([UInt8](repeating: 0, count: 1_000_001))])
            }
            try await client.emit("small", [.binary([UInt8](repeating: 65, count: 3))])
            #expect(try await server.line("frame") == #"1 451-["small",{"_placeholder":true,"num":0}]"#)
            #expect(try await server.line("frame") == "2 AAA")
        }
    }

    /// The frame that breaks the rules, and the close frame that answers it.
    @Test(arguments: [
        ("c100", "03ea", "reserved bits"), ("8300", "03ea", "reserved kind"), ("818001020304", "03ea", "masked"),
        ("0900", "03ea", "in fragments"), ("897e007e", "03ea", "more than 125"), ("8000", "03ea", "continuation"),
        ("010141810142", "03ea", "inside another"), ("880103", "03ea", "illegal code"), ("8802001f", "03ea", "illegal"),
        ("8102c328", "03ef", "not UTF-8"), ("827f00000000ffffffff", "03f1", "more than"),
    ])
    func violationsAreClosedWithTheirCode(_ bytes: String, _ code: String, _ words: String) async throws {
        let server = try await Server("raw.py", ["wire", bytes])
        try await withClient(of: server, configure: once) { (_, heard) async throws in
            let why = try await heard.disconnected().why
            #expect("\(why)".contains(words))
            #expect(try await server.line("closed") == code)
        }
    }

    @Test func pingsAreAnsweredInOrder() async throws {
        let pings = (0..<20).map { "8901" + ["61", "62", "63"][$0 % 3] }.joined()
        let server = try await Server("raw.py", ["wire", pings + "8802" + "03e8"])
        try await withClient(of: server, configure: once) { (_, heard) async throws in
            #expect(try await heard.disconnected().why == .transportClosed(code: 1000, reason: ""))
            for number in 0..<20 { #expect(try await server.line("pong") == ["a", "b", "c"][number % 3]) }
            #expect(try await server.line("closed") == "03e8")
        }
    }

    /// Answers that the server does not take must not heap up here.
    @Test(arguments: ["pings", "controls"]) func floodsAreEnded(_ kind: String) async throws {
        let before = try Self.resident()
        let why = try await ending(kind)
        #expect("\(why)".contains("flood of pings"))
        let grown = try Self.resident() - before
        #expect(grown < 16 << 20)
    }

    @Test func framesBehindTheUpgradeAnswer() async throws {
        let server = try await Server("raw.py", ["behind"])
        try await withClient(of: server) { (_, heard) async throws in
            #expect(try await heard.event("big").utf8.count == 300_010)
            #expect(try await heard.event("small") == #"["small"]"#)
        }
    }

    @Test func messagesInPieces() async throws {
        let server = try await Server("raw.py", ["pieces"])
        try await withClient(of: server) { (_, heard) async throws in
            #expect(try await heard.event("pieces") == #"["pieces","x"]"#)
            #expect(try await heard.event("long").utf8.count == 200_011)
        }
    }

    @Test func recoversAfterALoss() async throws {
        let server = try await Server("raw.py", ["recovery"])
        let auth: SocketIOClient.Auth = { _ in Array(#"{"token":"t"}"#.utf8) }
        try await withClient(of: server, auth: auth) { client, heard in
            #expect(try await heard.connected().recovered == false)
            #expect(try await heard.event("m") == #"["m",1,"off-1"]"#)
            #expect(try await heard.event("m") == #"["m",2,"off-2"]"#)
            try await client.emit("break")
            #expect(try await heard.connected().recovered == true)
            #expect(try await heard.event("m") == #"["m",3,"off-3"]"#)
            #expect(try await server.line("connect") == #"40{"token":"t"}"#)
            #expect(try await server.line("connect") == #"40{"pid":"private1","offset":"off-2","token":"t"}"#)
        }
    }

    @Test func headersPathAndQueryAreSent() async throws {
        let server = try await Server("raw.py", ["open"])
        let configure: (inout SocketIOClient.Configuration) -> Void = {
            $0.extraHeaders = [("X-One", "1"), ("X-Two", "zwei")]
            $0.path = "/other/"
            $0.query = [("a", "b%20c")]
        }
        try await withClient(of: server, configure: configure) { (_, heard) async throws in
            _ = try await heard.connected()
            let request = try await server.line("request")
            #expect(request.contains("GET /other/?EIO=4&transport=websocket&a=b%20c HTTP/1.1"))
            #expect(request.lowercased().contains("x-one: 1") && request.lowercased().contains("x-two: zwei"))
            #expect(request.contains("127.0.0.1:\(server.port)"))
            #expect(!request.lowercased().contains("permessage-deflate"))
        }
    }

    @Test func reconnectOnDemandAndShutdownWhileConnected() async throws {
        let server = try await Server("raw.py", ["early"])
        try await withClient(of: server) { client, heard in
            _ = try await heard.connected()
            await client.reconnect(reason: "deaf")
            #expect(try await heard.disconnected().why == .reconnectRequested("deaf"))
            _ = try await heard.connected()
            client.loop.shutdown()
            let end = try await heard.disconnected()
            #expect(end.why == .loopShutDown)
            #expect(end.retryIn == nil)
            await #expect(throws: SocketIOError.notConnected) { try await client.emit("x") }
        }
    }

    @Test func nobodyListensAndNoSuchName() async throws {
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let recorder = Recorder()
        // The .invalid names never resolve (RFC 6761).
        var configuration = try SocketIOClient.Configuration(url: "http://name.invalid:1")
        configuration.reconnects = false
        let client = SocketIOClient(configuration: configuration, loop: loop, delegate: recorder)
        await client.connect()
        switch try await recorder.disconnected().why {
        case .transportFailed(let words, _): #expect(words.contains("name.invalid:1: resolve failed"))
        case .timedOut(.resolve): break
        case let other: Issue.record("\(other)")
        }
    }

    @Test func allAddressesOfANameAreTried() async throws {
        // localhost may be ::1 first; the server is on 127.0.0.1 only.
        let server = try await Server("raw.py", ["early"])
        try await withClient(of: server, host: "localhost") { _, heard in _ = try await heard.connected() }
    }
}
