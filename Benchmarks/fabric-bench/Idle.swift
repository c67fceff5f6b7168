import ArgumentParser
import CBench
import Foundation

/// Memory per idle agent: 1,000 agents with one connection each, in a process of their own; the reference is the same
/// number of connections of the bare C client. The server is a third process.
struct Idle: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Memory per idle agent against bare connections.")

    @Option(help: "Agents, one connection each.")
    var agents = 1000

    func run() throws {
        let server = try Child(["serve-feed"])
        defer { server.stop() }
        let port = try server.line()
        let bare = try Child(["idle-bare", "--port", port, "--connections", "\(agents)"])
        let reference = Double(try bare.line()) ?? 0
        bare.stop()
        let before = cpuSeconds(of: server.processIdentifier)
        let own = try Child(["idle-agents", "--port", port, "--agents", "\(agents)"])
        let fields = try own.line().split(separator: " ").compactMap { Double($0) }
        let serverSeconds = cpuSeconds(of: server.processIdentifier) - before
        own.stop()
        guard fields.count == 4 else { throw ValidationError("the agents did not all connect") }
        report([
            ("bench", text("idle")), ("agents", "\(agents)"), ("kilobytes_per_agent", rounded(fields[0], 2)),
            ("seconds_to_connect", rounded(fields[1], 2)), ("cpu_seconds_to_connect", rounded(fields[3], 2)),
            ("server_cpu_seconds", rounded(serverSeconds, 2)), ("threads", "\(Int(fields[2]))"),
            ("reference", text("bare C client on libwebsockets")),
            ("reference_kilobytes", rounded(reference, 2)), ("ratio", rounded(fields[0] / reference, 2)),
        ])
    }
}

/// The server of `idle`.
struct ServeFeed: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve-feed", shouldDisplay: false)

    func run() throws {
        var stream = Stream(size: 620)
        guard let feed = feed_start("", stream.channels, nil, nil) else { throw ValidationError("cannot listen") }
        stream.port = Int(feed_port(feed))
        feed_set_login(feed, stream.login)
        say("\(stream.port)")
        waitForEnd()
    }
}

/// The reference of `idle`.
struct IdleBare: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "idle-bare", shouldDisplay: false)
    @Option var port: Int32
    @Option var connections: Int32

    func run() throws {
        _ = idle_client_open(port, 1)
        let before = residentKilobytes()
        let open = idle_client_open(port, connections)
        say(rounded((residentKilobytes() - before) / Double(max(open, 1)), 2))
        waitForEnd()
    }
}

/// The measured side of `idle`.
struct IdleAgents: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "idle-agents", shouldDisplay: false)
    @Option var port: Int
    @Option var agents: Int

    func run() throws {
        let names = (0..<agents).map { "agent-\($0)" }
        let host = try ModuleHost(path: ModuleHost.beside)
        let keys = Dictionary(uniqueKeysWithValues: (names + ["first"]).map { ($0, "fak_\($0)") })
        try host.configure(center: "http://127.0.0.1:\(port)/api", accounts: keys)
        // The first agent pays for what is there once: threads, tables, the runtime's caches.
        try host.start("first")
        try host.wait(for: ["first"])
        let before = residentKilobytes()
        let (start, cpu) = (ContinuousClock.now, cpuSeconds(of: getpid()))
        for name in names { try host.start(name) }
        try host.wait(for: Set(names))
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let spent = cpuSeconds(of: getpid()) - cpu
        let used = (residentKilobytes() - before) / Double(agents)
        let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count
        say("\(rounded(used, 2)) \(rounded(seconds, 2)) \(threads) \(rounded(spent, 2))")
        waitForEnd()
    }
}
