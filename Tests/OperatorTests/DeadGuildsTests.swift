import Foundation
import HTTPTestServer
import JSONBytes
import Testing

/// A thousand guilds of one account, and none of them answers.
@Suite(
    .timeLimit(.minutes(5)),
    .enabled(if: dlsym(nil, "__asan_init") == nil && dlsym(nil, "__tsan_init") == nil, "it measures the processor"))
struct DeadGuildsTests {
    @Test func aThousandDeadGuildsCostLittle() async throws {
        let names = (0..<1000).map { "g\($0)" }
        let login: JSONValue = [
            "accessToken": "a", "refreshToken": "r", "user": ["id": "u", "email": "echo@x"],
            // A port nobody listens on: refused at once, which is the dearest way to be dead.
            "guilds": .array(
                names.map { ["nodeId": .string($0), "name": .string($0), "endpoint": "http://127.0.0.1:1"] }),
            "guildAccessTokens": .array(names.map { ["guildNodeId": .string($0), "token": "t"] }),
        ]
        let answer = String(decoding: login.serialized, as: UTF8.self)
        let center = try TestServer { _, connection in
            connection.respond(201, ["Content-Type: application/json"], body: answer)
        }
        defer { center.stop() }
        let desk = try Desk()
        try desk.configure(
            "{\"centerApiBase\":\"\(center.url)/api\",\"accounts\":{\"echo\":{\"fabricApiKey\":\"fak_x\"}}}",
            agents: #"{"echo":{"builtin":"echo"}}"#)
        let gateway = try desk.start("gateway", ["run"])
        defer { kill(gateway.pid, SIGKILL) }
        try await gateway.wait(for: "gateway runs")
        func attempts(_ account: JSONValue) -> Int64 {
            (account["guilds"]?.array ?? []).reduce(0) { $0 + ($1["reconnectAttempts"]?.int ?? 0) }
        }
        let first = try await desk.status("every guild was tried") { attempts($0) >= 1000 }
        let (begun, before) = (ContinuousClock.now, try processorSeconds(gateway.pid))
        let next = attempts(first.json["accounts"]?.array?.first ?? .null) + 1000
        let last = try await desk.status("every guild was tried again") { attempts($0) >= next }
        let used = try processorSeconds(gateway.pid) - before
        let count = Double(attempts(last.json["accounts"]?.array?.first ?? .null) - next + 1000)
        let share = used / (begun.duration(to: .now) / .seconds(1))
        // Each is tried once a minute in the end: that is what it costs in the long run, unoptimised.
        print("1,000 dead guilds: \(used / count * 1000) ms a try, \(share * 100) % of a core while they begin")
        #expect(used / count < 0.03, "\(used / count) s of a processor for each try")
        let status = try await desk.run("gateway", ["status"])
        #expect(status.code == 1 && status.output.contains("and 995 more guilds"), "\(status.output.prefix(2000))")
        let stop = try await desk.run("gateway", ["stop"])
        #expect(stop.code == 0, "\(stop.all)")
    }

    private func processorSeconds(_ pid: Int32) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        let end = try #require(text.lastIndex(of: ")"))
        let fields = text[text.index(after: end)...].split(separator: " ")
        return [11, 12].compactMap { Double(fields[$0]) }.reduce(0, +) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
