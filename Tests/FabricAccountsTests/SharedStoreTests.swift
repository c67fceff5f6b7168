import FabricAccounts
import Foundation
import Settings
import Testing

/// `store.postgresql`: what is taken, what is refused, and that no password is ever shown.
@Suite struct SharedStoreTests {
    private func store(_ text: String) throws -> SharedStoreSettings? {
        try configuration("{\(center), \"store\": {\"postgresql\": \(text)}}").sharedStore
    }

    private func problems(_ text: String) -> String {
        do {
            _ = try configuration("{\"store\": \(text)}")
            return ""
        } catch {
            return "\(error)"
        }
    }

    private func address(_ url: String, authorities: String? = nil) throws -> PostgreSQLAddress {
        try PostgreSQLAddress(Secret(url), certificateAuthorityFile: authorities)
    }

    private func keywords(_ address: PostgreSQLAddress) -> [String: String] {
        Dictionary(uniqueKeysWithValues: address.keywords.map { ($0.name, $0.value.reveal()) })
    }

    // MARK: The section

    @Test func leftOutIsTheStateDirectory() throws {
        #expect(try configuration("{}").sharedStore == nil)
        #expect(try configuration("{\"store\": {}}").sharedStore == nil)
        #expect(try configuration("{\"store\": {\"postgresql\": null}}").sharedStore == nil)
    }

    @Test func defaults() throws {
        let store = try #require(try store(#"{"url": {"env": "DATABASE"}}"#))
        #expect(store.url == .environment("DATABASE") && store.schema == "fabric" && store.weight == 1)
        #expect(store.beatSeconds == 2 && store.leaseSeconds == 8 && store.certificateAuthorityFile == nil)
        #expect(store.gatewayName(stateDirectory: "/no/such").hasSuffix(":/no/such"))
        #expect(!store.gatewayName(stateDirectory: "/no/such").hasPrefix(":"))
    }

