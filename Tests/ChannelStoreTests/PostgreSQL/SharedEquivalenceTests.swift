import PostgreSQLTestServer
import Testing

@testable import ChannelStore

/// The database does what the shared table in memory does, which everything above is tested against.
@Suite(.serialized, .enabled(if: PostgreSQLServer.isAvailable, "PostgreSQL is not installed, or may not be run"))
struct SharedEquivalenceTests {
    private let names = ["a", "b", "c", "d"]

    private func sorted(_ leases: [AccountLease]) -> [AccountLease] { leases.sorted { $0.account < $1.account } }

    @Test func leasesGoTheSameWay() async throws {
        let cluster = try Cluster()
        var random = RandomChanges(seed: 99)
        var table = SharedTable()
        var stores = [cluster.store(), cluster.store(), cluster.store()]
        var members: [Member] = []
        for number in 0..<3 {
            members.append(Member(id: "m\(number)", gateway: "g", leaseSeconds: 600))
            _ = try await stores[number].beat(members[number])
            _ = try table.beat(members[number], isFirst: true, at: 0)
        }
        // All there ever were, in force or not.
        var leases: [AccountLease] = []
        for step in 0..<500 {
            let number = random.number(0...2)
            let (store, id) = (stores[number], members[number].id)
            switch random.number(0...9) {
            case 0...2:
                let wanted = names.filter { _ in random.chance(50) }
                // All or none: which of them is nobody's business.
                let most = random.chance(80) ? 9 : 0
                let found = sorted(try await store.claim(wanted, atMost: most))
                let expected = sorted(try table.claim(wanted, atMost: most, for: id))
                try #require(found == expected, "step \(step)")
                leases += found
            case 3:
                guard let lease = leases.randomElement(using: &random.numbers) else { continue }
                let found = try await store.takeOver(lease)
                try #require(try table.takeOver(lease, for: id) == found, "step \(step)")
                if let found { leases.append(found) }
            case 4:
                let mine = leases.filter { $0.member == id && random.chance(50) }
                try await store.release(mine)
                table.release(mine)
            case 5 where random.chance(30):
                // It goes, and comes again as another.
                await store.leave(within: .seconds(20))
                store.close(within: .seconds(20))
                table.remove(id)
                members[number].id = "m\(number)-\(step)"
                stores[number] = cluster.store()
                _ = try await stores[number].beat(members[number])
                _ = try table.beat(members[number], isFirst: true, at: 0)
            default:
                let account = names[random.number(0...3)]
                let changes = random.changes()
                let outcome = await store.put(changes, account)
                let lease = leases.last { $0.account == account && $0.member == id }
                try #require(table.commit(changes, account: account, lease: lease) == outcome, "step \(step)")
            }
            if random.chance(10) {
                let store = stores[number]
                let (left, right) = (try await store.runners(of: names), table.runners(of: names))
                try #require(left == right, "step \(step)")
                let account = names[random.number(0...3)]
                let (kept, expected) = (try await store.load(account), table.load(account))
                try #require(kept == expected, "step \(step)")
                let report = try await stores[number].beat(members[number])
                let wanted = try table.beat(members[number], isFirst: false, at: 0)
                #expect(report.unowned == wanted.unowned && report.accounts == wanted.accounts, "step \(step)")
                #expect(report.members.map(\.owned) == wanted.members.map(\.owned), "step \(step)")
            }
        }
    }
}
