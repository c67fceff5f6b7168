import Foundation
import HTTPTestServer
import HTTPTransfer
import Testing

@testable import FabricAPI

/// Which failure is what kind, and what is said about it.
@Suite struct ErrorTests {
    private let message = FabricOutgoingMessage(content: "hi")

    @Test(arguments: [
        (401, FabricError.Kind.refused(status: 401)), (403, .refused(status: 403)),
        (408, .passing(status: 408, retryAfter: nil)), (429, .passing(status: 429, retryAfter: nil)),
        (500, .passing(status: 500, retryAfter: nil)), (503, .passing(status: 503, retryAfter: nil)),
        (400, .rejected(status: 400, code: nil)), (404, .rejected(status: 404, code: nil)),
        (413, .rejected(status: 413, code: nil)), (302, .rejected(status: 302, code: nil)),
    ])
    func byStatus(_ status: Int, _ kind: FabricError.Kind) async throws {
        try await withFabric {
            $1.respond(status, body: #"{"message":"What Is Wrong","statusCode":1}"#)
        } _: { guild, center, _ in
            for error in [
                try await failure { () throws(FabricError) in try await guild.channels(token: "t") },
                try await failure { () throws(FabricError) in
                    try await guild.post(channel: "c", message, idempotencyKey: "k", token: "t")
                },
                try await failure { () throws(FabricError) in try await center.login(apiKey: "fak_x") },
                try await failure { () throws(FabricError) in
                    try await guild.download(
                        url: "/api/files/x", to: "/tmp/never-\(UUID())", maximumBytes: 10, token: "t")
                },
            ] {
                #expect(error.kind == kind)
                #expect(error.serverWords == "What Is Wrong")
                #expect(!error.remedy.isEmpty)
            }
        }
    }

    /// A refusal that speaks of the key is Center's; others may be a firewall's.
    @Test(arguments: [
        (401, #"{"message":"Unauthorized","statusCode":401}"#, true), (401, #"{"message":"invalid api key"}"#, true),
        (403, #"{"message":"this API key was revoked","statusCode":403}"#, true),
        (400, #"{"message":["apiKey should not be empty"],"error":"Bad Request","statusCode":400}"#, true),
        (401, "", false), (401, "<html>Unauthorized: no API key</html>", false), (401, "401", false),
        (403, #"{"message":"Forbidden resource","statusCode":403}"#, false), (403, "<html>blocked</html>", false),
        (400, #"{"message":"bad request","statusCode":400}"#, false), (400, "[401]", false),
    ])
    func whatARefusalSpeaksOf(_ status: Int, _ body: String, _ expected: Bool) async throws {
        try await withFabric {
            $1.respond(status, body: body)
        } _: { _, center, _ in
            let error = try await failure { () throws(FabricError) in try await center.login(apiKey: "fak_x") }
            #expect(error.speaksOfCredential == expected)
        }
    }

    @Test func retryAfterIsPassedOn() async throws {
        try await withFabric {
            $1.respond(429, ["Retry-After: 7"])
        } _: { guild, _, _ in
            let error = try await failure { () throws(FabricError) in try await guild.channels(token: "t") }
            #expect(error.kind == .passing(status: 429, retryAfter: .seconds(7)))
        }
    }

    @Test(arguments: [
        #"{"error":"channel_closed"}"#, #"{"statusCode":409,"message":"channel_closed","error":"Conflict"}"#,
        #"{"code":"channel_closed","message":"The channel is closed"}"#,
    ])
    func codes(_ body: String) async throws {
        try await withFabric {
            $1.respond(409, body: body)
        } _: { guild, _, _ in
            let error = try await failure { () throws(FabricError) in
                try await guild.post(channel: "c7", message, idempotencyKey: "k", token: "t")
            }
            #expect(error.kind == .rejected(status: 409, code: "channel_closed"))
            #expect(error.place.contains("sim-guild-1") && error.place.contains("c7"))
            #expect(error.operation == "posting a message")
        }
    }

    @Test func lostAfterSending() async throws {
        try await withFabric {
            $1.close()
        } _: { guild, center, _ in
            let post = try await failure { () throws(FabricError) in
                try await guild.post(channel: "c", message, idempotencyKey: "k", token: "t")
            }
            #expect(post.kind == .unknownOutcome)
            for other in [
                try await failure { () throws(FabricError) in try await guild.channels(token: "t") },
                try await failure { () throws(FabricError) in try await center.login(apiKey: "fak_x") },
                try await failure { () throws(FabricError) in try await guild.join(channel: "c", token: "t") },
            ] {
                #expect(other.kind == .passing(status: nil, retryAfter: nil))
            }
        }
    }

    @Test func truncatedAnswerToAPost() async throws {
        try await withFabric { _, connection in
            connection.send("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"messageId\":")
            connection.close()
        } _: { guild, _, _ in
            let error = try await failure { () throws(FabricError) in
                try await guild.post(channel: "c", message, idempotencyKey: "k", token: "t")
            }
            #expect(error.kind == .unknownOutcome)
        }
    }

    @Test func nobodyThere() async throws {
        let http = try HTTPTransfer(configuration: .init(usesEnvironmentProxy: false))
        let guild = try FabricGuild(nodeId: "g", endpoint: "http://127.0.0.1:1", http: http)
        let error = try await failure { () throws(FabricError) in
            try await guild.post(channel: "c", message, idempotencyKey: "k", token: "t")
        }
        #expect(error.kind == .passing(status: nil, retryAfter: nil))
        #expect(error.place.contains("127.0.0.1:1"))
        http.shutdown()
        let late = try await failure { () throws(FabricError) in try await guild.channels(token: "t") }
        #expect(late.kind == .cancelled)
    }

    @Test(
        arguments: [
            ("token \(token) is bad", "token eyJhbGci… is bad"), ("key fak_0123456789abcdef!", "key fak_0123…!"),
            ("x=\(token),y", "x=eyJhbGci…,y"), ("eyJ", "eyJ"),
            ("your opaque-secret-token-1 is old", "your opaque-s… is old"),
            ("a\r\n\tb\u{0}  c", "a b c"), ("", nil),
        ] as [(String, String?)])
    func secretsAreCut(_ words: String, _ expected: String?) async throws {
        let body = try JSONEncoder().encode(["message": words])
        try await withFabric {
            $1.respond(400, bytes: Array(body))
        } _: { guild, _, _ in
            let error = try await failure { () throws(FabricError) in
                try await guild.channels(token: "opaque-secret-token-1")
            }
            #expect(error.serverWords == expected)
            #expect(!error.description.contains("fak_01234") && !error.description.contains("opaque-secret"))
        }
    }

    @Test(arguments: [
        ("plain words", "plain words"), ("<html>\n<body>no</body>", "<html> <body>no</body>"),
        (#"{"message":["a","b"]}"#, "a; b"), (#"{"error":{"message":"inner"}}"#, "inner"), (#""text""#, "text"),
        (#"{"x":1}"#, #"{"x":1}"#),
    ])
    func wordsInAnyForm(_ body: String, _ expected: String) async throws {
        try await withFabric {
            $1.respond(400, body: body)
        } _: { guild, _, _ in
            let error = try await failure { () throws(FabricError) in try await guild.channels(token: "t") }
            #expect(error.serverWords == expected)
        }
    }

    @Test func longWordsAreCut() async throws {
        let long = String(repeating: "wörd ", count: 5000) + token
        try await withFabric {
            $1.respond(500, body: long)
        } _: { guild, _, _ in
            let error = try await failure { () throws(FabricError) in try await guild.channels(token: "t") }
            #expect(error.serverWords?.count == 300)
        }
        // A secret across the place where it is cut is cut as a secret.
        #expect(Redaction.clean(String(repeating: "a", count: 290) + " " + token, secrets: []).hasSuffix("eyJhbGci…"))
    }

    @Test(arguments: [
        "", "localhost:7001", "ftp://h/api", "http://u:p@h/api", "http://h/api?x=1", "http://h/#x", "http:///api",
    ])
    func badAddresses(_ address: String) async throws {
        let http = try HTTPTransfer(configuration: .init(usesEnvironmentProxy: false))
        defer { http.shutdown() }
        let center = try await failure { () throws(FabricError) in try FabricCenter(base: address, http: http) }
        #expect(center.kind == .local)
        #expect(center.description.contains("centerApiBase"))
        let guild = try await failure { () throws(FabricError) in
            try FabricGuild(nodeId: "g9", endpoint: address, http: http)
        }
        #expect(guild.kind == .local)
        #expect(guild.place.contains("g9"))
    }

    @Test(arguments: ["http://h:7002", "http://h:7002/", "http://h:7002/api", "http://h:7002/api/"])
    func goodAddresses(_ address: String) throws {
        let http = try HTTPTransfer(configuration: .init(usesEnvironmentProxy: false))
        defer { http.shutdown() }
        let guild = try FabricGuild(nodeId: "g", endpoint: address, http: http)
        #expect(guild.endpoint == "http://h:7002")
        #expect(guild.realtimeURL == "http://h:7002")
        #expect(guild.realtimeNamespace == "/realtime")
    }
}
