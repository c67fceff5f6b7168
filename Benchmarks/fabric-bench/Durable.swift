import ArgumentParser
import CBench
import ChannelStore
import Foundation

/// What a message costs that must survive a crash: the store alone, under load, beside the store in memory and beside a loop
/// over SQLite's C interface in the same run. Then how long it takes to load what is kept of many accounts.
struct Durable: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "What a message that must survive a crash costs.")

    @Option(help: "Messages of each measurement.")
    var messages = 200_000
    @Option(help: "Commits that may wait at a time.")
    var outstanding = 1000
    @Option(help: "How often each is measured; the best counts.")
    var rounds = 3
    @Option(help: "Where the files are made.")
    var directory = NSTemporaryDirectory()

    func run() throws {
        let folder = directory + "/fabric-bench-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for batch in [1, 20, 200] { try bare(batch, folder) }
        for accounts in [1, 50, 1000] { try store(accounts, folder) }
        try DurablePostgreSQL(messages: messages, outstanding: outstanding, rounds: rounds).run()
        try load(folder)
    }

    private func fresh(_ folder: String) throws {
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    private func bare(_ batch: Int, _ folder: String) throws {
        let count = Int64(batch == 1 ? max(messages / 10, 1) : messages)
        var best = (cpu: Double.infinity, wall: Double.infinity)
        for _ in 0..<rounds {
            try fresh(folder)
            var (cpu, wall) = (0.0, 0.0)
            let isGood = DurableFeed.message.withUnsafeBufferPointer { message in
                message.withMemoryRebound(to: CChar.self) {
                    sqlite_loop(folder + "/bare.db", count, Int32(batch), $0.baseAddress, Int32($0.count), &cpu, &wall)
                }
            }
            guard isGood != 0 else { throw ValidationError("the bare loop failed in \(folder)") }
            best = (min(best.cpu, cpu), min(best.wall, wall))
        }
        report([
            ("bench", text("durable")), ("what", text("bare SQLite loop")), ("batch", "\(batch)"),
            ("cpu_microseconds_per_message", rounded(best.cpu / Double(count) * 1e6, 2)),
            ("messages_per_second", rounded(Double(count) / best.wall, 0)),
        ])
    }

    private func store(_ accounts: Int, _ folder: String) throws {
        let feed = DurableFeed(accounts: accounts, messages: messages, outstanding: outstanding)
        var best = (cpu: Double.infinity, rate: 0.0)
        var reference = (cpu: Double.infinity, rate: 0.0)
        for _ in 0..<rounds {
            let memory = feed.run(InMemoryChannelStore())
            reference = (min(reference.cpu, memory.cpu), max(reference.rate, memory.messagesPerSecond))
            try fresh(folder)
            let store = SQLiteChannelStore(path: folder + "/channel.db") { _, text in say(text) }
            let figures = feed.run(store)
            store.close(within: .seconds(10))
            best = (min(best.cpu, figures.cpu), max(best.rate, figures.messagesPerSecond))
        }
        report([
            ("bench", text("durable")), ("what", text("store")), ("accounts", "\(accounts)"),
            ("cpu_microseconds_per_message", rounded(best.cpu, 2)), ("messages_per_second", rounded(best.rate, 0)),
            ("reference", text("in memory")), ("reference_cpu_microseconds", rounded(reference.cpu, 2)),
            ("reference_messages_per_second", rounded(reference.rate, 0)),
            ("cpu_microseconds_more", rounded(best.cpu - reference.cpu, 2)), ("aim_microseconds_more", "4"),
        ])
    }

    /// 1,000 accounts with 100 channels each, all asked for at once, as a gateway does when it starts.
    private func load(_ folder: String) throws {
        try fresh(folder)
        let path = folder + "/channel.db"
        let names = (0..<1000).map { "agent-\($0)" }
        let filled = SQLiteChannelStore(path: path) { _, text in say(text) }
        for name in names {
            var changes: [StoreChange] = []
            for number in 0..<100 {
                let key = ChannelKey(guild: "5f9d1b7e-0f53-4d84-a3f1", channel: "9a7c6a8e-58b2-4c3b-8e1d-\(number)")
                changes.append(.cursor(key, sequence: Int64(number)))
            }
            filled.commit(changes, account: name) { _ in }
        }
        filled.close(within: .seconds(60))
        let store = SQLiteChannelStore(path: path) { _, text in say(text) }
        defer { store.close(within: .seconds(10)) }
        let start = ContinuousClock.now
        let cursors = try waitFor {
            try await withThrowingTaskGroup(of: Int.self) { group in
                for name in names { group.addTask { try await store.load(name).cursors.count } }
                return try await group.reduce(0, +)
            }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        guard cursors == 100_000 else { throw ValidationError("\(cursors) cursors were loaded, not 100000") }
        report([
            ("bench", text("durable")), ("what", text("load")), ("accounts", "1000"), ("channels_each", "100"),
            ("seconds", rounded(seconds)),
        ])
    }
}
