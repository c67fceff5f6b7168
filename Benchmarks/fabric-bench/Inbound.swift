import ArgumentParser
import CBench
import Foundation
import GatewayABI

/// CPU per inbound message, frame to host callback, through the real module and its C ABI, and through the Socket.IO
/// client alone to a delegate that counts; the reference is a bare C client with a reader of its own that only counts the
/// frames of the same stream, and, where it is there, the official JavaScript client that does no more.
struct Inbound: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "CPU per inbound message against a bare C client.")

    @Option(help: "Frame sizes in bytes.")
    var size: [Int] = [100, 620, 1000, 100_000]
    @Option(help: "How often each is measured; the best counts.")
    var rounds = 5
    @Option(help: "The module; the one built beside this program by default.")
    var module: String?
    @Flag(help: "Over TLS.")
    var tls = false
    @Flag(help: "Without the module: only the reference and the Socket.IO client.")
    var clientOnly = false
    @Flag(help: "Messages that wake the agent: through their lane and the store.")
    var wake = false
    @Option(help: "With --wake: messages on their way at a time, at most 1500.")
    var window: Int64 = 1000
    @Option(help: "Messages of each run; by default as many as take a moment.")
    var messages: Int64?
    @Flag(help: "Without the official JavaScript client, also where it is there (Scripts/official-client).")
    var withoutOfficial = false
    @Flag(help: "Only the module, without any reference; for a profiler.")
    var moduleOnly = false
    @Option(help: "The repository; its .build/official-client is looked for.")
    var repository = "."

    func run() throws {
        let certificate = tls ? try Certificate() : nil
        let official = withoutOfficial || tls || wake ? nil : OfficialClient(repository: repository)
        for size in size {
            let count = messages ?? Int64(max(2000, min(wake ? 50_000 : 300_000, 150_000_000 / size)))
            var bare = Double.infinity
            var javaScript = Double.infinity
            var client = Double.infinity
            var ours = Double.infinity
            var store = Double.infinity
            for _ in 0..<rounds {
                if moduleOnly {
                    let run = try Run(Stream(size: size, wake: wake), count: count, certificate)
                    ours = min(ours, try measureModule(run) {})
                    feed_stop(run.feed)
                    continue
                }
                var run = try Run(Stream(size: size), count: count, certificate)
                let seconds = bare_client_run(Int32(run.stream.port), count, run.feed, tls ? 1 : 0)
                guard seconds > 0 else { throw ValidationError("the bare client failed") }
                bare = min(bare, seconds)
                feed_stop(run.feed)
                run = try Run(Stream(size: size), count: count, certificate)
                client = min(client, try SocketRun.measure(run))
                feed_stop(run.feed)
                if let official {
                    run = try Run(Stream(size: size), count: count, certificate)
                    javaScript = min(javaScript, try official.measure(run))
                    feed_stop(run.feed)
                }
                guard !clientOnly else { continue }
                run = try Run(Stream(size: size, wake: wake), count: count, certificate)
                if wake { feed_set_window(run.feed, max(1, min(window, 1500))) }
                let before = storeSeconds()
                ours = min(ours, try measureModule(run) { store = min(store, storeSeconds() - before) })
                feed_stop(run.feed)
            }
            if moduleOnly {
                print(rounded(ours / Double(count) * 1e6))
                continue
            }
            func microseconds(_ seconds: Double) -> String { rounded(seconds / Double(count) * 1e6) }
            var fields = [
                ("bench", text("inbound")), ("wake", "\(wake)"), ("tls", "\(tls)"), ("bytes", "\(size)"),
                ("messages", "\(count)"),
                ("client_microseconds", microseconds(client)),
                ("reference", text("bare C client, own reader")), ("reference_microseconds", microseconds(bare)),
            ]
            if !clientOnly {
                fields.insert(("microseconds", microseconds(ours)), at: 5)
                if wake { fields.insert(("store_microseconds", microseconds(store)), at: 6) }
                fields.append(("above_reference_microseconds", microseconds(ours - bare)))
            }
            if official != nil {
                fields.append(("official_client_microseconds", microseconds(javaScript)))
                fields.append(("client_to_official", rounded(client / javaScript)))
                if !clientOnly { fields.append(("to_official", rounded(ours / javaScript))) }
            }
            report(fields)
        }
    }

    private func measureModule(_ run: Run, atEnd: () -> Void) throws -> Double {
        let host = try ModuleHost(path: module ?? ModuleHost.beside)
        defer { host.shutdown() }
        try host.configure(
            center: "\(run.stream.scheme)://127.0.0.1:\(run.stream.port)/api", accounts: ["bench": "fak_bench"],
            authority: run.certificate?.path)
        count_reset(run.count)
        try host.start("bench")
        try host.waitUntilConnected("bench")
        let seconds = try run.feedAndWait()
        atEnd()
        return seconds
    }

    /// CPU of the store's threads of this process.
    private func storeSeconds() -> Double {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        return tasks.reduce(0) { sum, task in
            let name = try? String(contentsOfFile: "/proc/self/task/\(task)/comm", encoding: .utf8)
            guard name?.hasPrefix("store") == true,
                let times = try? String(contentsOfFile: "/proc/self/task/\(task)/schedstat", encoding: .utf8)
            else { return sum }
            return sum + (times.split(separator: " ").first.flatMap { Double($0) } ?? 0) / 1e9
        }
    }
}

