import Foundation
import Locking
import PostgreSQLTestServer
import Testing

@testable import ChannelStore

/// The database is away, says nothing, says no: what was committed waits in order, the operator is told what to do, and it
/// goes on by itself.
@Suite(.serialized, .enabled(if: PostgreSQLServer.isAvailable, "PostgreSQL is not installed, or may not be run"))
struct DatabaseTroubleTests {
    @Test func nothingIsLostOrMixedUpWhenTheServerIsRestartedInTheMiddle() async throws {
        let server = try PostgreSQLServer()
        let cluster = try Cluster(on: server)
        let store = try await cluster.member("m", lease: 60)
        let names = (0..<10).map { "n\($0)" }
        #expect(try await store.claim(names, atMost: 10).count == 10)
        let (kept, refused) = (Locked(0), Locked(0))
        let total = 6000
        for number in 0..<total {
            store.commit(
                [
                    .delivery(delivery("d\(number)")), .cursor(general, sequence: Int64(number)),
                    .settled(delivery: "d\(number - 50)"),
                ], account: names[number % 10]
            ) { outcome in (outcome == .kept ? kept : refused).withLock { $0 += 1 } }
            if number == 2000 { try server.restart(.immediate) }
            if number == 4000 {
                try server.stop()
                // A beat notices too when nothing is to be written.
                await #expect(throws: StoreError.self) { _ = try await store.beat(member("m", lease: 60)) }
                #expect(await eventually { store.health != .good })
                if case .failing(let reason) = store.health {
                    #expect(reason.contains("start the database"))
                    #expect(reason.contains("PostgreSQL database"))
                } else {
                    Issue.record("it is \(store.health) without its database")
                }
                try server.start()
            }
            if number % 20 == 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
        #expect(await eventually { kept.withLock { $0 } == total })
        #expect(refused.withLock { $0 } == 0)
        #expect(store.health == .good)
        for (index, name) in names.enumerated() {
            let stored = try await store.load(name)
            #expect(
                stored.deliveries.map(\.id) == (total - 50 + index..<total).filter { $0 % 10 == index }.map { "d\($0)" }
            )
            #expect(stored.cursors == [general: Int64(total - 10 + index)])
        }
    }

    @Test func aCommitWhoseAnswerIsLostIsWrittenOnce() async throws {
        let cluster = try Cluster()
        let proxy = try LossyProxy("\(cluster.server.directory)/.s.PGSQL.\(cluster.server.port)")
        defer { proxy.stop() }
        let store = cluster.store(cluster.settings(["host": proxy.directory, "port": "5432"]))
        _ = try await store.beat(member("m"))
        #expect(try await store.claim(["a", "b"], atMost: 2).count == 2)
        #expect(await store.put([.delivery(delivery("0"))]) == .kept)
        func number() throws -> Int? { Int(try cluster.query("SELECT number FROM fabric.writer")[0][0]) }
        let before = try #require(try number())
        // Whatever is written of deliveries, once more or anew.
        try cluster.query(
            """
            CREATE TABLE written (id text);
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO public.written VALUES (NEW.id); RETURN NULL; END $$;
            CREATE TRIGGER note AFTER INSERT OR UPDATE ON fabric.delivery FOR EACH ROW EXECUTE FUNCTION note()
            """)
        for round in 1...20 {
            proxy.loseNextAnswer()
            let changes: [StoreChange] = [.delivery(delivery("\(round)")), .settled(delivery: "\(round - 1)")]
            #expect(await store.put(changes) == .kept)
            #expect(try await store.load("a").deliveries.map(\.id) == ["\(round)"])
        }
        #expect(proxy.lost == 20)
        #expect(try number() == before + 20, "each batch once")
        #expect(try cluster.query("SELECT count(*), count(DISTINCT id) FROM written") == [["20", "20"]])
        #expect(store.health == .good)
        // The answer to a claim: it is told when it is asked for again.
        proxy.loseNextAnswer()
        _ = try? await store.claim(["c"], atMost: 1)
        #expect(try await store.claim(["c"], atMost: 1).map(\.account) == ["c"])
        #expect(await store.put([.running(true)], "c") == .kept)
        // And to what was given back.
        let refused = Locked<[String]>([])
        store.observeRefusals { account in refused.withLock { $0.append(account) } }
        proxy.loseNextAnswer()
        let last = Locked<CommitOutcome?>(nil)
        store.commit([.cursor(general, sequence: 7)], account: "c") { outcome in last.withLock { $0 = outcome } }
        try await store.release(store.leases.values.filter { $0.account == "c" })
        #expect(last.withLock { $0 } == .kept)
        #expect(refused.withLock { $0 }.isEmpty)
        #expect(try cluster.query("SELECT owner, epoch FROM fabric.account WHERE name = 'c'") == [["", "1"]])
        #expect(try await store.load("c").cursors == [general: 7])
    }

