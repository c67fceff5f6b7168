import Foundation
import Locking
import PostgreSQLTestServer
import Testing

@testable import ChannelStore

/// Who the database is, and who may come in: certificates, and passwords that change.
@Suite(.serialized, .enabled(if: PostgreSQLServer.isAvailable, "PostgreSQL is not installed, or may not be run"))
struct DatabaseConnectionTests {
    /// Authorities, and a server's certificate of the first.
    private struct Certificates {
        let directory = NSTemporaryDirectory() + "certificates-\(UUID().uuidString)"

        init(name: String) throws {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
            for authority in ["ours", "other"] {
                try openssl(
                    "req -x509 \(key) -days 2 -subj /CN=\(authority) -keyout \(authority).key -out \(authority).pem")
            }
            try "subjectAltName=DNS:\(name)".write(toFile: directory + "/names", atomically: true, encoding: .utf8)
            try openssl("req \(key) -subj /CN=\(name) -keyout server.key -out server.csr")
            try openssl(
                "x509 -req -in server.csr -CA ours.pem -CAkey ours.key -CAcreateserial -days 2 -extfile names "
                    + "-out server.pem")
        }

        func file(_ name: String) -> String { "\(directory)/\(name)" }
        func remove() { try? FileManager.default.removeItem(atPath: directory) }

        private func openssl(_ line: String) throws {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
            process.arguments = line.split(separator: " ").map(String.init)
            process.currentDirectoryURL = URL(fileURLWithPath: directory)
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0, "openssl \(line)")
        }
    }

    private func failure(_ store: PostgreSQLChannelStore) async -> StoreError? {
        do { _ = try await store.beat(member("m")) } catch { return error as? StoreError }
        return nil
    }

    @Test func aServerIsVerifiedByItsAuthorityAndItsName() async throws {
        let certificates = try Certificates(name: "db.example.org")
        defer { certificates.remove() }
        let server = try PostgreSQLServer(
            listensOnTCP: true,
            certificate: .init(certificate: certificates.file("server.pem"), key: certificates.file("server.key")))
        let cluster = try Cluster(on: server)
        try cluster.query(
            "CREATE ROLE agent LOGIN PASSWORD 'right-horse-battery'; CREATE SCHEMA fabric AUTHORIZATION agent")
        func settings(_ host: String, authority: String) -> PostgreSQLSettings {
            // The name is what is verified; where it leads to is said beside it.
            cluster.settings([
                "host": host, "hostaddr": "127.0.0.1", "user": "agent", "password": "right-horse-battery",
                "sslmode": "verify-full", "sslrootcert": certificates.file(authority),
            ])
        }
        let right = settings("db.example.org", authority: "ours.pem")
        #expect(await failure(cluster.store(right)) == nil)
        let found = try PostgreSQLInspection.look(at: right)
        #expect(found.isEncrypted && found.version == 1)

        let stranger = try #require(
            await failure(cluster.store(settings("db.example.org", authority: "other.pem"))))
        #expect(stranger.problem.contains("certificate verify failed"), "\(stranger)")
        let misnamed = try #require(await failure(cluster.store(settings("db.example.com", authority: "ours.pem"))))
        #expect(misnamed.problem.contains("does not match host name"), "\(misnamed)")
        for error in [stranger, misnamed] {
            #expect(error.isRefusal && error.remedy.contains("certificateAuthorityFile"))
            #expect(!"\(error)".contains("horse"))
        }
    }

    @Test func anotherPasswordIsTakenUpByConnectionsThatAreMadeAnew() async throws {
        let server = try PostgreSQLServer(listensOnTCP: true)
        let cluster = try Cluster(on: server)
        try cluster.query("CREATE ROLE agent LOGIN PASSWORD 'first-secret'; CREATE SCHEMA fabric AUTHORIZATION agent")
        func keywords(_ password: String) -> [String: String] {
            cluster.settings(["host": "127.0.0.1", "user": "agent", "sslmode": "prefer", "password": password]).keywords
        }
        let store = cluster.store(
            PostgreSQLSettings(keywords: keywords("first-secret"), place: "there"))
        let me = member("m", lease: 600)
        _ = try await store.beat(me)
        #expect(try await store.claim(["a"], atMost: 1).count == 1)
        #expect(await store.put([.cursor(general, sequence: 1)]) == .kept)
        try cluster.query("ALTER ROLE agent PASSWORD 'second-secret'")
        #expect(await store.put([.cursor(general, sequence: 2)]) == .kept, "who is in stays in")
        try cluster.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'fabric %' "
                + "AND datname = current_database()")
        let refused = try #require(await failure(store))
        #expect(refused.isRefusal && refused.remedy.contains("user and password"))
        let outcome = Locked<CommitOutcome?>(nil)
        store.commit([.cursor(general, sequence: 3)], account: "a") { result in outcome.withLock { $0 = result } }
        #expect(await eventually { store.health != .good })
        store.use(keywords: keywords("second-secret"))
        #expect(await eventually { outcome.withLock { $0 } == .kept })
        #expect(await failure(store) == nil)
        #expect(try await store.load("a").cursors == [general: 3])
        let said = cluster.lines.withLock { $0.map(\.text).joined() } + "\(refused)"
        #expect(!said.contains("first-secret") && !said.contains("second-secret"))
    }

    /// With the code a server gives whose disk is full, and again when there is room.
    @Test func aDatabaseThatIsFullIsWaitedFor() async throws {
        let cluster = try Cluster()
        let store = try await cluster.member("m", lease: 600)
        #expect(try await store.claim(["a"], atMost: 1).count == 1)
        #expect(await store.put([.cursor(general, sequence: 1)]) == .kept)
        try cluster.query(
            """
            CREATE FUNCTION fabric.no_room() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END$$;
            CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON fabric.channel FOR EACH ROW EXECUTE FUNCTION fabric.no_room()
            """)
        let outcomes = Locked<[CommitOutcome]>([])
        for sequence in [2, 3] as [Int64] {
            store.commit([.cursor(general, sequence: sequence)], account: "a") { result in
                outcomes.withLock { $0.append(result) }
            }
        }
        #expect(await eventually { store.health != .good })
        guard case .failing(let reason) = store.health else { return }
        #expect(reason.contains("No space left") && reason.contains("free space"), "\(reason)")
        #expect(try await store.beat(member("m", lease: 600)).members.count == 1, "the lease does not depend on it")
        #expect(outcomes.withLock { $0 }.isEmpty)
        try cluster.query("DROP TRIGGER no_room ON fabric.channel")
        #expect(await eventually { outcomes.withLock { $0 } == [.kept, .kept] })
        #expect(await eventually { store.health == .good })
        #expect(try await store.load("a").cursors == [general: 3])
    }
}
