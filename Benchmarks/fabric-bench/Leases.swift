import ArgumentParser
import ChannelStore
import Foundation
import PostgreSQLTestServer

/// Three members that share many accounts: what their beats cost the database, and how long it takes until the accounts of one
/// that died are the others'.
struct Leases: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "What shared accounts cost the database.")

    @Option(help: "Accounts of all members together.")
    var accounts = 10_000
    @Option(help: "Beats of each member.")
    var beats = 50

    func run() throws {
        guard PostgreSQLServer.isAvailable else { return say("no server: \(PostgreSQLServer.unavailability ?? "")") }
        let server = try PostgreSQLServer(settings: [
            "fsync": "on", "shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "top",
        ])
        try server.query("CREATE EXTENSION pg_stat_statements", database: "fabric")
        let stores = (0..<3).map { _ in
            PostgreSQLChannelStore(DurablePostgreSQL.settings(server, "fabric")) { _, text in say(text) }
        }
        let names = (0..<accounts).map { "agent-\($0)" }
        let share = (accounts + 2) / 3
        // The last one is not heard of again: its lease is short, so that nobody has to wait for it.
        let members = (0..<3).map { Member(id: "m\($0)", gateway: "g\($0)", leaseSeconds: $0 == 2 ? 1 : 600) }
        let claiming = try seconds {
            for (store, member) in zip(stores, members.dropLast()) {
                _ = try await store.beat(member)
                _ = try await store.claim(names, atMost: share)
            }
        }
        try server.query("SELECT pg_stat_statements_reset()")
        for _ in 0..<beats {
            try waitFor { for (store, member) in zip(stores, members.dropLast()) { _ = try await store.beat(member) } }
        }
        let cost = try server.query(
            """
            SELECT sum(calls), sum(total_exec_time) FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%'
            """)
        let calls = Double(cost[0][0]) ?? 0
        let milliseconds = Double(cost[0][1]) ?? 0
        let beaten = Double(beats * 2)
        try waitFor {
            _ = try await stores[2].beat(members[2])
            let taken = try await stores[2].claim(names, atMost: share)
            for lease in taken {
                stores[2].commit(
                    [.running(true), .cursor(ChannelKey(guild: "g", channel: "c"), sequence: 1)], account: lease.account
                ) { _ in }
            }
            try await stores[2].release([])
        }
        // It is dead; the others find out, take half each and read what is kept.
        let orphans = Array(stores[2].leases.keys)
        let dying = try seconds {
            while try await stores[0].beat(members[0]).members.count > 2 {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        let taking = try seconds {
            async let one = Self.take(orphans, (orphans.count + 1) / 2, stores[0])
            async let two = Self.take(orphans, orphans.count / 2, stores[1])
            let taken = try await one + two
            guard taken == orphans.count else { throw ValidationError("\(taken) of \(orphans.count) were taken") }
        }
        for store in stores { store.close(within: .seconds(10)) }
        report([
            ("bench", text("leases")), ("accounts", "\(accounts)"), ("members", "3"),
            ("statements_per_beat", rounded(calls / beaten, 2)),
            ("database_milliseconds_per_beat", rounded(milliseconds / beaten, 3)),
            ("database_milliseconds_per_second", rounded(milliseconds / beaten * 3 / 2, 3)),
            ("seconds_to_claim_two_thirds", rounded(claiming)),
            ("seconds_until_let_go_after_a_lease_of_1", rounded(dying)), ("accounts_taken_over", "\(orphans.count)"),
            ("seconds_to_claim_and_load_them", rounded(taking)),
        ])
    }

    private static func take(_ names: [String], _ most: Int, _ store: PostgreSQLChannelStore) async throws -> Int {
        let taken = try await store.claim(names, atMost: most)
        return try await withThrowingTaskGroup(of: Int.self) { group in
            for lease in taken { group.addTask { try await store.load(lease.account).cursors.count } }
            return try await group.reduce(0, +)
        }
    }

    private func seconds(_ body: @escaping @Sendable () async throws -> Void) throws -> Double {
        let start = ContinuousClock.now
        try waitFor(body)
        return (ContinuousClock.now - start) / .seconds(1)
    }
}
