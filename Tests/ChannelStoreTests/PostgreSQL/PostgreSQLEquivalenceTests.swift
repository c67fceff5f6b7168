import PostgreSQLTestServer
import Testing

@testable import ChannelStore

/// What comes back from the database is what the changes mean, whatever was batched with what and whoever wrote it.
@Suite(.serialized, .enabled(if: PostgreSQLServer.isAvailable, "PostgreSQL is not installed, or may not be run"))
struct PostgreSQLEquivalenceTests {
    private let names = ["a", "b", "agent 'three'\u{0}x"]

    @Test func randomSequencesComeBackAsTheyWereApplied() async throws {
        let cluster = try Cluster()
        for seed in 0..<30 {
            var random = RandomChanges(seed: UInt64(700_000 + seed))
            let memory = InMemoryChannelStore()
            let store = try await cluster.member("m\(seed)", compactAt: [2, 7, 20, 4096][random.number(0...3)])
            // Each run of names begins with nothing.
            #expect(try await store.claim(names, atMost: 3).count == 3)
            for step in 0..<random.number(5...25) {
                let account = random.account()
                let changes = random.changes()
                await memory.write(changes, account)
                if random.chance(20) {
                    #expect(await store.put(changes, account) == .kept)
                } else {
                    store.commit(changes, account: account) { _ in }
                }
                if random.chance(4) {
                    let gone = random.account()
                    try await memory.remove(gone)
                    try await store.remove(gone)
                }
                if random.chance(20) {
                    let (left, right) = (try await store.load(account), try await memory.load(account))
                    try #require(left == right, "seed \(seed), step \(step), while it is written")
                }
            }
            #expect(try await store.accounts() == memory.accounts())
            for account in names + ["never seen"] {
                let (left, right) = (try await store.load(account), try await memory.load(account))
                try #require(left == right, "seed \(seed), account \(account)")
                if !account.hasPrefix("never") { try await store.remove(account) }
            }
            await store.leave(within: .seconds(10))
            store.close(within: .seconds(10))
        }
        #expect(cluster.log(.error).isEmpty && cluster.log(.warning).isEmpty)
    }

    /// Three gateways hand accounts to and fro; whoever has one finds what the others wrote.
    @Test func anAccountThatMovesIsFoundAsItWasLeft() async throws {
        let cluster = try Cluster()
        let memory = InMemoryChannelStore()
        let stores = [
            try await cluster.member("x"), try await cluster.member("y"), try await cluster.member("z"),
        ]
        var random = RandomChanges(seed: 4711)
        for step in 0..<150 {
            let store = stores[random.number(0...2)]
            let account = random.account()
            for other in stores where other !== store {
                // What was committed before is written before it is given back.
                if let lease = other.leases[account] { try await other.release([lease]) }
            }
            #expect(try await store.claim([account], atMost: 1).map(\.account) == [account])
            let found = try await store.load(account)
            let expected = try await memory.load(account)
            try #require(found == expected, "step \(step)")
            for _ in 0..<random.number(1...3) {
                let changes = random.changes()
                await memory.write(changes, account)
                store.commit(changes, account: account) { _ in }
            }
        }
        let epochs = try cluster.query("SELECT sum(epoch) FROM fabric.account")
        #expect(epochs.first?.first.flatMap { Int($0) } ?? 0 > 60, "it moved often")
        #expect(cluster.log(.error).isEmpty && cluster.log(.warning).isEmpty)
    }
}
