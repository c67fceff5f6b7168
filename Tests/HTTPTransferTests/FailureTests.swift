import Foundation
import HTTPTestServer
import HTTPTransfer
import Testing

/// Servers that do not behave, and what each is called.
@Suite struct FailureTests {
    /// A deadline is short only where it is the one that must be met.
    private func error(
        firstByte: Duration = .seconds(60), stall: Duration = .seconds(60), total: Duration = .seconds(60),
        limit: Int = 16 << 20, _ handler: @escaping TestServer.Handler
    ) async throws -> HTTPTransferError {
        try await withServer(handler) { server in
            try await withTransfer { transfer in
                let deadlines = HTTPDeadlines(connect: .seconds(60), firstByte: firstByte, stall: stall, total: total)
                let sent = HTTPRequest(.get, server.url + "/", deadlines: deadlines, maximumResponseBytes: limit)
                let error = try await failure { () throws(HTTPTransferError) in try await transfer.perform(sent) }
                #expect(error.host == "127.0.0.1:\(server.port)")
                return error
            }
        }
    }

    @Test func noAnswer() async throws {
        let error = try await error(firstByte: .milliseconds(150)) { $1.stall() }
        #expect(error.kind == .timedOut(.firstByte))
        #expect(error.requestSent)
    }

    @Test func trickledHeaders() async throws {
        let error = try await error(firstByte: .milliseconds(150)) { _, connection in
            connection.send("HTTP/1.1 200 OK\r\n")
            while !connection.waitForPeer(milliseconds: 20), connection.send(Array("X-A: b\r\n".utf8)) {}
            connection.close()
        }
        #expect(error.kind == .timedOut(.firstByte))
    }

    @Test func stalledBody() async throws {
        let error = try await error(stall: .milliseconds(150)) { _, connection in
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            connection.stall()
        }
        #expect(error.kind == .timedOut(.stall))
    }

    @Test func trickledBodyMeetsTheTotal() async throws {
        let error = try await error(total: .milliseconds(300)) { _, connection in
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while !connection.waitForPeer(milliseconds: 20), connection.send([65]) {}
            connection.close()
        }
        #expect(error.kind == .timedOut(.total))
    }

    @Test func truncatedBody() async throws {
        let error = try await error { _, connection in
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            connection.close()
        }
        #expect(error.kind == .connectionLost(requestSent: true))
    }

    @Test func truncatedChunks() async throws {
        let error = try await error { _, connection in
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc")
            connection.close()
        }
        #expect(error.kind == .connectionLost(requestSent: true))
    }

    @Test func closedInsteadOfAnswered() async throws {
        let error = try await error { $1.close() }
        #expect(error.kind == .connectionLost(requestSent: true))
    }

    @Test func resetInsteadOfAnswered() async throws {
        let error = try await error { $1.reset() }
        #expect(error.kind == .connectionLost(requestSent: true))
    }

    @Test func brokenOffBeforeTheBodyWasSent() async throws {
        // 64 MiB do not fit into the sockets' buffers: the request cannot have arrived whole.
        try await withServer(readsRequests: false) {
            $1.close()
        } _: { server in
            try await withTransfer { transfer in
                let body = [UInt8](repeating: 1, count: 64 << 20)
                let error = try await failure { () throws(HTTPTransferError) in
                    try await transfer.perform(HTTPRequest(.post, server.url, body: body))
                }
                // The reset may be there before libcurl has seen that it is connected.
                #expect(error.kind == .connectionLost(requestSent: false) || error.kind == .connect)
                #expect(!error.requestSent)
            }
        }
    }

    @Test func endlessBody() async throws {
        let error = try await error(limit: 100_000) { _, connection in
            connection.send("HTTP/1.1 200 OK\r\n\r\n")
            while connection.send([UInt8](repeating: 65, count: 10_000)) {}
        }
        #expect(error.kind == .tooLarge(limit: 100_000))
    }

