import Foundation
import HTTPTestServer
import HTTPTransfer
import Testing

@Suite struct DownloadTests {
    private func download(
        _ transfer: HTTPTransfer, _ url: String, _ scratch: Scratch, limit: Int64 = 1 << 20,
        headers: [HTTPHeader] = [], deadlines: HTTPDeadlines = .file
    ) async throws(HTTPTransferError) -> HTTPDownload {
        try await transfer.download(
            HTTPRequest(.get, url, headers: headers, bearer: "token", deadlines: deadlines), to: scratch.file("f"),
            maximumBytes: limit)
    }

    @Test func aFileComes() async throws {
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
        let scratch = try Scratch()
        _ = try scratch.write("f", [1, 2, 3])
        try await withServer {
            $1.respond(200, ["Content-Type: image/png"], bytes: bytes)
        } _: { server in
            try await withTransfer { transfer in
                let result = try await download(transfer, server.url + "/f", scratch)
                #expect(result.isComplete)
                #expect(result.bytes == 300_000)
                #expect(result.sentCredentials)
                #expect(result.response.headers["content-type"] == "image/png")
                #expect(try Data(contentsOf: URL(fileURLWithPath: scratch.file("f"))) == Data(bytes))
                #expect(scratch.names == ["f"])
                let mode =
                    try FileManager.default.attributesOfItem(atPath: scratch.file("f"))[.posixPermissions] as? Int
                #expect(mode == 0o600)
            }
        }
    }

