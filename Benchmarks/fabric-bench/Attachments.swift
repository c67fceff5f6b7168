import ArgumentParser
import FabricAPI
import FabricSimulator
import Foundation
import HTTPTransfer

/// A file each way against `curl` on the command line, with the most memory the process had.
struct Attachments: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "A large file each way against curl.")

    @Option(help: "Bytes of the file.")
    var bytes: Int64 = 1_000_000_000
    @Option(help: "How often each is measured; the best counts.")
    var rounds = 3

    func run() throws {
        let server = try Child(["serve-files", "--bytes", "\(bytes)"])
        defer { server.stop() }
        let facts = try server.line().split(separator: " ").map(String.init)
        guard facts.count == 3 else { throw ValidationError("the server did not start") }
        let (endpoint, token, url) = (facts[0], facts[1], facts[2])
        let directory = NSTemporaryDirectory() + "fabric-bench-\(getpid())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }

        for way in ["download", "upload"] {
            var curl = Double.infinity
            var own = Double.infinity
            var memory = 0.0
            for _ in 0..<rounds {
                curl = min(curl, try curlSeconds(way, endpoint, token, url, directory))
                let child = try Child([
                    "transfer-file", way, "--endpoint", endpoint, "--token", token, "--url", url, "--directory",
                    directory,
                ])
                let fields = try child.line().split(separator: " ").compactMap { Double($0) }
                child.stop()
                guard fields.count == 2 else { throw ValidationError("the \(way) failed") }
                own = min(own, fields[0])
                memory = max(memory, fields[1])
            }
            report([
                ("bench", text("attachments")), ("way", text(way)), ("bytes", "\(bytes)"),
                ("seconds", rounded(own)), ("reference", text("curl")), ("reference_seconds", rounded(curl)),
                ("ratio", rounded(own / curl)), ("peak_growth_kilobytes", rounded(memory, 0)),
            ])
        }
    }

    private func curlSeconds(
        _ way: String, _ endpoint: String, _ token: String, _ url: String, _ directory: String
    ) throws -> Double {
        var arguments = ["-sS", "-f", "-H", "Authorization: Bearer \(token)", "-o", directory + "/curl"]
        if way == "download" {
            arguments.append(endpoint + url)
        } else {
            arguments += ["-H", "Expect:", "-F", "file=@\(directory)/own", endpoint + "/api/files"]
        }
        let curl = Process()
        curl.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        curl.arguments = ["curl"] + arguments
        let start = ContinuousClock.now
        try curl.run()
        curl.waitUntilExit()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        guard curl.terminationStatus == 0 else { throw ValidationError("curl failed (is it installed?)") }
        return seconds
    }
}

/// The server of `attachments`.
struct ServeFiles: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve-files", shouldDisplay: false)
    @Option var bytes: Int64

    func run() throws {
        let bytes = bytes
        let line = try waitFor {
            let sim = try await FabricSimulator.start(.init(guilds: ["g"]))
            await sim.updateSwitches {
                $0.uploadLimit = bytes * 2
                $0.keepsUploadsUpTo = 0
            }
            let user = try await sim.createUser(name: "bench")
            let file = await sim.putFile(name: "big.bin", generated: GeneratedContent(size: bytes, seed: 1))
            let token = await sim.issueGuildToken(user: user.id, guild: "g")
            return "\(sim.endpoints["g"] ?? "") \(token) \(file.url)"
        }
        say(line)
        waitForEnd()
    }
}

/// The measured side of `attachments`: one transfer in a fresh process, as curl's is. Process start is part of both.
struct TransferFile: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "transfer-file", shouldDisplay: false)
    @Argument var way: String
    @Option var endpoint: String
    @Option var token: String
    @Option var url: String
    @Option var directory: String

    func run() throws {
        let path = directory + "/own"
        let (way, endpoint, token, url) = (way, endpoint, token, url)
        let http = try HTTPTransfer(configuration: .init())
        let guild = try FabricGuild(nodeId: "g", endpoint: endpoint, http: http)
        let before = peakKilobytes()
        let start = ContinuousClock.now
        try waitFor {
            if way == "download" {
                _ = try await guild.download(url: url, to: path, maximumBytes: .max, token: token)
            } else {
                _ = try await guild.upload(
                    file: path, name: "big.bin", mediaType: "application/octet-stream", token: token)
            }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        http.shutdown()
        say("\(seconds) \(peakKilobytes() - before)")
        waitForEnd()
    }
}
