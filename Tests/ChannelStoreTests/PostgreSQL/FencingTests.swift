import Foundation
import Locking
import PostgreSQLTestServer
import Testing

@testable import ChannelStore

/// Nobody writes what is not his any more.
@Suite(.serialized, .enabled(if: PostgreSQLServer.isAvailable, "PostgreSQL is not installed, or may not be run"))
struct FencingTests {
    @Test func whoLostAnAccountWritesNothingAndTheOthersOfTheBatchAreWritten() async throws {
        let cluster = try Cluster()
        let store = try await cluster.member("old")
        #expect(try await store.claim(["a", "b"], atMost: 9).count == 2)
        #expect(await store.put([.cursor(general, sequence: 1)], "a") == .kept)
        #expect(await store.put([.cursor(general, sequence: 1)], "b") == .kept)
        #expect(await store.put([.cursor(general, sequence: 1)], "nobody's") == .refused)
        let refused = Locked<[String]>([])
        store.observeRefusals { account in refused.withLock { $0.append(account) } }
        try cluster.query("UPDATE fabric.account SET epoch = epoch + 1 WHERE name = 'a'")
        let outcomes = await withTaskGroup(of: (String, CommitOutcome).self) { group in
            for account in ["a", "b"] {
                group.addTask { (account, await store.put([.cursor(general, sequence: 2)], account)) }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        #expect(outcomes == ["a": .refused, "b": .kept])
        #expect(refused.withLock { $0 } == ["a"])
        #expect(store.leases.keys.sorted() == ["b"])
        #expect(try await store.load("a").cursors == [general: 1])
        #expect(try await store.load("b").cursors == [general: 2])
        #expect(store.health == .good)
        // The database says whose it is: the member itself, under another epoch.
        #expect(try await store.claim(["a"], atMost: 0).map(\.epoch) == [2])
        #expect(await store.put([.cursor(general, sequence: 3)], "a") == .kept)
    }

    @Test func whoIsNotHeardLosesItsAccountsAndWritesNothing() async throws {
        let cluster = try Cluster()
        let silent = try await cluster.member("silent", lease: 600)
        let names = (0..<20).map { "n\($0)" }
        #expect(try await silent.claim(names, atMost: 20).count == 20)
        for name in names { #expect(await silent.put([.cursor(general, sequence: 1)], name) == .kept) }
        let other = try await cluster.member("other")
        #expect(try await other.claim(names, atMost: 20).isEmpty)
        #expect(try await other.runners(of: ["n3"]) == ["n3": "gateway-silent"])
        // The last that is heard of it.
        _ = try await silent.beat(member("silent", lease: 0.3))
        let report = try await other.beats(member("other")) { $0.members.count == 1 }
        #expect(report?.unowned == 20)
        #expect(cluster.log(.warning).contains { $0.contains("gateway-silent (20 accounts) has not been heard") })
        #expect(try await other.claim(names, atMost: 20).allSatisfy { $0.epoch == 2 })
        #expect(await silent.put([.cursor(general, sequence: 9)], "n3") == .refused)
        #expect(try await other.load("n3").cursors == [general: 1])
        await #expect(throws: MemberGone.self) { _ = try await silent.beat(member("silent", lease: 0.3)) }
        #expect(silent.leases.isEmpty)
        // It begins anew under another name.
        _ = try await silent.beat(member("again"))
        try await other.release(Array(other.leases.values))
        #expect(try await silent.claim(names, atMost: 20).allSatisfy { $0.epoch == 3 })
    }

    /// All look when the lease ends, and only one of them deletes: none may report what was before.
    @Test func thoseThatLetOneGoInTheSameMomentAllSeeThatItIsGone() async throws {
        var undisturbed = 0
        for round in 0..<5 {
            let cluster = try Cluster()
            let silent = try await cluster.member("silent", lease: 600)
            #expect(try await silent.claim(["a"], atMost: 1).count == 1)
            var others: [(name: String, store: PostgreSQLChannelStore)] = []
            for name in ["b", "c", "d", "e", "f", "g"] {
                others.append((name, try await cluster.member(name, lease: 600)))
            }
            // The last that is heard of it was a minute ago.
            try cluster.query(
                "UPDATE fabric.member SET lease = 1, beat = clock_timestamp() - interval '1 minute' WHERE id = 'silent'"
            )
            let seen = try await withThrowingTaskGroup(of: (Int, Int).self) { group in
                for (name, store) in others {
                    group.addTask {
                        let report = try await store.beat(member(name, lease: 600))
                        return (report.members.count, report.unowned)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            // One that stands still for a second with the lock in its hand keeps the others from knowing: they say so.
            guard !cluster.log(.warning).contains(where: { $0.contains("cannot be freed") }) else { continue }
            undisturbed += 1
            #expect(seen.allSatisfy { $0 == (others.count, 1) }, "round \(round): \(seen)")
        }
        #expect(undisturbed > 0)
    }

    /// As a process that is stopped (SIGSTOP) after it began to write.
    @Test func aTransactionThatStandsStillHoldsNobodyUp() async throws {
        let cluster = try Cluster()
        let other = try await cluster.member("other")
        try cluster.query(
            """
            INSERT INTO fabric.member (id, gateway, weight, wanted, draining, lease, host, process, version, settings,
            backend, beat) VALUES ('stopped', 'g', 1, 0, false, 0.5, '', 0, '', '', 'fabric stopped', clock_timestamp());
            INSERT INTO fabric.writer SELECT row, 0 FROM fabric.member WHERE id = 'stopped';
            INSERT INTO fabric.account (name, owner, epoch, used)
            SELECT 'a', row, 1, true FROM fabric.member WHERE id = 'stopped'
            """)
        let stopped = try PostgreSQLConnection(cluster.settings(), name: "fabric stopped write")
        _ = try stopped.run([
            PostgreSQLQuery("BEGIN"), PostgreSQLQuery("UPDATE fabric.writer SET number = 1"),
            PostgreSQLQuery("UPDATE fabric.account SET running = true"),
        ])
        #expect(try await other.beats(member("other")) { $0.members.count == 1 } != nil)
        #expect(try await other.claim(["a"], atMost: 1).count == 1)
        #expect(throws: PostgreSQLFailure.self) { _ = try stopped.run([PostgreSQLQuery("COMMIT")]) }
        #expect(try await other.load("a").isRunning == false)
    }

    @Test func anAccountIsTakenOverBehindWhatItsMemberWrites() async throws {
        let cluster = try Cluster()
        let (old, new) = (cluster.store(), cluster.store())
        _ = try await old.beat(Member(id: "old", gateway: "g"))
        _ = try await new.beat(Member(id: "new", gateway: "g"))
        let stranger = try await cluster.member("stranger")
        let lease = try #require(try await old.claim(["a"], atMost: 1).first)
        #expect(await old.put([.cursor(general, sequence: 1)]) == .kept)
        // A batch that takes its time, and tells when it begins: what a sequence gave is seen at once, and stays.
        try cluster.query(
            """
            CREATE SEQUENCE public.begun;
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM nextval('public.begun'); PERFORM pg_sleep(0.5); RETURN NEW; END $$;
            CREATE TRIGGER slow BEFORE UPDATE ON fabric.channel FOR EACH ROW EXECUTE FUNCTION slow()
            """)
        let outcome = Locked<CommitOutcome?>(nil)
        old.commit([.cursor(general, sequence: 2)], account: "a") { result in outcome.withLock { $0 = result } }
        let isUnderWay = await eventually { (try? cluster.query("SELECT is_called FROM public.begun")) == [["t"]] }
        #expect(isUnderWay)
        let began = ContinuousClock.now
        #expect(try await stranger.takeOver(lease) == nil, "of another gateway")
        let taken = try #require(try await new.takeOver(lease))
        // Whoever waits for a second ends the writer: that one has written before, or writes nothing any more.
        let mayHaveEndedIt = ContinuousClock.now - began >= .seconds(1)
        #expect(taken == AccountLease(account: "a", member: "new", epoch: 2))
        let found = try await new.load("a").cursors
        #expect(await eventually { outcome.withLock { $0 } != nil })
        let isKept = outcome.withLock { $0 } == .kept
        #expect(isKept || mayHaveEndedIt)
        #expect(found == [general: isKept ? 2 : 1])
        #expect(try await new.takeOver(lease) == nil, "not in force any more")
        #expect(await old.put([.cursor(general, sequence: 3)]) == .refused)
        #expect(await new.put([.cursor(general, sequence: 4)]) == .kept)
        #expect(try await new.load("a").cursors == [general: 4])
    }

    @Test func whatIsGivenBackIsWrittenBefore() async throws {
        let cluster = try Cluster()
        let (one, two) = (try await cluster.member("one"), try await cluster.member("two"))
        let lease = try #require(try await one.claim(["a", "b"], atMost: 1).first)
        for number in 1...500 { one.move(Int64(number), lease.account) }
        try await one.release([lease])
        try await one.release([lease])
        #expect(await one.put([.cursor(general, sequence: 501)], lease.account) == .refused)
        #expect(try await two.claim([lease.account], atMost: 1).map(\.epoch) == [2])
        #expect(try await two.load(lease.account).cursors == [general: 500])
        await two.leave(within: .seconds(10))
        #expect(try await one.beat(member("one")).members.map(\.member.id) == ["one"])
        #expect(try await one.claim([lease.account], atMost: 1).map(\.epoch) == [3])
    }
}
