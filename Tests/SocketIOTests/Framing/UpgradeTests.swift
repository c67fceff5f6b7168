import Testing

@testable import SocketIO

struct UpgradeTests {
    let good =
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
        + "Sec-WebSocket-Accept:\t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n\r\n"

    func take(_ text: String, cut: Int? = nil) throws -> Int? {
        var exchange = UpgradeExchange(accept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        let bytes = Array(text.utf8)
        guard let cut else { return try bytes.withUnsafeBytes { try exchange.take($0) } }
        if let early = try Array(bytes[..<cut]).withUnsafeBytes({ try exchange.take($0) }) { return early }
        return try Array(bytes[cut...]).withUnsafeBytes { try exchange.take($0) }.map { $0 + cut }
    }

    @Test func agreement() throws {
        #expect(try take(good) == good.utf8.count)
        // What follows belongs to the frames.
        #expect(try take(good + "\u{1}\u{2}x") == good.utf8.count)
        for cut in 1..<good.utf8.count { #expect(try take(good + "xyz", cut: cut) == good.utf8.count) }
        #expect(try take(String(good.dropLast())) == nil)
    }

    @Test(
        arguments: [
            ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 401), ("HTTP/1.1 302 Found\r\n\r\n", 302),
            ("HTTP/1.0 200 OK\r\n\r\n", 200), ("SSH-2.0-x\r\n\r\n", nil), ("HTTP/2 101 x\r\n\r\n", nil),
            ("\r\n\r\n", nil),
            ("HTTP/1.1 +10 x\r\n\r\n", 10), ("HTTP/1.1 101 x\r\n\r\n", 101),
        ] as [(String, Int?)])
    func refusals(_ text: String, _ status: Int?) throws {
        let refusal = #expect(throws: UpgradeExchange.Refusal.self) { try take(text) }
        #expect(refusal?.status == status)
    }

    @Test(arguments: [
        ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO="), ("upgrade: WebSocket\r\n", ""),
        ("upgrade: WebSocket", "upgrade: h2c"), ("keep-alive, Upgrade", "keep-alive"),
        ("upgrade:", "Sec-WebSocket-Extensions: permessage-deflate\r\nupgrade:"),
        ("upgrade:", "Sec-WebSocket-Protocol: chat\r\nupgrade:"),
    ])
    func falseAgreements(_ what: String, _ with: String) throws {
        let text = good.replacing(what, with: with)
        #expect(text != good)
        #expect(throws: UpgradeExchange.Refusal.self) { try take(text) }
    }

    @Test func endlessHeaders() throws {
        var exchange = UpgradeExchange(accept: "x")
        let line = Array("X-Endless: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".utf8)
        #expect(throws: UpgradeExchange.Refusal.self) {
            for _ in 0..<1000 { _ = try line.withUnsafeBytes { try exchange.take($0) } }
        }
    }

    @Test func theRequest() throws {
        var request = WebSocketRequest(host: "h", port: 1, isSecure: false, path: "/p?q=1")
        request.headers = [("X-One", "1")]
        let bytes = try #require(UpgradeExchange.request(request, host: "h:1", key: "k"))
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.hasPrefix("GET /p?q=1 HTTP/1.1\r\nHost: h:1\r\n"))
        #expect(text.hasSuffix("X-One: 1\r\n\r\n"))
        for (name, value) in [("X", "a\r\nY: b"), ("X\r\nY", "b"), ("", "b"), ("X: y", "b"), ("X", "\0")] {
            request.headers = [(name, value)]
            #expect(UpgradeExchange.request(request, host: "h", key: "k") == nil)
        }
        request.headers = []
        for path in ["p", "/a b", "/a\r\nX: y"] {
            request.path = path
            #expect(UpgradeExchange.request(request, host: "h", key: "k") == nil)
        }
    }
}
