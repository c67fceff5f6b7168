import Foundation
import Locking
import PostgreSQLTestServer
import Testing

@testable import ChannelStore

/// A database of a test's own in the server that the tests share, and gateways' stores on it.
final class Cluster: Sendable {
    /// Ends with the process.
    private static let shared = Result { try PostgreSQLServer() }

    let server: PostgreSQLServer
    let database: String
    let lines = Locked<[(level: StoreLogLevel, text: String)]>([])
    private let stores = Locked<[PostgreSQLChannelStore]>([])

    init(on server: PostgreSQLServer? = nil) throws {
        self.server = try server ?? Self.shared.get()
        database = "t" + UUID().uuidString.filter { $0 != "-" }.lowercased()
        try self.server.query("CREATE DATABASE \(database)")
    }

    deinit { for store in stores.withLock({ $0 }) { store.close(within: .seconds(5)) } }

    func settings(_ more: [String: String] = [:], schema: String = "fabric") -> PostgreSQLSettings {
        let keywords = [
            "host": server.directory, "port": "\(server.port)", "dbname": database, "user": "postgres",
        ]
        return PostgreSQLSettings(
            keywords: keywords.merging(more) { $1 }, place: "PostgreSQL database \(database)", schema: schema)
    }

    func store(
        _ settings: PostgreSQLSettings? = nil, schema: PostgreSQLSchema = .current, compactAt: Int = 4096
    ) -> PostgreSQLChannelStore {
        let store = PostgreSQLChannelStore(settings ?? self.settings(), schema: schema, compactAt: compactAt) {
            [weak self] level, text in
            self?.lines.withLock { $0.append((level, text)) }
        }
        stores.withLock { $0.append(store) }
        return store
    }

    /// A store that is a member already.
    func member(_ id: String, lease: Double = 8, compactAt: Int = 4096) async throws -> PostgreSQLChannelStore {
        let store = store(compactAt: compactAt)
        _ = try await store.beat(Member(id: id, gateway: "gateway-\(id)", leaseSeconds: lease))
        return store
    }

    @discardableResult func query(_ sql: String) throws -> [[String]] { try server.query(sql, database: database) }

    func log(_ level: StoreLogLevel) -> [String] {
        lines.withLock { lines in lines.filter { $0.level == level }.map(\.text) }
    }
}

extension SharedStore {
    /// Commits and waits for what becomes of it.
    func put(_ changes: [StoreChange], _ account: String = "a") async -> CommitOutcome {
        await withCheckedContinuation { done in commit(changes, account: account) { done.resume(returning: $0) } }
    }

    /// Beats until `condition` holds of what it finds; nil when it does not within `limit`.
    func beats(
        _ member: Member, within limit: Duration = .seconds(20), until condition: (ClusterReport) async throws -> Bool
    ) async throws -> ClusterReport? {
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end {
            let report = try await beat(member)
            if try await condition(report) { return report }
            try await Task.sleep(for: .milliseconds(20))
        }
        return nil
    }
}

func member(_ id: String, lease: Double = 8) -> Member {
    Member(id: id, gateway: "gateway-\(id)", leaseSeconds: lease)
}
