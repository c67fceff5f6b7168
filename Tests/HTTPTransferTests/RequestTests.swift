import HTTPTestServer
import HTTPTransfer
import Testing

@Suite struct RequestTests {
    @Test(arguments: [200, 201, 204, 301, 400, 401, 403, 404, 409, 429, 500, 503])
    func everyStatusIsAResponse(_ status: Int) async throws {
        try await withServer {
            $1.respond(status, ["X-Test: a", "x-test: b"], body: status == 204 ? "" : "words")
        } _: { server in
            try await withTransfer { transfer in
                let response = try await transfer.perform(HTTPRequest(.get, server.url + "/x?y=1"))
                #expect(response.status == status)
                #expect(response.isSuccess == (200..<300).contains(status))
                #expect(response.headers["X-TEST"] == "a")
                #expect(response.headers.fields.filter { $0.name.lowercased() == "x-test" }.count == 2)
                if status != 204 { #expect(response.body == Array("words".utf8)) }
            }
        }
    }

    @Test func whatIsSent() async throws {
        try await withServer {
            $1.respond(201)
        } _: { server in
            try await withTransfer(.init(userAgent: "unit/1", usesEnvironmentProxy: false)) { transfer in
                _ = try await transfer.perform(
                    HTTPRequest(
                        .post, server.url + "/a/b",
                        headers: [.init("Content-Type", "application/json"), .init("X-E", "")],
                        body: Array("{}".utf8), bearer: "secret"))
                let request = try #require(server.requests.first)
                #expect(request.method == "POST")
                #expect(request.target == "/a/b")
                #expect(request.text == "{}")
                #expect(request["Authorization"] == "Bearer secret")
                #expect(request["Content-Type"] == "application/json")
                #expect(request["User-Agent"] == "unit/1")
                #expect(request["X-E"] == "")
                #expect(request["Expect"] == nil)
                #expect(request["Accept-Encoding"] == nil)
                #expect(request["Upgrade"] == nil)
            }
        }
    }

    @Test(arguments: [HTTPMethod.get, .head, .post, .put, .patch, .delete], [nil, "", "body"])
    func methods(_ method: HTTPMethod, _ body: String?) async throws {
        try await withServer { request, connection in
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + (request.method == "HEAD" ? "" : "ok"))
        } _: { server in
            try await withTransfer { transfer in
                let response = try await transfer.perform(
                    HTTPRequest(method, server.url, body: body.map { Array($0.utf8) }))
                let request = try #require(server.requests.first)
                #expect(response.status == 200)
                #expect(request.method == method.rawValue)
                #expect(request.text == (method == .head ? "" : body ?? ""))
                #expect(request["Content-Type"] == nil)
            }
        }
    }

    @Test func redirectsAreReturned() async throws {
        try await withServer {
            $1.respond(302, ["Location: /other"])
        } _: { server in
            try await withTransfer { transfer in
                let response = try await transfer.perform(HTTPRequest(.get, server.url))
                #expect(response.status == 302)
                #expect(response.headers["location"] == "/other")
                #expect(server.requests.count == 1)
            }
        }
    }

    @Test(arguments: [
        "", "not a url", "ftp://h/x", "file:///etc/passwd", "gopher://h", "http://", "http://user:pw@h/", "http://u@h/",
        "http://h:99999/", "http://h\r\nX: y/", "javascript:alert(1)", "//h/x", "/x", "http://h\u{0}/",
    ])
    func badURLs(_ url: String) async throws {
        try await withTransfer { transfer in
            let error = try await failure { () throws(HTTPTransferError) in
                try await transfer.perform(HTTPRequest(.get, url))
            }
            #expect(error.kind == .badURL)
            #expect(!error.description.contains("pw"))
        }
    }

    @Test(arguments: [
        HTTPHeader("X", "a\r\nY: b"), HTTPHeader("X\r\nY", "b"), HTTPHeader("", "b"), HTTPHeader("X", "a\u{0}b"),
        HTTPHeader("Content-Length", "5"), HTTPHeader("X Y", "b"),
    ])
    func headersCannotSmuggle(_ header: HTTPHeader) async throws {
        try await withTransfer { transfer in
            let request = HTTPRequest(.get, "http://127.0.0.1:1/", headers: [header])
            let error = try await failure { () throws(HTTPTransferError) in try await transfer.perform(request) }
            #expect(error.kind == .badRequest)
        }
    }

    @Test func theBearerCannotSmuggle() async throws {
        try await withTransfer { transfer in
            let request = HTTPRequest(.get, "http://127.0.0.1:1/", bearer: "eyJ\r\nX: y")
            let error = try await failure { () throws(HTTPTransferError) in try await transfer.perform(request) }
            #expect(error.kind == .badRequest)
            #expect(!error.description.contains("eyJ"))
        }
    }

    @Test(arguments: [
        ("120", Duration.seconds(120)), ("0", .zero), ("-5", .zero), ("Wed, 21 Oct 2015 07:28:00 GMT", .zero),
        ("soon", .zero), ("99999999999", .seconds(86_400)),
        ("99999999999999999999999999", .zero),
    ])
    func retryAfterIsNeverNegative(_ text: String, _ expected: Duration) async throws {
        try await withServer {
            $1.respond(429, ["Retry-After: " + text])
        } _: { server in
            try await withTransfer { transfer in
                let response = try await transfer.perform(HTTPRequest(.get, server.url))
                #expect(response.retryAfter == expected)
            }
        }
    }

    @Test func retryAfterMayBeAbsent() async throws {
        try await withServer {
            $1.respond(503)
        } _: { server in
            try await withTransfer { transfer in
                let response = try await transfer.perform(HTTPRequest(.get, server.url))
                #expect(response.retryAfter == nil)
            }
        }
    }

    @Test func continueIsNotTheAnswer() async throws {
        try await withServer {
            $1.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        } _: { server in
            try await withTransfer { transfer in
                let response = try await transfer.perform(HTTPRequest(.get, server.url))
                #expect(response.status == 200)
                #expect(response.headers["Link"] == nil)
                #expect(response.body == Array("ok".utf8))
            }
        }
    }

    @Test func nothingIsDecompressed() async throws {
        let gzip: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        try await withServer {
            $1.respond(200, ["Content-Encoding: gzip"], bytes: gzip)
        } _: { server in
            try await withTransfer { transfer in
                let response = try await transfer.perform(HTTPRequest(.get, server.url))
                #expect(response.body == gzip)
            }
        }
    }

    /// Asked when the connection is there, not when the request is made: what is allowed may change while it waits.
    @Test func whatMayNotBeginAnyMoreIsNotSent() async throws {
        try await withServer {
            $1.respond(200)
        } _: { server in
            try await withTransfer { transfer in
                var request = HTTPRequest(.post, server.url + "/edit", body: Array("x".utf8))
                request.mayBegin = { true }
                let sent = try await transfer.perform(request)
                #expect(sent.status == 200)
                request.mayBegin = { false }
                do throws(HTTPTransferError) {
                    _ = try await transfer.perform(request)
                    Issue.record("it was sent")
                } catch {
                    #expect(error.kind == .cancelled && !error.requestSent)
                }
                #expect(server.requests.count == 1)
            }
        }
    }
}
