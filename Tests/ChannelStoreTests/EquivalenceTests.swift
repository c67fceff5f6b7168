import Foundation
import Locking
import Testing

@testable import ChannelStore

/// What comes back is what the changes mean, whatever was batched with what and whenever the file was closed.
@Suite struct EquivalenceTests {
    @Test(arguments: 0..<8) func randomSequencesComeBackAsTheyWereApplied(shard: Int) async throws {
        let scene = Scene()
        for seed in 0..<250 {
            var random = RandomChanges(seed: UInt64(shard * 10_000 + seed))
            let memory = InMemoryChannelStore()
            try? FileManager.default.removeItem(atPath: scene.directory + "/state")
            // Few: what waits is compacted in between.
            let compactAt = [2, 7, 20, 4096][random.number(0...3)]
            var store = scene.store(compactAt: compactAt)
            for step in 0..<random.number(5...25) {
                let account = random.account()
                let changes = random.changes()
                await memory.write(changes, account)
                // Most are not waited for, so that they meet in one batch.
                let isAwaited = random.chance(20)
                if isAwaited { await store.write(changes, account) }
                if !isAwaited { store.commit(changes, account: account) { _ in } }
                if random.chance(4) {
                    let gone = random.account()
                    try await memory.remove(gone)
                    try await store.remove(gone)
                }
                if random.chance(10) {
                    let (left, right) = (try await store.load(account), try await memory.load(account))
                    try #require(left == right, "seed \(shard)/\(seed), step \(step), while it is written")
                }
                if random.chance(8) {
                    store.close(within: .seconds(60))
                    store = scene.store(compactAt: compactAt)
                }
            }
            if random.chance(50) {
                store.close(within: .seconds(60))
                store = scene.store(compactAt: compactAt)
            }
            #expect(try await store.accounts() == memory.accounts())
            for account in ["a", "b", "agent 'three'\u{0}x", "never seen"] {
                let (left, right) = (try await store.load(account), try await memory.load(account))
                try #require(left == right, "seed \(shard)/\(seed), account \(account)")
            }
            store.close(within: .seconds(60))
        }
        #expect(scene.log(.error).isEmpty && scene.log(.warning).isEmpty)
    }

    /// Two stores, as a module's old and new generation have them, hand an account to and fro.
    @Test func anAccountThatIsHandedOverIsWrittenWhereItLies() async throws {
        for seed in 0..<100 {
            let scene = Scene()
            var random = RandomChanges(seed: UInt64(50_000 + seed))
            let memory = InMemoryChannelStore()
            let stores = [scene.store(), scene.store()]
            for step in 0..<40 {
                let changes = random.changes()
                let account = random.account()
                let store = stores[random.number(0...1)]
                await memory.write(changes, account)
                await store.write(changes, account)
                if random.chance(5) {
                    try await memory.remove(account)
                    try await store.remove(account)
                }
                let (left, right) = (
                    try await stores[random.number(0...1)].load(account), try await memory.load(account)
                )
                try #require(left == right, "seed \(seed), step \(step)")
            }
            for store in stores { store.close(within: .seconds(60)) }
            #expect(scene.log(.error).isEmpty && scene.log(.warning).isEmpty)
        }
    }

    /// Dropping what others have overtaken changes nothing in what is left behind, and leaves no more than is kept.
    @Test func compactedChangesLeaveTheSameBehind() {
        for seed in 0..<4000 {
            var random = RandomChanges(seed: UInt64(90_000 + seed))
            var stored = StoredAccount()
            for change in random.changes() + random.changes() { stored.apply(change) }
            var expected = stored
            var folded = AccountChanges()
            if random.chance(10) {
                folded.forgetAll()
                expected = StoredAccount()
            }
            for _ in 0..<random.number(1...12) {
                let changes = random.changes()
                for change in changes { expected.apply(change) }
                folded.add(changes)
            }
            if folded.forgetsAll { stored = StoredAccount() }
            for change in folded.changes { stored.apply(change) }
            #expect(stored == expected, "seed \(seed)")
        }
        var folded = AccountChanges()
        for number in 0..<10_000 {
            folded.add([.cursor(general, sequence: Int64(number)), .delivery(delivery("d")), .settled(delivery: "d")])
        }
        #expect(folded.changes.count == 2)
    }

    @Test func completionsComeOnceAndInOrder() async throws {
        let scene = Scene()
        let store = scene.store()
        let order = Locked<[Int]>([])
        for number in 0..<5000 {
            let changes: [StoreChange] = number % 7 == 0 ? [] : [.cursor(general, sequence: Int64(number))]
            store.commit(changes, account: "a\(number % 5)") { _ in order.withLock { $0.append(number) } }
        }
        store.close(within: .seconds(60))
        #expect(order.withLock { $0 } == Array(0..<5000))
        store.move(1) { order.withLock { $0.append(-1) } }
        #expect(order.withLock { $0.last } == -1, "after the end it does nothing but complete")
    }
}
