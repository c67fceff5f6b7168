import Foundation
import Locking
import PostgreSQLTestServer
import Testing

@testable import ChannelStore

/// Three gateways that stop beating at random, writes that take longer than leases, and a log of what was written in which
/// order.
@Suite(.serialized, .enabled(if: PostgreSQLServer.isAvailable, "PostgreSQL is not installed, or may not be run"))
struct ContentionTests {
    private let names = ["a", "b", "c", "d", "e"]

    @Test func noWriteComesAfterOneOfALaterEpoch() async throws {
        let cluster = try Cluster()
        // The tables must be there.
        _ = try await cluster.member("first", lease: 0.1)
        try cluster.query(
            """
            CREATE TABLE written (number bigserial, account bigint, epoch bigint, place bigint);
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF random() < 0.03 THEN PERFORM pg_sleep(0.3); END IF;
                INSERT INTO public.written (account, epoch, place)
                SELECT NEW.account, split_part(t, ' ', 1)::bigint, split_part(t, ' ', 2)::bigint
                FROM convert_from(NEW.value, 'UTF8') AS t;
                RETURN NULL; END $$;
            CREATE TRIGGER note AFTER INSERT OR UPDATE ON fabric.note FOR EACH ROW EXECUTE FUNCTION note();
            GRANT ALL ON written TO PUBLIC
            """)
        let (kept, refused) = (Locked(0), Locked(0))
        let board = Locked<[String: AccountLease]>([:])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<3 {
                group.addTask { try await run(number, cluster, board, kept, refused) }
            }
            try await group.waitForAll()
        }
        let late = try cluster.query(
            """
            SELECT count(*) FROM (SELECT epoch, max(epoch) OVER (PARTITION BY account ORDER BY number) AS newest
            FROM written) AS x WHERE epoch < newest
            """)
        #expect(late == [["0"]], "writes after one of a later epoch")
        let again = try cluster.query(
            "SELECT count(*) FROM (SELECT 1 FROM written GROUP BY account, epoch, place HAVING count(*) > 1) AS x")
        #expect(again == [["0"]], "commits that were written twice")
        let total = try cluster.query("SELECT count(*), max(epoch) FROM written")
        #expect(Int(total[0][1]) ?? 0 > 5, "accounts changed hands")
        #expect(kept.withLock { $0 } > 500)
        #expect(refused.withLock { $0 } > 0, "somebody was too late")
    }

    private func run(
        _ number: Int, _ cluster: Cluster, _ board: Locked<[String: AccountLease]>, _ kept: Locked<Int>,
        _ refused: Locked<Int>
    ) async throws {
        let store = cluster.store()
        var random = SeededNumbers(UInt64(number + 1))
        var generation = 0
        var place = 0
        let begun = ContinuousClock.now
        func goesOn() -> Bool {
            let passed = ContinuousClock.now - begun
            let isEnough =
                kept.withLock { $0 } > 500 && refused.withLock { $0 } > 0
                && board.withLock { $0.values.map(\.epoch).max() ?? 0 } > 8
            return passed < .seconds(6) || !isEnough && passed < .seconds(60)
        }
        while goesOn() {
            let me = Member(id: "\(number)-\(generation)", gateway: "one for all", leaseSeconds: 0.2)
            do { _ = try await store.beat(me) } catch is MemberGone {
                generation += 1
                continue
            } catch is StoreError {
                // Who lets it go ends its connections, and once more when it was writing: it beats again.
                continue
            }
            _ = try? await store.claim(names, atMost: Int.random(in: 1...3, using: &random))
            // Another's, who does not know yet.
            let others = board.withLock { $0.values.filter { $0.member != me.id } }
            if let other = others.randomElement(using: &random) { _ = try? await store.takeOver(other) }
            for (account, lease) in store.leases { board.withLock { $0[account] = lease } }
            // At times longer than the lease.
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                for (account, lease) in store.leases {
                    place += 1
                    store.commit([.note("n", Array("\(lease.epoch) \(place)".utf8))], account: account) { outcome in
                        (outcome == .kept ? kept : refused).withLock { $0 += 1 }
                    }
                }
                try await Task.sleep(for: .milliseconds(Int.random(in: 1...12, using: &random)))
            }
            if Int.random(in: 0...9, using: &random) == 0 { try? await store.release(Array(store.leases.values)) }
        }
        await store.leave(within: .seconds(10))
    }
}
