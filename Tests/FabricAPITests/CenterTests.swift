import HTTPTestServer
import HTTPTransfer
import Testing

@testable import FabricAPI

@Suite struct CenterTests {
    private let session = """
        {"accessToken":"A","refreshToken":"R","expiresIn":"900","user":{"id":"u","email":"e@x","name":null},
        "guilds":[{"nodeId":"g1","name":"G","endpoint":"http://h:1","status":"active","purpose":null,"new":[]},
        {"nodeId":"g2","endpoint":"http://h:2"},{"nodeId":"noEndpoint"},{"endpoint":"noId"},7,null],
        "guildAccessTokens":[{"guildNodeId":"g1","token":"T1"},{"guildNodeId":"g3","token":"T3"},{"token":"x"},null],"new":1}
        """

    @Test func login() async throws {
        try await withFabric {
            $1.respond(201, body: session)
        } _: { _, center, server in
            let session = try await center.login(apiKey: "fak_\"key")
            #expect(session.accessToken == "A" && session.refreshToken == "R" && session.expiresInSeconds == 900)
            #expect(session.user == FabricUser(id: "u", email: "e@x"))
            #expect(
                session.guilds == [
                    FabricGuildInfo(nodeId: "g1", name: "G", endpoint: "http://h:1", status: "active"),
                    FabricGuildInfo(nodeId: "g2", endpoint: "http://h:2"),
                ])
            #expect(session.guildAccessTokens == ["g1": "T1", "g3": "T3"])
            let request = try #require(server.requests.first)
            #expect(request.method == "POST" && request.target == "/api/auth/agent/login")
            #expect(request.text == #"{"apiKey":"fak_\"key"}"#)
            #expect(request["Content-Type"] == "application/json")
            #expect(request["Authorization"] == nil)
        }
    }

    @Test(arguments: [
        #"{"data":{"accessToken":"A","user":{"id":"u"}}}"#,
        #"{"access_token":"A","user":{"userId":"u"},"guildAccessTokens":{"g":"T"}}"#,
    ])
    func otherShapes(_ body: String) async throws {
        try await withFabric {
            $1.respond(200, body: body)
        } _: { _, center, _ in
            let session = try await center.login(apiKey: "fak_x")
            #expect(session.accessToken == "A" && session.user.id == "u" && session.guilds.isEmpty)
        }
    }

    @Test(arguments: [
        "", "null", "[]", "{}", "{", "<html>", #"{"accessToken":"secret-access"}"#,
        #"{"accessToken":7e400,"user":{"id":"u"}}"#,
        #"{"accessToken":"secret-access","user":{}}"#, #"{"accessToken":"secret-access","user":{"id":"u"}"#,
        #"{"accessToken":"","user":{"id":"u"}}"#, "\u{FEFF}{}", #"{"accessToken":{},"user":[]}"#,
    ])
    func notASession(_ body: String) async throws {
        try await withFabric {
            $1.respond(200, body: body)
        } _: { _, center, _ in
            let error = try await failure { () throws(FabricError) in try await center.login(apiKey: "fak_x") }
            #expect(error.kind == .malformed)
            #expect(!error.description.contains("secret-access"))
        }
    }

    @Test func deepNestingIsRefused() async throws {
        let deep = String(repeating: "[", count: 100_000)
        try await withFabric {
            $1.respond(200, body: deep)
        } _: { guild, center, _ in
            let error = try await failure { () throws(FabricError) in try await center.login(apiKey: "fak_x") }
            #expect(error.kind == .malformed)
            let other = try await failure { () throws(FabricError) in
                try await guild.history(channel: "c", from: nil, to: nil, limit: 1, token: "t")
            }
            #expect(other.kind == .malformed)
        }
    }

    @Test func printingShowsNoTokens() {
        let session = FabricSession(
            accessToken: "secret1", refreshToken: "secret2", user: FabricUser(id: "u"), guilds: [],
            guildAccessTokens: ["g": "secret3"])
        let request = HTTPRequest(.get, "http://h/?t=secret5", headers: [.init("X", "secret6")], bearer: "secret7")
        var text =
            "\(session) \(request) \([session]) \([request])"
        dump(session, to: &text)
        dump(request, to: &text)
        debugPrint(session, request, to: &text)
        #expect(!text.contains("secret"))
    }

    // MARK: Addresses that are not quite right

    /// `/api` forgotten: the likeliest slip is tried, without the key, and named.
    @Test func aForgottenPrefixIsFound() async throws {
        let server = try TestServer { request, connection in
            if request.target == "/api/auth/agent/login" {
                return connection.respond(400, body: #"{"message":["apiKey must be a string"],"statusCode":400}"#)
            }
            connection.respond(404, body: #"{"message":"Cannot POST \#(request.target)","statusCode":404}"#)
        }
        defer { server.stop() }
        let http = try HTTPTransfer(configuration: .init(usesEnvironmentProxy: false))
        defer { http.shutdown() }
        let forgotten = try FabricCenter(base: server.url, http: http)
        for error in [
            try await failure { () throws(FabricError) in try await forgotten.login(apiKey: "fak_secretsecret") },
            try await failure { () throws(FabricError) in try await forgotten.check() },
        ] {
            #expect(error.kind == .rejected(status: 404, code: nil))
            #expect(error.remedy.contains("Center is at \(server.url)/api:"), "\(error)")
        }
        #expect(server.requests.allSatisfy { $0.target == "/auth/agent/login" || !$0.text.contains("fak_") })
        try await FabricCenter(base: server.url + "/api", http: http).check()
        let elsewhere = try FabricCenter(base: server.url + "/v2/api", http: http)
        let error = try await failure { () throws(FabricError) in try await elsewhere.login(apiKey: "k") }
        #expect(error.remedy.contains("There is no Center at \(server.url)/v2/api") && error.remedy.contains("7001"))
    }

    /// The port next to Center's: a guild refuses everybody who comes without its token, and that says nothing of the key.
    @Test func aGuildIsNotTakenForCenter() async throws {
        let server = try TestServer { request, connection in
            connection.respond(
                401, body: #"{"message":"missing bearer token","error":"Unauthorized","statusCode":401}"#)
        }
        defer { server.stop() }
        let http = try HTTPTransfer(configuration: .init(usesEnvironmentProxy: false))
        defer { http.shutdown() }
        for base in [server.url, server.url + "/api"] {
            let center = try FabricCenter(base: base, http: http)
            for error in [
                try await failure { () throws(FabricError) in try await center.login(apiKey: "fak_secretsecret") },
                try await failure { () throws(FabricError) in try await center.check() },
            ] {
                #expect(error.kind == .rejected(status: 401, code: nil) && !error.speaksOfCredential, "\(error)")
                #expect(error.remedy.contains("\(base) is a guild") && error.remedy.contains("7001"), "\(error)")
            }
        }
    }

    @Test func theWrongSchemeIsNoMatterOfCertificates() async throws {
        // As a server of TLS does: it hangs up when it has seen what it was sent, not before.
        let mute = try TestServer { $1.close() }
        defer { mute.stop() }
        let http = try HTTPTransfer(configuration: .init(usesEnvironmentProxy: false))
        defer { http.shutdown() }
        func words(_ base: String) async throws -> String {
            let center = try FabricCenter(base: base, http: http)
            return try await failure { () throws(FabricError) in try await center.check() }.remedy
        }
        let operation = FabricOperation(name: "", place: "", isRepeatable: true, secrets: [], refusalRemedy: "")
        let greeting = "TLS connect error: error:0A00010B:SSL routines::wrong version number"
        let secure = operation.failure(HTTPTransferError(.tls, greeting)).remedy
        #expect(secure.contains("begins with http://") && !secure.contains("certificate"), "\(secure)")
        let plain = try await words("http://127.0.0.1:\(mute.port)/api")
        #expect(plain.contains("begins with https://"), "\(plain)")
        // Nobody listens on port 1.
        let closed = try await words("http://127.0.0.1:1/api")
        #expect(closed.contains("check host and port"), "\(closed)")
    }
}