    @Test func exactlyTheLimitIsFine() async throws {
        try await withServer {
            $1.respond(200, body: String(repeating: "a", count: 1000))
        } _: { server in
            try await withTransfer { transfer in
                var request = HTTPRequest(.get, server.url, maximumResponseBytes: 1000)
                let response = try await transfer.perform(request)
                #expect(response.body.count == 1000)
                request.maximumResponseBytes = 999
                let error = try await failure { () throws(HTTPTransferError) in try await transfer.perform(request) }
                #expect(error.kind == .tooLarge(limit: 999))
            }
        }
    }

    @Test(arguments: ["9223372036854775807", "99999999999999999999999999", "16777217"])
    func absurdLength(_ length: String) async throws {
        let error = try await error { _, connection in
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(length)\r\n\r\nabc")
            connection.stall()
        }
        guard case .tooLarge = error.kind else {
            Issue.record("\(error.kind)")
            return
        }
    }

    @Test func endlessHeaders() async throws {
        let error = try await error { _, connection in
            connection.send("HTTP/1.1 200 OK\r\n")
            let line = Array(("X-Y: " + String(repeating: "z", count: 1000) + "\r\n").utf8)
            while connection.send(line) {}
        }
        switch error.kind {
        case .tooLarge, .protocolViolation, .connectionLost: break
        default: Issue.record("\(error.kind)")
        }
    }

    @Test func endlessHeaderLine() async throws {
        let error = try await error { _, connection in
            connection.send("HTTP/1.1 200 OK\r\nX: ")
            while connection.send([UInt8](repeating: 65, count: 10_000)) {}
        }
        #expect(!error.message.isEmpty)
    }

    @Test(arguments: [
        "hello\r\n", "SSH-2.0-x\r\n", "HTTP/1.1 abc\r\n\r\n", "\u{0}\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}\u{8}",
    ])
    func notHTTP(_ text: String) async throws {
        let error = try await error { _, connection in
            connection.send(text)
            connection.close()
        }
        switch error.kind {
        case .protocolViolation, .connectionLost: break
        default: Issue.record("\(error.kind): \(error)")
        }
    }

    @Test func nobodyListens() async throws {
        let server = try TestServer { _, _ in }
        let url = server.url
        server.stop()
        try await withTransfer { transfer in
            let error = try await failure { () throws(HTTPTransferError) in
                // The listener is shut down by another thread: a late connection is refused or reset.
                try await transfer.perform(HTTPRequest(.get, url))
            }
            switch error.kind {
            case .connect: #expect(!error.requestSent)
            case .connectionLost: break
            default: Issue.record("\(error.kind)")
            }
        }
    }

    @Test func noSuchName() async throws {
        try await withTransfer { transfer in
            let error = try await failure { () throws(HTTPTransferError) in
                try await transfer.perform(
                    HTTPRequest(
                        .get, "http://nothing.invalid/", deadlines: HTTPDeadlines(connect: .seconds(2))))
            }
            #expect(error.kind == .resolve || error.kind == .timedOut(.connect))
            #expect(error.description.contains("nothing.invalid"))
        }
    }

    @Test func aPostIsNotRepeatedOnADeadConnection() async throws {
        try await withServer { request, connection in
            if request.target == "/first" { connection.respond(200) } else { connection.close() }
        } _: { server in
            try await withTransfer { transfer in
                _ = try await transfer.perform(HTTPRequest(.get, server.url + "/first"))
                let error = try await failure { () throws(HTTPTransferError) in
                    try await transfer.perform(HTTPRequest(.post, server.url + "/post", body: [65]))
                }
                #expect(error.kind == .connectionLost(requestSent: true))
                #expect(server.requests.filter { $0.target == "/post" }.count == 1)
            }
        }
    }

    @Test func aGetIsRepeatedOnADeadConnection() async throws {
        try await withServer { request, connection in
            if connection.number == 1, request.target == "/second" {
                connection.close()
            } else {
                connection.respond(200)
            }
        } _: { server in
            try await withTransfer { transfer in
                _ = try await transfer.perform(HTTPRequest(.get, server.url + "/first"))
                let response = try await transfer.perform(HTTPRequest(.get, server.url + "/second"))
                #expect(response.status == 200)
                #expect(server.connections == 2)
            }
        }
    }
}
