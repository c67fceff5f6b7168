import ArgumentParser
import CBench
import Foundation
import GatewayABI

/// CPU per inbound message, frame to host callback, through the real module and its C ABI; the reference is a bare
/// libwebsockets client in C that only counts the frames of the same stream.
struct Inbound: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "CPU per inbound message against a bare C client.")

    @Option(help: "Frame sizes in bytes.")
    var size: [Int] = [100, 620, 1000, 100_000]
    @Option(help: "How often each is measured; the best counts.")
    var rounds = 5
    @Option(help: "The module; the one built beside this program by default.")
    var module: String?

    func run() throws {
        for size in size {
            let count = Int64(max(2000, min(300_000, 150_000_000 / size)))
            var bare = Double.infinity
            var ours = Double.infinity
            for _ in 0..<rounds {
                let stream = Stream(size: size)
                guard let feed = feed_start(stream.login, stream.channels) else {
                    throw ValidationError("the feed cannot listen")
                }
                feed_prepare(feed, stream.prefix, stream.suffix, 1, count)
                bare = min(bare, bare_client_run(feed_port(feed), count, feed))
                feed_stop(feed)
                ours = min(ours, try measureModule(stream, count: count))
            }
            let perMessage = ours / Double(count) * 1e6
            let reference = bare / Double(count) * 1e6
            report([
                ("bench", text("inbound")), ("bytes", "\(size)"), ("messages", "\(count)"),
                ("microseconds", rounded(perMessage)), ("reference", text("bare C client on libwebsockets")),
                ("reference_microseconds", rounded(reference)), ("ratio", rounded(perMessage / reference)),
                ("above_reference_microseconds", rounded(perMessage - reference)),
            ])
        }
    }

    private func measureModule(_ stream: Stream, count: Int64) throws -> Double {
        var stream = stream
        guard let feed = feed_start("", stream.channels) else { throw ValidationError("the feed cannot listen") }
        defer { feed_stop(feed) }
        let port = Int(feed_port(feed))
        stream.port = port
        feed_set_login(feed, stream.login)
        feed_prepare(feed, stream.prefix, stream.suffix, 1, count)
        let host = try ModuleHost(path: module ?? ModuleHost.beside)
        defer { host.shutdown() }
        try host.configure(center: "http://127.0.0.1:\(port)/api", accounts: ["bench": "fak_bench"])
        count_reset(count)
        try host.start("bench")
        try host.waitUntilConnected("bench")
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
    let prefix: String
    let suffix: String
    private let channel = "7d1f0a52-9d0c-4a53-8f8e-2f7f3f6b1c11"

    init(size: Int) {
        if size < 400 {
            prefix = "42/realtime,[\"message.created\",{\"id\":\"m\",\"channelId\":\"\(channel)\",\"seq\":"
            let rest = ",\"userId\":\"u\",\"content\":\""
            let end = "\"}]"
            let padding = max(1, size - prefix.utf8.count - rest.utf8.count - end.utf8.count - 5)
            suffix = rest + String(repeating: "x", count: padding) + end
            return
        }
        prefix =
            "42/realtime,[\"message.created\",{\"messageId\":\"0b0e3f5e-64c9-4a44-9d2c-6a4d0f0c1e77\","
            + "\"channelId\":\"\(channel)\",\"seq\":"
        let rest = ",\"authorUserId\":\"5c2b9c6e-30f4-4a53-a6a7-0f9a9f1f4d21\",\"content\":\""
        let end =
            "\",\"attachments\":[],\"createdAt\":\"2026-06-01T10:30:51.123Z\",\"xType\":\"general\",\"wakeup\":false}]"
        let padding = max(1, size - prefix.utf8.count - rest.utf8.count - end.utf8.count - 5)
        let words = "The quick brown fox jumps over the lazy dog. "
        var content = ""
        while content.utf8.count < padding { content += words }
        suffix = rest + content.prefix(padding) + end
    }

    var login: String {
        """
        {"accessToken":"a","user":{"id":"agent"},"guilds":[{"nodeId":"g","endpoint":"http://127.0.0.1:\(port)"}],\
        "guildAccessTokens":[{"guildNodeId":"g","token":"t"}]}
        """
    }

    var channels: String {
        "[{\"id\":\"\(channel)\",\"guildId\":\"g\",\"name\":\"general\",\"xType\":\"general\",\"lastSeq\":0}]"
    }
}