    @Test func everythingSet() throws {
        let store = try #require(
            try store(
                """
                {"url": {"file": "db.url"}, "schema": "agents_2", "certificateAuthorityFile": "ca.pem",
                 "gateway": "east 1", "weight": 0.5, "beatSeconds": 0.5, "leaseSeconds": 1.5}
                """))
        #expect(store.url == .file("/etc/db.url") && store.schema == "agents_2" && store.weight == 0.5)
        #expect(
            store.certificateAuthorityFile == "/etc/ca.pem" && store.beatSeconds == 0.5 && store.leaseSeconds == 1.5)
        #expect(store.gatewayName(stateDirectory: "/x") == "east 1")
    }

    @Test(arguments: [
        (#"{"postgres": {}}"#, "Did you mean \"postgresql\""),
        (#"{"postgresql": {}}"#, "store.postgresql.url: it is missing"),
        (#"{"postgresql": {"url": {"env": "A"}, "weigth": 1}}"#, "Did you mean \"weight\""),
        (#"{"postgresql": {"url": {"env": "A"}, "weight": 0}}"#, "out of range"),
        (#"{"postgresql": {"url": {"env": "A"}, "weight": 1e308}}"#, "out of range"),
        (#"{"postgresql": {"url": {"env": "A"}, "beatSeconds": 0.05}}"#, "out of range"),
        (#"{"postgresql": {"url": {"env": "A"}, "leaseSeconds": 601}}"#, "out of range"),
        (#"{"postgresql": {"url": {"env": "A"}, "leaseSeconds": 5}}"#, "shorter than three beats"),
        (#"{"postgresql": {"url": {"env": "A"}, "beatSeconds": 3}}"#, "shorter than three beats"),
        (#"{"postgresql": {"url": {"env": "A"}, "schema": "Fabric"}}"#, "postgresql.schema: this cannot be a name"),
        (#"{"postgresql": {"url": {"env": "A"}, "schema": "a; drop table x"}}"#, "this cannot be a name"),
        (#"{"postgresql": {"url": {"env": "A"}, "schema": "pg_catalog"}}"#, "this cannot be a name"),
        (#"{"postgresql": {"url": {"env": "A"}, "gateway": "a\nb"}}"#, "postgresql.gateway: this cannot be a name"),
        (#"{"postgresql": {"url": 7}}"#, "a secret is wanted"), (#"{"postgresql": 7}"#, "an object is wanted"),
        (
            #"{"postgresql": {"url": "postgresql://hunter2@db.example.org/x?sslmode=require"}}"#,
            "does not check who answers"
        ),
    ]) func findings(_ text: String, _ word: String) {
        let found = problems(text)
        #expect(found.contains(word), "\(found)")
        #expect(!found.contains("hunter2"))
    }

    @Test func aSecretThatIsNotThereIsNamed() throws {
        let missing = try #require(try store(#"{"url": {"env": "NO_SUCH_DATABASE_URL"}}"#))
        let error = #expect(throws: SettingsError.self) { try missing.address() }
        #expect(error?.problem.contains("NO_SUCH_DATABASE_URL is not set") == true)
        #expect(error?.keyPath == "channels.fabric.store.postgresql.url")
        let file = try #require(try store(#"{"url": {"file": "/no/such/url"}}"#))
        let other = #expect(throws: SettingsError.self) { try file.address() }
        #expect(other?.problem.contains("/no/such/url") == true)
        let path = NSTemporaryDirectory() + "url-\(UUID().uuidString)"
        try Data("postgresql://me:hunter2@db.example.org/x?sslmode=disable\n".utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let bad = try #require(try store("{\"url\": {\"file\": \"\(path)\"}}"))
        let third = #expect(throws: SettingsError.self) { try bad.address() }
        #expect(third?.problem.contains("\(path): the database is on another machine") == true)
        #expect(third.map { !"\($0)".contains("hunter2") } == true)
    }

    // MARK: The address

    @Test func isTakenApartWhole() throws {
        let plain = try address("postgresql://gateway:p%40ss%2Fword@db.example.org/fabric")
        #expect(plain.servers == [.init(host: "db.example.org", port: 5432)] && plain.isVerified)
        #expect("\(plain)" == "PostgreSQL database fabric at db.example.org as gateway")
        #expect(
            keywords(plain) == [
                "host": "db.example.org", "port": "5432", "dbname": "fabric", "user": "gateway",
                "password": "p@ss/word", "sslmode": "verify-full", "sslrootcert": "/etc/ssl/certs/ca-certificates.crt",
            ])
        let own = try address(
            "postgres://a@h:5433,i:5434/d?sslmode=verify-ca&connect_timeout=3", authorities: "/ca.pem")
        #expect(own.servers.map(\.port) == [5433, 5434] && keywords(own)["host"] == "h,i")
        #expect(keywords(own)["sslrootcert"] == "/ca.pem" && keywords(own)["connect_timeout"] == "3")
        let socket = try address("postgresql://a@/d?host=/run/postgresql&port=6000")
        #expect(socket.servers == [.init(host: "/run/postgresql", port: 6000)] && !socket.isVerified)
        #expect(keywords(socket)["sslmode"] == "prefer" && keywords(socket)["password"] == nil)
        #expect(try address("postgresql://a@%2Frun%2Fpg/d").servers[0].isLocal)
        let six = try address("postgresql://a@[::1]:5555/d?sslmode=disable")
        #expect(six.servers == [.init(host: "::1", port: 5555)] && six.description.contains("[::1]:5555"))
    }

    /// Every way of saying "do not look who it is", to every kind of host.
    @Test(arguments: ["disable", "allow", "prefer", "require"]) func unverifiedOnlyOnThisMachine(_ mode: String) throws
    {
        for host in ["localhost", "127.0.0.1", "127.8.9.1", "[::1]", "%2Frun%2Fpg"] {
            #expect(try !address("postgresql://a@\(host)/d?sslmode=\(mode)").isVerified, "\(host)")
        }
        for host in ["db", "10.0.0.1", "127.0.0.1.example.org", "127.0.0.1,db", "localhost.example.org", "[fe80::1]"] {
            #expect(throws: PostgreSQLAddress.Fault.self, "\(host)") {
                try address("postgresql://a@\(host)/d?sslmode=\(mode)")
            }
            #expect(try address("postgresql://a@\(host)/d").isVerified, "\(host)")
        }
    }

    @Test func authoritiesOfTheSystemNeedAName() throws {
        #expect(throws: PostgreSQLAddress.Fault.self) { try address("postgresql://a@db/d?sslmode=verify-ca") }
        #expect(try address("postgresql://a@db/d?sslmode=verify-ca", authorities: "/ca").isVerified)
        #expect(try address("postgresql://a@localhost/d?sslmode=verify-full").isVerified)
    }

    /// A password that was not escaped ends up elsewhere; no message may show it.
    @Test(arguments: [
        "", "hunter2", "mysql://a:hunter2@h/d", "postgresql:hunter2", "postgresql://a:hunter2@h",
        "postgresql://:hunter2@h/d",
        "postgresql://a:hun@hunter2@h/d", "postgresql://a:1/hunter2@h/d", "postgresql://a:hunter2/x@h/d",
        "postgresql://a:1?hunter2@h/d", "postgresql://a:1?hunter2=x@h/d", "postgresql://a:b:hunter2@h/d",
        "postgresql://a:hunter2@/d", "postgresql://a:hunter2@h:0/d", "postgresql://a:hunter2@h:99999999999999999999/d",
        "postgresql://a:hunter2%@h/d", "postgresql://a:hunter2%zz@h/d", "postgresql://a:hunter2%00@h/d",
        "postgresql://a:hunter2%ff@h/d", "postgresql://a:hunter2@h/d?service=x",
        "postgresql://a:hunter2@h/d?hostaddr=1.2.3.4",
        "postgresql://a:hunter2@h/d?sslmode=none", "postgresql://a:hunter2@h/d?sslmode=require&sslmode=verify-full",
        "postgresql://a:hunter2@h i/d", "postgresql://a:hunter2@[::1/d", "postgresql://a:hunter2@h/d?port=1,2,3",
        "postgresql://a:hunter2@h/host=elsewhere", "postgresql://a:hunter2@h/d?dbname=postgresql://elsewhere/x",
        "postgresql://a:hunter2@h/d?application_name=x", "postgresql://a:hunter2@h/d?sslrootcert=/x",
    ]) func refusedWithoutShowingIt(_ url: String) {
        let fault = #expect(throws: PostgreSQLAddress.Fault.self) { try address(url) }
        #expect(fault.map { !"\($0)".contains("hunter2") && !$0.problem.isEmpty && !$0.remedy.isEmpty } == true)
    }

    @Test func noTextShowsThePassword() throws {
        let found = try address("postgresql://gateway:hunter2hunter2@db/fabric")
        var dumped = ""
        dump(found, to: &dumped)
        for text in ["\(found)", String(reflecting: found), "\(found.keywords)", dumped] {
            #expect(!text.contains("hunter2hunter2"), "\(text)")
        }
        let store = try #require(try store(#"{"url": "postgresql://gateway:hunter2hunter2@db/fabric"}"#))
        #expect(!String(reflecting: store).contains("hunter2hunter2"))
    }

    // MARK: What should be alike

    private func digest(_ section: String, identities: String? = nil) throws -> String {
        SharedSettingsDigest(try configuration(section), accounts: try decide(section, identities: identities))
            .description
    }

    @Test func digestTellsWhatDiffers() throws {
        let keys = "\"accounts\": {\"a\": {\"fabricApiKey\": \"fak_one\"}, \"b\": {\"fabricApiKey\": \"fak_two\"}}"
        let one = try digest("{\(center), \(keys)}")
        #expect(try digest("{\(center), \(keys)}") == one && !one.contains("fak_"))
        // Other places of the same accounts, another order, and what is a gateway's own.
        let same = try digest(
            "{\(center), \"accounts\": {\"b\": {\"fabricApiKey\": {\"env\": \"B\"}}}, \"certificateAuthorityFile\": \"/x\"}",
            identities: #"{"entries":[{"agentId":"a","fabricApiKey":"fak_one"}]}"#)
        #expect(SharedSettingsDigest.differences(one, same) == [])
        let other = try digest("{\"centerApiBase\": \"http://other/api\", \(keys), \"catchUp\": {\"wake\": \"never\"}}")
        #expect(SharedSettingsDigest.differences(one, other) == ["catchUp", "centerApiBase"])
        let fewer = try digest(
            "{\(center), \"accounts\": {\"a\": {\"fabricApiKey\": \"k\"}, \"b\": {\"enabled\": false, \"fabricApiKey\": \"k\"}}}"
        )
        #expect(SharedSettingsDigest.differences(one, fewer) == ["accounts"])
        // Settings that came later: what stands at its default differs from no build that did not know it.
        let defaults = "\"connectsAtOnce\": 128, \"loginsPerSecond\": 100, \"catchUp\": {\"turnPatienceSeconds\": 15}"
        #expect(try digest("{\(center), \(keys), \(defaults)}") == one)
        let others = "\"connectsAtOnce\": 7, \"loginsPerSecond\": 0, \"catchUp\": {\"turnPatienceSeconds\": 0}"
        let later = try digest("{\(center), \(keys), \(others)}")
        #expect(
            SharedSettingsDigest.differences(one, later) == [
                "catchUp.turnPatienceSeconds", "connectsAtOnce", "loginsPerSecond",
            ])
        #expect(
            SharedSettingsDigest.differences(one, "").count == 14 && SharedSettingsDigest.differences("x", ":") == [""])
    }
}
