import Foundation
import HTTPTestServer
import HTTPTransfer
import Testing

@Suite(.serialized) struct UploadTests {
    private func boundary(_ request: TestRequest) throws -> String {
        let type = try #require(request["Content-Type"])
        #expect(type.hasPrefix("multipart/form-data; boundary="))
        return String(type.split(separator: "=")[1])
    }

    @Test func partsArriveWhole() async throws {
        let scratch = try Scratch()
        let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }
        let path = try scratch.write("x", bytes)
        try await withServer {
            $1.respond(201, body: "{}")
        } _: { server in
            try await withTransfer { transfer in
                let response = try await transfer.upload(
                    HTTPRequest(.post, server.url + "/api/files", bearer: "t", deadlines: .file),
                    parts: [
                        HTTPPart(name: "note", content: .bytes(Array("hello".utf8))),
                        HTTPPart(name: "file", fileName: "blue.png", mediaType: "image/png", content: .file(path)),
                        HTTPPart(name: "empty", content: .bytes([])),
                    ])
                #expect(response.status == 201)
                let request = try #require(server.requests.first)
                #expect(request["Expect"] == nil)
                #expect(request["Transfer-Encoding"] == nil)
                #expect(request["Authorization"] == "Bearer t")
                let mark = try boundary(request)
                let body = Data(request.body)
                let head =
                    "Content-Disposition: form-data; name=\"file\"; filename=\"blue.png\"\r\nContent-Type: image/png\r\n\r\n"
                let start = try #require(body.range(of: Data(head.utf8))?.upperBound)
                #expect(body[start..<(start + bytes.count)] == Data(bytes))
                #expect(body[(start + bytes.count)...].starts(with: Data("\r\n--\(mark)".utf8)))
                #expect(body.range(of: Data("name=\"note\"\r\n\r\nhello\r\n".utf8)) != nil)
            }
        }
    }

    @Test func anEmptyFile() async throws {
        let scratch = try Scratch()
        let path = try scratch.write("x", [])
        try await withServer {
            $1.respond(201)
        } _: { server in
            try await withTransfer { transfer in
                let response = try await transfer.upload(
                    HTTPRequest(.post, server.url), parts: [HTTPPart(name: "file", fileName: "e", content: .file(path))]
                )
                #expect(response.status == 201)
                #expect(server.requests.first?.text.contains("filename=\"e\"") == true)
            }
        }
    }

    @Test(arguments: [
        ("a\"b.txt", "filename=\"a%22b.txt\""), ("a\r\nX-Evil: 1\r\n\r\nb", "filename=\"a__X-Evil: 1____b\""),
        ("grün 🐟.png", "filename=\"grün 🐟.png\""), ("a\u{0}b", "filename=\"a_b\""),
        ("../../etc/passwd", "filename=\"../../etc/passwd\""),
        ("a\\\"; filename=\"x", "filename=\"a\\%22; filename=%22x\""),
    ])
    func hostileNames(_ name: String, _ expected: String) async throws {
        let scratch = try Scratch()
        let path = try scratch.write("x", [1, 2, 3])
        try await withServer {
            $1.respond(201)
        } _: { server in
            try await withTransfer { transfer in
                _ = try await transfer.upload(
                    HTTPRequest(.post, server.url),
                    parts: [HTTPPart(name: "file", fileName: name, content: .file(path))])
                let request = try #require(server.requests.first)
                let head = try #require(request.text.components(separatedBy: "\r\n\r\n").first)
                #expect(head.contains(expected), "\(head)")
                #expect(head.components(separatedBy: "\r\n").count == 3)
            }
        }
    }

    @Test(arguments: ["text/plain\r\nX: y", "", "te\u{0}xt", "täxt/plain"])
    func hostileMediaTypes(_ type: String) async throws {
        try await withTransfer { transfer in
            let error = try await failure { () throws(HTTPTransferError) in
                try await transfer.upload(
                    HTTPRequest(.post, "http://127.0.0.1:1"),
                    parts: [HTTPPart(name: "f", mediaType: type, content: .bytes([1]))])
            }
            #expect(error.kind == .badRequest)
        }
    }

    @Test(arguments: ["/nonexistent", "/tmp", "/dev/null", "a\u{0}b"])
    func noSuchFile(_ path: String) async throws {
        try await withTransfer { transfer in
            let error = try await failure { () throws(HTTPTransferError) in
                try await transfer.upload(
                    HTTPRequest(.post, "http://127.0.0.1:1"), parts: [HTTPPart(name: "f", content: .file(path))])
            }
            guard case .file = error.kind else {
                Issue.record("\(error.kind)")
                return
            }
        }
    }

    @Test(arguments: [1 << 20, 200 << 20])
    func aFileThatChangesMeanwhile(_ size: Int) async throws {
        let scratch = try Scratch()
        let path = try scratch.sparse("x", bytes: 128 << 20)
        let server = try TestServer(onHead: { truncate(path, off_t(size)) }, handler: { $1.respond(201) })
        defer { server.stop() }
        try await withTransfer { transfer in
            let error = try await failure { () throws(HTTPTransferError) in
                try await transfer.upload(
                    HTTPRequest(.post, server.url, deadlines: .file), parts: [HTTPPart(name: "f", content: .file(path))]
                )
            }
            #expect(error.kind == .fileChanged(path: path))
            #expect(!error.requestSent)
            #expect(server.requests.isEmpty)
        }
    }

    @Test(arguments: [401, 307])
    func refusedAndSentAgain(_ status: Int) async throws {
        let scratch = try Scratch()
        let path = try scratch.write("x", [UInt8](repeating: 66, count: 300_000))
        try await withServer { request, connection in
            connection.respond(request["Authorization"] == "Bearer new" ? 201 : status, ["Location: /elsewhere"])
        } _: { server in
            try await withTransfer { transfer in
                for (token, expected) in [("old", status), ("new", 201)] {
                    let response = try await transfer.upload(
                        HTTPRequest(.post, server.url, bearer: token),
                        parts: [HTTPPart(name: "f", content: .file(path))])
                    #expect(response.status == expected)
                }
                #expect(server.requests.count == 2)
                #expect(server.requests.allSatisfy { $0.target == "/" && $0.bodyBytes > 300_000 })
            }
        }
    }

    @Test func aDeadConnectionIsSentAgainFromTheStart() async throws {
        let scratch = try Scratch()
        let path = try scratch.write("x", [UInt8](repeating: 66, count: 300_000))
        try await withServer { request, connection in
            if connection.number == 1, request.method == "POST" { connection.close() } else { connection.respond(200) }
        } _: { server in
            try await withTransfer { transfer in
                _ = try await transfer.perform(HTTPRequest(.get, server.url))
                let response = try await transfer.upload(
                    HTTPRequest(.post, server.url, isRepeatable: true),
                    parts: [HTTPPart(name: "f", content: .file(path))])
                #expect(response.status == 200)
                let posts = server.requests.filter { $0.method == "POST" }
                #expect(posts.count == 2)
                #expect(posts.allSatisfy { $0.bodyBytes > 300_000 })
            }
        }
    }

    @Test func refusedBeforeItWasRead() async throws {
        let scratch = try Scratch()
        let path = try scratch.sparse("x", bytes: 64 << 20)
        try await withServer(readsRequests: false) { _, _ in
        } _: { server in
            try await withTransfer { transfer in
                let error = try await failure { () throws(HTTPTransferError) in
                    try await transfer.upload(
                        HTTPRequest(.post, server.url, deadlines: .file),
                        parts: [HTTPPart(name: "f", content: .file(path))])
                }
                // The reset may be there before libcurl has seen that it is connected.
                #expect(error.kind == .connectionLost(requestSent: false) || error.kind == .connect)
                #expect(!error.requestSent)
            }
        }
    }

    /// In a process of its own, for the memory measured is that of the whole process; the address sanitizer keeps what is freed.
    @Test(.enabled(if: dlsym(nil, "__asan_init") == nil)) func memoryStaysFlatBothWays() async {
        await #expect(processExitsWith: .success) {
            let size = 256 << 20
            let scratch = try Scratch()
            let path = try scratch.sparse("big", bytes: size)
            try await withServer { request, connection in
                if request.method == "POST" { return connection.respond(201) }
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
                let piece = [UInt8](repeating: 7, count: 1 << 20)
                for _ in 0..<(size >> 20) where !connection.isClosed { connection.send(piece) }
            } _: { server in
                try await withTransfer { transfer in
                    _ = try await transfer.perform(HTTPRequest(.post, server.url))
                    let before = Memory.now
                    try Memory.resetPeak()
                    let response = try await transfer.upload(
                        HTTPRequest(.post, server.url, deadlines: .file),
                        parts: [HTTPPart(name: "file", fileName: "big", content: .file(path))])
                    let result = try await transfer.download(
                        HTTPRequest(.get, server.url, deadlines: .file), to: scratch.file("back"),
                        maximumBytes: Int64(size))
                    let growth = Memory.peak - before
                    let posted = server.requests.last { $0.method == "POST" }?.bodyBytes ?? 0
                    print("memory grew by", growth >> 10, "KiB over", size >> 20, "MiB each way")
                    // Half of it is the test server's.
                    guard response.status == 201, result.bytes == size, posted > size, growth < 8 << 20 else {
                        exit(EXIT_FAILURE)
                    }
                }
            }
        }
    }

    /// In a process of its own, for others open and close too.
    @Test func noDescriptorIsLeft() async {
        await #expect(processExitsWith: .success) {
            let scratch = try Scratch()
            let path = try scratch.write("x", [1, 2, 3])
            func open() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
            // The first use of either opens what the libraries keep.
            try await withTransfer { _ = try? await $0.perform(HTTPRequest(.get, "http://127.0.0.1:1/")) }
            let before = try open()
            try await withTransfer { transfer in
                for number in 0..<50 {
                    let request = HTTPRequest(.get, "http://127.0.0.1:1/\(number)")
                    _ = try? await transfer.download(request, to: scratch.file("y"), maximumBytes: 1)
                    let parts = [
                        HTTPPart(name: "a", content: .file(path)), HTTPPart(name: "b", content: .file(path)),
                        HTTPPart(name: "c", content: .file(number % 2 == 0 ? path : "/nonexistent")),
                    ]
                    _ = try? await transfer.upload(HTTPRequest(.post, "http://127.0.0.1:1/"), parts: parts)
                }
            }
            guard try open() == before, scratch.names == ["x"] else { exit(EXIT_FAILURE) }
        }
    }
}
