import ArgumentParser
import ChannelStore
import Foundation
import PostgreSQLTestServer

/// The same commits as `Durable`'s into a PostgreSQL server of the bench's own, which syncs: what the client takes of the
/// processor for each message, and how many go through.
struct DurablePostgreSQL {
    let messages: Int
    let outstanding: Int
    let rounds: Int

    func run() throws {
        guard PostgreSQLServer.isAvailable else {
            return say("no row for PostgreSQL: \(PostgreSQLServer.unavailability ?? "")")
        }
        let server = try PostgreSQLServer(settings: ["fsync": "on", "full_page_writes": "on"])
        for accounts in [1, 50, 1000] {
            let feed = DurableFeed(accounts: accounts, messages: messages, outstanding: outstanding)
            var best = (cpu: Double.infinity, rate: 0.0)
            for round in 0..<rounds {
                let database = "d\(accounts)_\(round)"
                _ = try server.makeDatabase(database)
                let store = PostgreSQLChannelStore(Self.settings(server, database)) { _, text in say(text) }
                let names = (0..<accounts).map { "agent-\($0)" }
                let claimed = try waitFor {
                    _ = try await store.beat(Member(id: "bench", gateway: "bench", leaseSeconds: 600))
                    return try await store.claim(names, atMost: names.count).count
                }
                guard claimed == accounts else { throw ValidationError("\(claimed) accounts were claimed") }
                let figures = feed.run(store)
                store.close(within: .seconds(30))
                best = (min(best.cpu, figures.cpu), max(best.rate, figures.messagesPerSecond))
            }
            report([
                ("bench", text("durable")), ("what", text("PostgreSQL")), ("accounts", "\(accounts)"),
                ("cpu_microseconds_per_message", rounded(best.cpu, 2)), ("messages_per_second", rounded(best.rate, 0)),
            ])
        }
    }

    static func settings(_ server: PostgreSQLServer, _ database: String) -> PostgreSQLSettings {
        PostgreSQLSettings(
            keywords: [
                "host": server.directory, "port": "\(server.port)", "dbname": database, "user": "postgres",
            ], place: "the bench's PostgreSQL")
    }
}
