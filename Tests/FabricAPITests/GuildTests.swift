import Foundation
import HTTPTestServer
import HTTPTransfer
import Testing

@testable import FabricAPI

@Suite struct GuildTests {
    @Test(arguments: [
        "%", #"{"channels":%}"#, #"{"items":%,"total":2}"#, #"{"data":%}"#, #"{"data":{"items":%}}"#,
        #"{"page":{"items":%}}"#,
    ])
    func channels(_ envelope: String) async throws {
        let rows = """
            [{"id":"c1","name":"n","xType":"dm","lastSeq":5,"closed":false,"isPublic":true,"createdAt":"2026-01-01T00:00:00Z",
            "purpose":"p","kind":"text"},{"id":"c2","xType":"novel","lastSeq":"77","closed":1},{"name":"no id"},3,
            {"id":"c3","xType":null,"lastSeq":1e300,"closed":"x","isPublic":[]}]
            """
        try await withFabric {
            $1.respond(200, body: envelope.replacingOccurrences(of: "%", with: rows))
        } _: { guild, _, server in
            let channels = try await guild.channels(token: "t")
            #expect(
                channels == [
                    FabricChannelInfo(
                        id: "c1", name: "n", xType: .dm, lastSeq: 5, isPublic: true, createdAt: "2026-01-01T00:00:00Z",
                        purpose: "p"),
                    FabricChannelInfo(id: "c2", xType: .unknown, lastSeq: 77, closed: true),
                    FabricChannelInfo(id: "c3", xType: .unknown),
                ])
            #expect(server.requests.first?.target == "/api/channels?guildId=sim-guild-1")
            #expect(server.requests.first?["Authorization"] == "Bearer t")
        }
    }

    /// Nothing is not a list without channels: it would take everything away.
    @Test(arguments: [(200, ""), (204, ""), (200, "null"), (200, " \n")])
    func anEmptyAnswerIsNoList(_ status: Int, _ body: String) async throws {
        try await withFabric {
            $1.respond(status, body: body)
        } _: { guild, _, _ in
            let channels = try await failure { () throws(FabricError) in try await guild.channels(token: "t") }
            let members = try await failure { () throws(FabricError) in
                try await guild.memberRows(channel: "c", token: "t")
            }
            #expect(channels.kind == .malformed && members.kind == .malformed)
            let history = try await guild.history(channel: "c", from: nil, to: nil, limit: 5, token: "t")
            #expect(history.messages.isEmpty)
        }
    }

    @Test(arguments: ["{", "{}", "7", "\"x\"", #"{"items":{}}"#, "[1,2", "nul", "[] []"])
    func nonsense(_ body: String) async throws {
        try await withFabric {
            $1.respond(200, body: body)
        } _: { guild, _, _ in
            let list = try await failure { () throws(FabricError) in try await guild.channels(token: "t") }
            #expect(list.kind == .malformed)
            let history = try await failure { () throws(FabricError) in
                try await guild.history(channel: "c", from: nil, to: nil, limit: 5, token: "t")
            }
            #expect(history.kind == .malformed)
        }
    }

    @Test func membersJoinLeave() async throws {
        try await withFabric { request, connection in
            connection.respond(
                201, body: request.method == "GET" ? #"[{"userId":"u1","bypass":true},{"userId":"u2"},"u3",{}]"# : "")
        } _: { guild, _, server in
            let members = try await guild.memberRows(channel: "c/1", token: "t")
            #expect(members.map { $0["userId"]?.string } == ["u1", "u2", "u3"])
            #expect(members.map { $0["bypass"]?.bool } == [true, false, false])
            try await guild.join(channel: "c", token: "t")
            try await guild.leave(channel: "c", token: "t")
            #expect(
                server.requests.map { $0.method + " " + $0.target } == [
                    "GET /api/channels/c%2F1/members", "POST /api/channels/c/join", "POST /api/channels/c/leave",
                ])
            #expect(server.requests.allSatisfy { $0["Authorization"] == "Bearer t" })
        }
    }

    @Test(arguments: [
        "%", #"{"messages":%,"page":{"limit":5}}"#, #"{"page":{"limit":5},"messages":%}"#, #"{"items":%}"#,
        #"{"data":%}"#,
        #"{"page":{"messages":%}}"#, #"{"page":{"items":%,"total":9}}"#, #"{"data":{"messages":%}}"#,
    ])
    func history(_ envelope: String) async throws {
        let rows =
            #"[{"id":"m3","seq":3,"content":"c"},{"messageId":"m1","seq":"1"},{"id":"m2","seq":2},{"id":"m2","seq":2},{"seq":9},null,{"id":"m0"}]"#
        try await withFabric {
            $1.respond(200, body: " " + envelope.replacingOccurrences(of: "%", with: rows) + "\n")
        } _: { guild, _, server in
            let history = try await guild.history(channel: "c", from: 1, to: 9, limit: 5000, token: "t")
            #expect(history.messages.map(\.id) == ["m0", "m1", "m2", "m3"])
            #expect(history.messages.map(\.seq) == [nil, 1, 2, 3])
            #expect(history.skipped == 2)
            #expect(history.messages[3].withMessage { $0.content?.string } == "c")
            #expect(String(decoding: history.messages[3].json, as: UTF8.self) == #"{"id":"m3","seq":3,"content":"c"}"#)
            #expect(server.requests.first?.target == "/api/channels/c/messages?limit=200&seqFrom=1&seqTo=9")
        }
    }

    @Test(
        arguments: [
            (#"{"messageId":"m","seq":5}"#, "m", 5), (#"{"id":"m","seq":"5"}"#, "m", 5),
            (#"{"message":{"id":"m","seq":5}}"#, "m", 5),
            (#"{"data":{"messageId":"m"}}"#, "m", nil), (#"{"seq":5}"#, nil, 5),
        ] as [(String, String?, Int64?)])
    func post(_ answer: String, _ id: String?, _ seq: Int64?) async throws {
        try await withFabric {
            $1.respond(201, body: answer)
        } _: { guild, _, server in
            let posted = try await guild.post(
                channel: "c",
                FabricOutgoingMessage(
                    content: "grün\n\"🐟\"",
                    attachments: [.init(id: "f", url: "/api/files/f", name: "n", mediaType: "t", size: 3)],
                    replyTo: "m0"), idempotencyKey: "key-1", token: "t")
            #expect(posted == FabricPosted(messageId: id, seq: seq))
            let request = try #require(server.requests.first)
            #expect(request.target == "/api/channels/c/messages")
            #expect(request["idempotency-key"] == "key-1")
            #expect(
                request.text
                    == #"{"content":"grün\n\"🐟\"","attachments":[{"id":"f","url":"/api/files/f","name":"n","mimeType":"t","size":3}],"replyToMessageId":"m0","replyTo":"m0","replyToId":"m0"}"#
            )
        }
    }

    @Test(arguments: [
        #"{"id":"f","url":"/api/files/f","name":"n","mimeType":"t","size":3}"#,
        #"{"file":{"id":"f","filename":"n","contentType":"t","bytes":3}}"#,
        #"{"data":{"fileId":"f","originalName":"n","mimetype":"t","size":"3"}}"#,
        #"[{"id":"f","name":"n","mediaType":"t","size":3}]"#,
        #"{"files":[{"id":"f","size":3}]}"#,
    ])
    func upload(_ answer: String) async throws {
        let path = NSTemporaryDirectory() + "upload-\(UUID())"
        try Data("abc".utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await withFabric {
            $1.respond(201, body: answer)
        } _: { guild, _, server in
            let file = try await guild.upload(file: path, name: "n", mediaType: "t", token: "t")
            #expect(file == FabricUploadedFile(id: "f", url: "/api/files/f", name: "n", mediaType: "t", size: 3))
            let request = try #require(server.requests.first)
            #expect(request.target == "/api/files" && request["Authorization"] == "Bearer t")
            #expect(request.text.contains("name=\"file\"; filename=\"n\""))
        }
    }

    @Test func uploadWithoutAnAddress() async throws {
        let path = NSTemporaryDirectory() + "upload-\(UUID())"
        try Data("abc".utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await withFabric {
            $1.respond(201, body: #"{"ok":true}"#)
        } _: { guild, _, _ in
            let error = try await failure { () throws(FabricError) in
                try await guild.upload(file: path, name: "n", mediaType: "t", token: "t")
            }
            #expect(error.kind == .malformed)
            let missing = try await failure { () throws(FabricError) in
                try await guild.upload(file: path + "x", name: "n", mediaType: "t", token: "t")
            }
            #expect(missing.kind == .local)
            #expect(missing.description.contains(path + "x"))
        }
    }
}

@Suite struct DownloadTests {
    private let path = NSTemporaryDirectory() + "download-\(UUID())"

    @Test(arguments: ["/api/files/f", "api/files/f", "OWN/api/files/f"])
    func theGuildsOwn(_ reference: String) async throws {
        try await withFabric {
            $1.respond(200, body: "file")
        } _: { guild, _, server in
            defer { try? FileManager.default.removeItem(atPath: path) }
            let url = reference.replacingOccurrences(of: "OWN", with: server.url)
            let result = try await guild.download(url: url, to: path, maximumBytes: 10, token: "t")
            #expect(result.isComplete && result.sentCredentials && result.bytes == 4)
            #expect(server.requests.first?.target == "/api/files/f")
            #expect(server.requests.first?["Authorization"] == "Bearer t")
        }
    }

    /// Whoever writes a message names its files: the agent's token opens no other route for them.
    @Test(arguments: [
        "/api/channels/c/messages?limit=50", "/api/files/../channels/c/messages", "/api/files/%2e%2e/channels",
        "/api/files/%2E%2E%2Fchannels", "/api/files/..%2fchannels", "/api/files/", "/api/files", "/api/filesx/y",
        "OWN/api/channels?guildId=g", "/API/files/f", "//OWNHOST/api/channels", "/api/files/\\..\\channels",
    ])
    func anotherRouteGetsNoToken(_ reference: String) async throws {
        try await withFabric {
            $1.respond(401, body: #"{"message":"missing bearer token","statusCode":401}"#)
        } _: { guild, _, server in
            let host = server.url.split(separator: "/").last.map(String.init) ?? ""
            let url = reference.replacingOccurrences(of: "OWNHOST", with: host)
                .replacingOccurrences(of: "OWN", with: server.url)
            let error = try await failure { () throws(FabricError) in
                try await guild.download(url: url, to: path, maximumBytes: 10, token: "t")
            }
            // Nobody's token was refused.
            #expect(error.kind == .rejected(status: 401, code: nil), "\(error)")
            #expect(server.requests.count == 1 && server.requests.first?["Authorization"] == nil)
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test(arguments: ["http://127.0.0.1:%/x", "//127.0.0.1:%/x", "http://127.0.0.1:%@127.0.0.1:%/x"])
    func anotherServers(_ form: String) async throws {
        let other = try TestServer { $1.respond(200, body: "file") }
        defer { other.stop() }
        try await withFabric {
            $1.respond(500)
        } _: { guild, _, server in
            defer { try? FileManager.default.removeItem(atPath: path) }
            let url = form.replacingOccurrences(of: "%", with: "\(other.port)")
            if form.contains("@") {
                let error = try await failure { () throws(FabricError) in
                    try await guild.download(url: url, to: path, maximumBytes: 10, token: "t")
                }
                #expect(error.kind == .local)
                return
            }
            let result = try await guild.download(url: url, to: path, maximumBytes: 10, token: "t")
            #expect(result.isComplete && !result.sentCredentials)
            #expect(other.requests.first?["Authorization"] == nil)
            #expect(server.requests.isEmpty)
            let strict = try FabricGuild(
                nodeId: "g", endpoint: server.url, http: guild.call.http, foreignDownloads: .refused)
            let error = try await failure { () throws(FabricError) in
                try await strict.download(url: url, to: path, maximumBytes: 10, token: "t")
            }
            #expect(error.kind == .local)
            let careful = try FabricGuild(
                nodeId: "g", endpoint: server.url, http: guild.call.http,
                foreignDownloads: .withoutTokenFromPublicAddresses)
            let another = try await failure { () throws(FabricError) in
                try await careful.download(url: url, to: path, maximumBytes: 10, token: "t")
            }
            #expect(another.kind == .local)
            #expect(another.serverWords?.contains("own network") == true)
            #expect(other.requests.count == 1)
        }
    }

    /// A file of the guild's own that leads elsewhere is judged like one that was elsewhere from the start.
    @Test(arguments: ["127.0.0.1", "localhost", "[::1]", "127.0.0.2"])
    func redirectsAreJudgedByWhereTheyLead(_ host: String) async throws {
        let other = try TestServer { $1.respond(200, body: "secret") }
        defer { other.stop() }
        let port = other.port
        try await withFabric { request, connection in
            switch request.target {
            case "/api/files/own": connection.respond(302, ["Location: /final"])
            case "/final": connection.respond(200, body: "own")
            default: connection.respond(302, ["Location: http://\(host):\(port)/x"])
            }
        } _: { guild, _, server in
            let careful = try FabricGuild(
                nodeId: "g", endpoint: server.url, http: guild.call.http,
                foreignDownloads: .withoutTokenFromPublicAddresses)
            let error = try await failure { () throws(FabricError) in
                try await careful.download(url: "/api/files/away", to: path, maximumBytes: 10, token: "t")
            }
            #expect(error.kind == .local && error.serverWords?.contains("own network") == true)
            #expect(other.connections == 0 && !FileManager.default.fileExists(atPath: path))
            let own = try await careful.download(url: "/api/files/own", to: path, maximumBytes: 10, token: "t")
            #expect(own.isComplete && own.sentCredentials)
            if host == "127.0.0.1" {
                let lenient = try await guild.download(url: "/api/files/away", to: path, maximumBytes: 10, token: "t")
                #expect(lenient.isComplete && !lenient.sentCredentials)
            }
        }
    }

    /// A byte now and then keeps every pause short and the whole endless.
    @Test func aTricklingFileEndsAtItsDeadline() async throws {
        try await withFabric { request, connection in
            if request.target == "/api/files/redirected" {
                return connection.respond(302, ["Location: /api/files/trickle"])
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while !connection.waitForPeer(milliseconds: 50), connection.send([1]) {}
            connection.close()
        } _: { guild, _, _ in
            for url in ["/api/files/trickle", "/api/files/redirected"] {
                let start = ContinuousClock.now
                let error = try await failure { () throws(FabricError) in
                    try await guild.download(
                        url: url, to: path, maximumBytes: 200_000, token: "t", deadline: .milliseconds(600))
                }
                #expect(error.kind == .passing(status: nil, retryAfter: nil))
                #expect(ContinuousClock.now - start < .seconds(20) && ContinuousClock.now - start >= .milliseconds(600))
                #expect(!FileManager.default.fileExists(atPath: path))
            }
        }
    }

    @Test(arguments: [
        "file:///etc/passwd", "javascript:alert(1)", "http://", "ftp://h/x", "http://user:pw@h/x", "data:,x",
        "/\r\nX: y",
    ])
    func badAddresses(_ url: String) async throws {
        try await withFabric {
            $1.respond(200)
        } _: { guild, _, server in
            let error = try await failure { () throws(FabricError) in
                try await guild.download(url: url, to: path, maximumBytes: 10, token: "t")
            }
            #expect(error.kind == .local)
            #expect(server.requests.isEmpty)
        }
    }

    @Test func tooLarge() async throws {
        try await withFabric {
            $1.respond(200, body: "0123456789a")
        } _: { guild, _, _ in
            let error = try await failure { () throws(FabricError) in
                try await guild.download(url: "/f", to: path, maximumBytes: 10, token: "t")
            }
            #expect(error.kind == .tooLarge(limit: 10))
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test(
        arguments: [
            ("http://h/guild", "/api/files/f", "http://h/guild/api/files/f"),
            ("http://h", "api/x:y", "http://h/api/x:y"),
            ("http://h", "x:y", nil), ("http://h", "/\\evil.example/x", "http://h/\\evil.example/x"),
            ("https://h", "//i/x", "https://i/x"),
        ] as [(String, String, String?)])
    func resolving(_ endpoint: String, _ reference: String, _ expected: String?) throws {
        let http = try HTTPTransfer(configuration: .init(usesEnvironmentProxy: false))
        defer { http.shutdown() }
        let guild = try FabricGuild(nodeId: "g", endpoint: endpoint, http: http)
        let resolved = try? guild.resolve(reference, guild.operation("testing", "t"))
        #expect(resolved?.text == expected)
    }
}