    @Test(arguments: [206, 304, 400, 401, 404, 410, 500])
    func anythingButSuccessLeavesNoFile(_ status: Int) async throws {
        let scratch = try Scratch()
        try await withServer {
            $1.respond(status, body: status == 304 ? "" : "words")
        } _: { server in
            try await withTransfer { transfer in
                if status == 206 {
                    let error = try await failure { () throws(HTTPTransferError) in
                        try await download(transfer, server.url, scratch)
                    }
                    #expect(error.kind == .protocolViolation)
                } else {
                    let result = try await download(transfer, server.url, scratch)
                    #expect(!result.isComplete && result.bytes == 0 && result.response.status == status)
                    if status != 304 { #expect(result.response.body == Array("words".utf8)) }
                }
                #expect(scratch.names.isEmpty)
            }
        }
    }

    @Test func anEndlessErrorIsCut() async throws {
        let scratch = try Scratch()
        try await withServer { _, connection in
            connection.send("HTTP/1.1 500 No\r\n\r\n")
            while connection.send([UInt8](repeating: 65, count: 10_000)) {}
        } _: { server in
            try await withTransfer { transfer in
                let result = try await download(transfer, server.url, scratch, limit: 10)
                #expect(result.response.status == 500)
                #expect(result.response.body.count == 64 << 10)
            }
        }
    }

    @Test(arguments: [true, false])
    func overTheLimit(announced: Bool) async throws {
        let scratch = try Scratch()
        try await withServer { _, connection in
            connection.send("HTTP/1.1 200 OK\r\n" + (announced ? "Content-Length: 101\r\n" : "") + "\r\n")
            while connection.send([UInt8](repeating: 65, count: 101)) {}
        } _: { server in
            try await withTransfer { transfer in
                let error = try await failure { () throws(HTTPTransferError) in
                    try await download(transfer, server.url, scratch, limit: 100)
                }
                #expect(error.kind == .tooLarge(limit: 100))
                #expect(scratch.names.isEmpty)
            }
        }
    }

    @Test func truncatedLeavesNoFile() async throws {
        let scratch = try Scratch()
        try await withServer { _, connection in
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            connection.close()
        } _: { server in
            try await withTransfer { transfer in
                let error = try await failure { () throws(HTTPTransferError) in
                    try await download(transfer, server.url, scratch)
                }
                #expect(error.kind == .connectionLost(requestSent: true))
                #expect(scratch.names.isEmpty)
            }
        }
    }

    @Test func redirectsOfTheSameOriginKeepTheBearer() async throws {
        let scratch = try Scratch()
        try await withServer { request, connection in
            if request.target == "/final" {
                connection.respond(200, body: "file")
            } else {
                connection.respond(307, ["Location: final"], body: "a long text instead of the file")
            }
        } _: { server in
            try await withTransfer { transfer in
                let result = try await download(transfer, server.url + "/f", scratch)
                #expect(result.isComplete && result.bytes == 4 && result.sentCredentials)
                #expect(result.response.effectiveURL == server.url + "/final")
                #expect(server.requests.allSatisfy { $0["Authorization"] == "Bearer token" })
                #expect(try String(contentsOfFile: scratch.file("f"), encoding: .utf8) == "file")
            }
        }
    }

    @Test func anotherOriginGetsNoSecrets() async throws {
        let scratch = try Scratch()
        let other = try TestServer { request, connection in
            // And back: what was dropped stays dropped.
            connection.respond(302, ["Location: \(request["X-Back"] ?? "")/final"])
        }
        defer { other.stop() }
        let place = other.url
        try await withServer { request, connection in
            if request.target == "/final" {
                connection.respond(200, body: "file")
            } else {
                connection.respond(302, ["Location: \(place)/x"])
            }
        } _: { server in
            try await withTransfer { transfer in
                let result = try await download(
                    transfer, server.url + "/f", scratch,
                    headers: [
                        .init("X-Secret", "s", isSecret: true), .init("X-Api-Key", "k"), .init("X-Back", server.url),
                        .init("Cookie", "c"),
                    ])
                #expect(result.isComplete && !result.sentCredentials)
                let first = try #require(server.requests.first)
                #expect(first["Authorization"] != nil && first["X-Secret"] != nil && first["X-Api-Key"] != nil)
                for request in [try #require(other.requests.first), try #require(server.requests.last)] {
                    for name in ["Authorization", "X-Secret", "X-Api-Key", "Cookie"] { #expect(request[name] == nil) }
                    #expect(request["X-Back"] != nil)
                }
            }
        }
    }

    @Test func endlessRedirects() async throws {
        let scratch = try Scratch()
        try await withServer {
            $1.respond(302, ["Location: /again"])
        } _: { server in
            try await withTransfer { transfer in
                let error = try await failure { () throws(HTTPTransferError) in
                    try await download(transfer, server.url, scratch)
                }
                #expect(error.kind == .redirect)
                #expect(server.requests.count == 6)
                #expect(scratch.names.isEmpty)
            }
        }
    }

    @Test(arguments: [
        "file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:pw@127.0.0.1/", "javascript:x", "http://",
    ])
    func redirectsToNowhere(_ location: String) async throws {
        let scratch = try Scratch()
        try await withServer {
            $1.respond(302, ["Location: " + location])
        } _: { server in
            try await withTransfer { transfer in
                let error = try await failure { () throws(HTTPTransferError) in
                    try await download(transfer, server.url, scratch)
                }
                #expect(error.kind == .redirect)
                #expect(scratch.names.isEmpty)
            }
        }
    }

    @Test func aRedirectWithoutAPlaceIsAnAnswer() async throws {
        let scratch = try Scratch()
        try await withServer {
            $1.respond(302)
        } _: { server in
            try await withTransfer { transfer in
                let result = try await download(transfer, server.url, scratch)
                #expect(!result.isComplete && result.response.status == 302)
            }
        }
    }

    @Test(arguments: ["/nonexistent/dir/f", "", "/proc/f", "a\u{0}b"])
    func noPlaceForTheFile(_ path: String) async throws {
        try await withTransfer { transfer in
            let error = try await failure { () throws(HTTPTransferError) in
                try await transfer.download(HTTPRequest(.get, "http://127.0.0.1:1/"), to: path, maximumBytes: 1)
            }
            guard case .file = error.kind else {
                Issue.record("\(error.kind)")
                return
            }
        }
    }

    @Test func aDirectoryInTheWayIsSaid() async throws {
        let scratch = try Scratch()
        // The directory at the target's name: the rename is what fails.
        try FileManager.default.createDirectory(atPath: scratch.file("f"), withIntermediateDirectories: true)
        try await withServer {
            $1.respond(200, body: "file")
        } _: { server in
            try await withTransfer { transfer in
                let error = try await failure { () throws(HTTPTransferError) in
                    try await download(transfer, server.url, scratch)
                }
                #expect(error.kind == .file(path: scratch.file("f"), errno: EISDIR))
                #expect(scratch.names == ["f"])
            }
        }
    }

    @Test func onlyAGet() async throws {
        try await withTransfer { transfer in
            let error = try await failure { () throws(HTTPTransferError) in
                try await transfer.download(
                    HTTPRequest(.post, "http://127.0.0.1:1/", body: [1]), to: "/tmp/never", maximumBytes: 1)
            }
            #expect(error.kind == .badRequest)
        }
    }
}
