import ArgumentParser
import FabricSimulator
import Foundation

/// How long it takes until all accounts hear, with what an earlier run kept of them on disk, and without: the same guild,
/// the same build. Every run is a process of its own, the guild another one.
struct Start: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Accounts that start with what is kept on disk, and without.")

    @Option(help: "Accounts.")
    var accounts = 1000
    @Option(help: "Channels of each.")
    var channels = 100
    @Option(help: "How often each is measured; the best counts.")
    var rounds = 3

    func run() throws {
        let keys = NSTemporaryDirectory() + "fabric-bench-keys-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: keys) }
        let guild = try Child(["serve-start", "--accounts", "\(accounts)", "--channels", "\(channels)", "--keys", keys])
        defer { guild.stop() }
        let center = try guild.line()
        let state = NSTemporaryDirectory() + "fabric-bench-start-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: state) }
        func measure() throws -> (wall: Double, cpu: Double) {
            let child = try Child(["start-accounts", "--keys", keys, "--center", center, "--state", state])
            defer { child.stop() }
            let fields = try child.line().split(separator: " ").compactMap { Double($0) }
            guard fields.count == 2 else { throw ValidationError("the accounts did not all start") }
            return (fields[0], fields[1])
        }
        var (without, with) = (
            (wall: Double.infinity, cpu: Double.infinity), (wall: Double.infinity, cpu: Double.infinity)
        )
        for _ in 0..<rounds {
            try? FileManager.default.removeItem(atPath: state)
            let first = try measure()
            without = (min(without.wall, first.wall), min(without.cpu, first.cpu))
            let second = try measure()
            with = (min(with.wall, second.wall), min(with.cpu, second.cpu))
        }
        let size = try FileManager.default.subpathsOfDirectory(atPath: state).reduce(0) { sum, path in
            let attributes = try FileManager.default.attributesOfItem(atPath: state + "/" + path)
            return sum + (attributes[.type] as? FileAttributeType == .typeRegular ? attributes[.size] as? Int ?? 0 : 0)
        }
        report([
            ("bench", text("start")), ("accounts", "\(accounts)"), ("channels_each", "\(channels)"),
            ("kilobytes_on_disk", "\(size / 1024)"), ("seconds", rounded(with.wall, 2)),
            ("cpu_seconds", rounded(with.cpu, 2)), ("reference", text("with nothing on disk")),
            ("reference_seconds", rounded(without.wall, 2)), ("reference_cpu_seconds", rounded(without.cpu, 2)),
            ("ratio", rounded(with.wall / without.wall, 2)),
        ])
    }
}

/// The guild of `start`. A message is in every channel, so that there is a position to keep.
struct ServeStart: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve-start", shouldDisplay: false)
    @Option var accounts: Int
    @Option var channels: Int
    @Option var keys: String

    func run() throws {
        let (accounts, channels, keys) = (accounts, channels, keys)
        let center = try waitFor {
            let sim = try await FabricSimulator.start(.init(guilds: ["g"]))
            let human = try await sim.createUser(name: "human")
            var lines: [String] = []
            for number in 0..<accounts {
                let user = try await sim.createUser(name: "agent-\(number)")
                lines.append(user.apiKey)
                for index in 0..<channels {
                    let channel = try await sim.createChannel(
                        guild: "g", name: "c\(index)", type: .general, members: [user.id, human.id])
                    try await sim.post(as: human.id, in: channel.id, content: "old")
                }
            }
            try lines.joined(separator: "\n").write(toFile: keys, atomically: true, encoding: .utf8)
            return sim.centerBase
        }
        say(center)
        waitForEnd()
    }
}

/// The measured side of `start`.
struct StartAccounts: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "start-accounts", shouldDisplay: false)
    @Option var keys: String
    @Option var center: String
    @Option var state: String

    func run() throws {
        let keys = try String(contentsOfFile: keys, encoding: .utf8).split(separator: "\n").map(String.init)
        let accounts = Dictionary(uniqueKeysWithValues: keys.enumerated().map { ("agent-\($0.offset)", $0.element) })
        let host = try ModuleHost(path: ModuleHost.beside, state: state)
        try host.configure(center: center, accounts: accounts)
        let (start, cpu) = (ContinuousClock.now, cpuSeconds(of: getpid()))
        for name in accounts.keys.sorted() { try host.start(name) }
        try host.wait(for: Set(accounts.keys))
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let spent = cpuSeconds(of: getpid()) - cpu
        host.shutdown()
        say("\(rounded(seconds, 2)) \(rounded(spent, 2))")
        waitForEnd()
    }
}