    @Test func killedBackendsAreReplaced() async throws {
        let cluster = try Cluster()
        let store = try await cluster.member("m")
        #expect(try await store.claim(["a"], atMost: 1).count == 1)
        for round in 0..<10 {
            #expect(await store.put([.cursor(general, sequence: Int64(round))]) == .kept)
            #expect(try await store.load("a").cursors == [general: Int64(round)])
            try cluster.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'fabric %' "
                    + "AND datname = current_database()")
        }
        #expect(try await store.beat(member("m")).members.count == 1)
        #expect(store.health == .good)
        #expect(cluster.log(.error).isEmpty, "an idle connection that was lost is no trouble")
    }

    @Test func aDatabaseThatTurnsReadOnlyIsWaitedFor() async throws {
        let cluster = try Cluster()
        let store = try await cluster.member("m", lease: 60)
        #expect(try await store.claim(["a"], atMost: 1).count == 1)
        #expect(await store.put([.cursor(general, sequence: 1)]) == .kept)
        try cluster.query("ALTER DATABASE \(cluster.database) SET default_transaction_read_only = on")
        try cluster.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'fabric %' "
                + "AND datname = current_database()")
        let outcome = Locked<CommitOutcome?>(nil)
        store.commit([.cursor(general, sequence: 2)], account: "a") { result in outcome.withLock { $0 = result } }
        #expect(await eventually { store.health != .good })
        guard case .failing(let reason) = store.health else { return }
        #expect(reason.contains("name the primary"), "\(reason)")
        try cluster.query(
            "BEGIN; SET TRANSACTION READ WRITE; ALTER DATABASE \(cluster.database) RESET default_transaction_read_only; COMMIT"
        )
        #expect(await eventually { outcome.withLock { $0 } == .kept })
        #expect(try await store.load("a").cursors == [general: 2])
    }

    @Test func manyStartTogether() async throws {
        let cluster = try Cluster()
        let stores = (0..<6).map { _ in cluster.store() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, store) in stores.enumerated() {
                group.addTask { _ = try await store.beat(member("m\(number)")) }
            }
            try await group.waitForAll()
        }
        #expect(try await stores[0].beat(member("m0")).members.count == 6)
        #expect(cluster.log(.error).isEmpty && cluster.log(.warning).isEmpty)
    }

    private func failure(_ store: PostgreSQLChannelStore) async -> StoreError? {
        do { _ = try await store.beat(member("m")) } catch { return error as? StoreError }
        return nil
    }

    @Test func laterTablesAndThoseOfOthersAreRefusedUntouched() async throws {
        let cluster = try Cluster()
        _ = try await cluster.member("first")
        try cluster.query("UPDATE fabric.store SET version = 99")
        let later = try #require(await failure(cluster.store()))
        #expect(later.problem.contains("version 99") && later.problem.contains("up to 1"))
        #expect(later.remedy.contains("install the build"))
        try cluster.query("UPDATE fabric.store SET version = 1")
        #expect(await failure(cluster.store()) == nil)
        // A step more, taken by the first that starts.
        var next = PostgreSQLSchema.current
        next.steps.append(["CREATE TABLE more (a bigint)"])
        #expect(await failure(cluster.store(schema: next)) == nil)
        #expect(try cluster.query("SELECT version FROM fabric.store") == [["2"]])
        #expect(await failure(cluster.store())?.problem.contains("version 2") == true)

        try cluster.query("CREATE SCHEMA others; CREATE TABLE others.store (a bigint)")
        let foreign = try #require(await failure(cluster.store(cluster.settings(schema: "others"))))
        #expect(foreign.problem.contains("another program's tables") && foreign.remedy.contains("another schema"))
        #expect(
            try cluster.query("SELECT relname FROM pg_class WHERE relnamespace = 'others'::regnamespace") == [["store"]]
        )
        // An empty schema that somebody made is taken.
        try cluster.query("CREATE SCHEMA mine")
        #expect(await failure(cluster.store(cluster.settings(schema: "mine"))) == nil)
    }

    @Test func whoMayNotIsToldWhat() async throws {
        let server = try PostgreSQLServer(listensOnTCP: true)
        let cluster = try Cluster(on: server)
        try cluster.query("CREATE ROLE agent LOGIN PASSWORD 'right-horse-battery'")
        let keywords = ["host": "127.0.0.1", "user": "agent", "sslmode": "prefer"]
        let wrong = "Wrong-secret-42"
        let refused = try #require(
            await failure(cluster.store(cluster.settings(keywords.merging(["password": wrong]) { $1 }))))
        #expect(refused.problem.contains("password authentication failed"))
        #expect(refused.remedy.contains("user and password"))
        #expect(!"\(refused)".contains(wrong))
        let right = cluster.settings(keywords.merging(["password": "right-horse-battery"]) { $1 })
        let noRights = try #require(await failure(cluster.store(right)))
        #expect(noRights.remedy.contains("CREATE SCHEMA fabric AUTHORIZATION"), "\(noRights)")
        try cluster.query("CREATE SCHEMA fabric AUTHORIZATION agent")
        #expect(await failure(cluster.store(right)) == nil)
        #expect(
            await failure(cluster.store(cluster.settings(["dbname": "nowhere"])))?.remedy.contains(
                "create the database") == true)
        for text in ["\(right)", String(reflecting: right)] { #expect(!text.contains("horse")) }
        var dumped = ""
        dump(right, to: &dumped)
        #expect(!dumped.contains("horse"))
        let said = cluster.lines.withLock { $0.map(\.text).joined() }
        #expect(!said.contains(wrong) && !said.contains("horse"))
    }

    @Test func aServerThatIsNotVerifiedGetsNothing() async throws {
        let cluster = try Cluster()
        for mode in ["require", "prefer", "disable", "verify-ca"] {
            let settings = cluster.settings(["host": "db.example.org", "sslmode": mode])
            let error = try #require(await failure(cluster.store(settings)))
            #expect(error.problem.contains("certificate would not be checked"), "\(mode): \(error)")
        }
        // One that speaks no TLS, and one whose certificate nobody vouches for.
        let plain = try PostgreSQLServer(listensOnTCP: true)
        let verified = ["host": "127.0.0.1", "sslmode": "verify-full", "password": "some-secret-here"]
        let settings = PostgreSQLSettings(
            keywords: verified.merging([
                "port": "\(plain.port)", "dbname": "fabric", "user": "postgres",
                "sslrootcert": "/etc/ssl/certs/ca-certificates.crt",
            ]) { $1 }, place: "there")
        let error = try #require(await failure(cluster.store(settings)))
        #expect(error.problem.contains("SSL"), "\(error)")
        #expect(error.remedy.contains("certificateAuthorityFile"))
        #expect(!plain.log.contains("some-secret"))
    }

    @Test func filesOfMessagesGoWhereTheAccountGoes() async throws {
        let cluster = try Cluster()
        let (one, two) = (try await cluster.member("one"), try await cluster.member("two"))
        let scene = Scene()
        let bytes = (0..<2_500_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        let source = scene.directory + "/source"
        try Data(bytes).write(to: URL(fileURLWithPath: source))
        try Data().write(to: URL(fileURLWithPath: source + "-empty"))
        #expect(try await one.keepFile(account: "a", entry: "o", index: 0, path: source) == false, "not its account")
        let lease = try #require(try await one.claim(["a"], atMost: 1).first)
        #expect(try await one.keepFile(account: "a", entry: "o", index: 0, path: source))
        #expect(try await one.keepFile(account: "a", entry: "o", index: 1, path: source + "-empty"))
        #expect(try await one.keepFile(account: "a", entry: "o", index: 0, path: source), "again")
        #expect(try await one.keepFile(account: "a", entry: "o", index: 2, path: scene.directory) == false)
        #expect(await one.put([.outbox(outgoing("o"))]) == .kept)
        try await one.release([lease])
        #expect(try await two.claim(["a"], atMost: 1).count == 1)
        let target = scene.directory + "/target"
        #expect(try await two.restoreFile(account: "a", entry: "o", index: 0, to: target))
        #expect(try [UInt8](Data(contentsOf: URL(fileURLWithPath: target))) == bytes)
        #expect(try await two.restoreFile(account: "a", entry: "o", index: 1, to: target + "-empty"))
        #expect(try Data(contentsOf: URL(fileURLWithPath: target + "-empty")).isEmpty)
        #expect(try await two.restoreFile(account: "a", entry: "o", index: 2, to: target + "-none") == false)
        #expect(try await one.keepFile(account: "a", entry: "p", index: 0, path: source) == false)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: scene.directory).sorted()
                == ["source", "source-empty", "target", "target-empty"])
        #expect(await two.put([.outboxRemoved(id: "o")]) == .kept)
        #expect(try cluster.query("SELECT count(*) FROM fabric.file") == [["0"]])
    }
}
