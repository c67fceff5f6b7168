import Foundation
import HTTPTestServer
import JSONBytes
import Testing

/// A thousand guilds of one account, and none of them answers.
@Suite(.timeLimit(.minutes(2))) struct DeadGuildsTests {
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
        try await desk.status("every guild was tried") { account in
            let guilds = account["guilds"]?.array ?? []
            return guilds.count == 1000 && guilds.allSatisfy { $0["reconnectAttempts"]?.int ?? 0 >= 1 }
        }
        // The backoff has begun; what follows is less and less.
        let (begun, before) = (ContinuousClock.now, try processorSeconds(gateway.pid))
        try await ContinuousClock().sleep(for: .seconds(4))
        let used = try processorSeconds(gateway.pid) - before
        let share = used / (begun.duration(to: .now) / .seconds(1))
        print("1,000 dead guilds: \((share * 1000).rounded() / 10) % of a core")
        // Unoptimised, and the dearest seconds there are.
        #expect(share < 0.5, "\(share) of a core")
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