/// One feed with its stream.
struct Run {
    var stream: Stream
    let count: Int64
    let feed: OpaquePointer
    let certificate: Certificate?

    init(_ stream: Stream, count: Int64, _ certificate: Certificate?) throws {
        self.stream = stream
        self.count = count
        self.certificate = certificate
        guard let feed = feed_start("", stream.channels, certificate?.path, certificate?.key) else {
            throw ValidationError("the feed cannot listen")
        }
        self.feed = feed
        self.stream.port = Int(feed_port(feed))
        self.stream.scheme = certificate == nil ? "http" : "https"
        feed_set_login(feed, self.stream.login)
        feed_prepare(feed, stream.prefix, stream.suffix, 1, count)
    }

    /// Sends everything and waits until it was counted; CPU seconds of the counting thread.
    func feedAndWait() throws -> Double {
        // The feed has a lock of its own; it lives until this function is over, which waits for the thread's work.
        nonisolated(unsafe) let address = feed
        let thread = Thread { feed_go(address) }
        thread.start()
        let seconds = count_wait(120)
        guard seconds > 0 else { throw ValidationError("only \(count_so_far()) of \(count) messages arrived") }
        return seconds
    }
}

/// The messages of one run: a realistic `message.created`, padded to the size wanted.
struct Stream {
    var port = 0
    var scheme = "http"
    let prefix: String
    let suffix: String
    private let channel = "7d1f0a52-9d0c-4a53-8f8e-2f7f3f6b1c11"

    init(size: Int, wake: Bool = false) {
        if size < 400 {
            prefix = "42/realtime,[\"message.created\",{\"id\":\"m\",\"channelId\":\"\(channel)\",\"seq\":"
            let rest = ",\"userId\":\"u\",\"content\":\""
            let end = "\"\(wake ? ",\"wakeup\":true" : "")}]"
            let padding = max(1, size - prefix.utf8.count - rest.utf8.count - end.utf8.count - 5)
            suffix = rest + String(repeating: "x", count: padding) + end
            return
        }
        prefix =
            "42/realtime,[\"message.created\",{\"messageId\":\"0b0e3f5e-64c9-4a44-9d2c-6a4d0f0c1e77\","
            + "\"channelId\":\"\(channel)\",\"seq\":"
        let rest = ",\"authorUserId\":\"5c2b9c6e-30f4-4a53-a6a7-0f9a9f1f4d21\",\"content\":\""
        let end =
            "\",\"attachments\":[],\"createdAt\":\"2026-06-01T10:30:51.123Z\",\"xType\":\"general\",\"wakeup\":\(wake)}]"
        let padding = max(1, size - prefix.utf8.count - rest.utf8.count - end.utf8.count - 5)
        let words = "The quick brown fox jumps over the lazy dog. "
        var content = ""
        while content.utf8.count < padding { content += words }
        suffix = rest + content.prefix(padding) + end
    }

    var login: String {
        """
        {"accessToken":"a","user":{"id":"agent"},"guilds":[{"nodeId":"g","endpoint":"\(scheme)://127.0.0.1:\(port)"}],\
        "guildAccessTokens":[{"guildNodeId":"g","token":"t"}]}
        """
    }

    var channels: String {
        "[{\"id\":\"\(channel)\",\"guildId\":\"g\",\"name\":\"general\",\"xType\":\"general\",\"lastSeq\":0}]"
    }
}
