import Foundation
import GatewayControl
import JSONBytes
import Locking
import Testing
import Threads

@testable import GatewayHost

/// What a command printed.
final class Output: Sendable {
    private let state = Locked<(printed: String, complained: String)>(("", ""))
    var printed: String { state.withLock { $0.printed } }
    var complained: String { state.withLock { $0.complained } }
    func tool(_ file: String) -> CommandLineTool {
        CommandLineTool(
            configuration: file, print: { [self] text in state.withLock { $0.printed += text } },
            complain: { [self] text in state.withLock { $0.complained += text } })
    }
}

/// Runs something that blocks off the pool.
func blocking<T: Sendable>(_ body: @escaping @Sendable () -> T) async throws -> T {
    let result = Once<T>()
    try NamedThread.start("test") { result.decide(body()) }
    return await result.value()
}

@Suite struct ControlTests {
    @Test func theCommandLineAgainstARunningGateway() async throws {
        let bench = try TestBench(accounts: ["a": "1"])
        let file = bench.scratch.path + "/gateway.json"
        let before = Output()
        #expect(try await blocking { before.tool(file).status(json: false) } == 3)
        #expect(before.complained.contains("no gateway runs here"))
        try await bench.start()
        try await eventually("connected") { await bench.account("a")["connected"]?.bool == true }

        let facts = try FileManager.default.attributesOfItem(atPath: bench.scratch.path + "/state/gateway.sock")
        #expect(facts[.posixPermissions] as? Int == 0o600)
        let status = Output()
        let code = try await blocking { status.tool(file).status(json: false) }
        #expect(code == 0, "\(status.printed)\(status.complained)")
        #expect(status.printed.contains("all well") && status.printed.contains("test 1.0.0 (load 1)"))
        let json = Output()
        #expect(try await blocking { json.tool(file).status(json: true) } == 0)
        #expect(try JSONValue(parsing: json.printed)["pid"]?.int == Int64(getpid()))

        let send = Output()
        #expect(
            try await blocking {
                send.tool(file).send(account: "a", to: "test:g/c", text: "hi", media: ["x.png"], replyTo: nil)
            } == 0)
        #expect(try JSONValue(parsing: send.printed)["messageId"]?.string == "m1")
        #expect(try await bench.journal().contains("send a test:g/c [hi]  +media"))
        let refused = Output()
        #expect(
            try await blocking {
                refused.tool(file).send(account: "a", to: "test:g/c", text: "refuse me", media: [], replyTo: nil)
            } == 1)
        #expect(refused.complained.contains("channel_closed"))
        #expect(
            try await blocking {
                refused.tool(file).send(account: "a", to: "test:g/c", text: "", media: [], replyTo: nil)
            } == 1)

        let reload = Output()
        #expect(try await blocking { reload.tool(file).reload(module: true) } == 0)
        #expect(reload.printed.contains("1.0.0"))
        #expect(try await blocking { reload.tool(file).reload(module: false) } == 0)
        let unknown = Output()
        #expect(try await blocking { unknown.tool(file).channels(account: "a") } == 1)
        #expect(unknown.complained.contains("unknown command"))

        try await bench.tell("block", "a")
        try await eventually("blocked") { await bench.account("a")["supervision"]?["phase"]?.string == "blocked" }
        let problem = Output()
        #expect(try await blocking { problem.tool(file).status(json: false) } == 1)
        #expect(problem.printed.contains("!! a") && problem.printed.contains("blocked: told to block"))

        let unblock = Output()
        #expect(try await blocking { unblock.tool(file).unblock(account: "a") } == 0)
        try await eventually("runs again") { await bench.account("a")["connected"]?.bool == true }
        #expect(try await blocking { unblock.tool(file).unblock(account: "nobody") } == 1)

        let stop = Output()
        #expect(try await blocking { stop.tool(file).stop() } == 0)
        #expect(stop.printed.contains("stopped process"))
        #expect(try await blocking { stop.tool(file).status(json: false) } == 3)
        await bench.gateway.stopped()
    }

    @Test func longPathsAreReachedAllTheSame() async throws {
        let scratch = try Scratch()
        let deep = scratch.path + "/" + String(repeating: "d", count: 120)
        try Files.makeDirectory(deep)
        let server = try ControlServer(stateDirectory: deep, logger: LogLines().logger()) { _ in
            ["ok": true, "result": 7]
        }
        let answer = try await blocking { try? ControlClient.ask([:], stateDirectory: deep) }
        #expect(answer == 7)
        await server.stop()
        #expect(Files.names(in: deep).isEmpty)
    }

    @Test func badRequestsAreAnsweredAndBounded() async throws {
        let scratch = try Scratch()
        let server = try ControlServer(stateDirectory: scratch.path, logger: LogLines().logger()) { request in
            ControlAnswer.success(request["n"] ?? .null)
        }
        let path = scratch.path
        let lines = try await blocking { () -> [String] in
            func exchange(_ pieces: [String], answers: Int) -> [String] {
                guard let address = try? ControlAddress(stateDirectory: path), let socket = try? ControlAddress.socket()
                else { return [] }
                defer { close(socket) }
                guard address.lend({ connect(socket, $0, $1) }) == 0 else { return [] }
                for piece in pieces {
                    let bytes = Array(piece.utf8)
                    var sent = 0
                    while sent < bytes.count {
                        let count = bytes.withUnsafeBytes {
                            send(socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
                        }
                        if count <= 0 { break }
                        sent += count
                    }
                }
                var text = ""
                var chunk = [UInt8](repeating: 0, count: 4096)
                while text.count(where: { $0 == "\n" }) < answers {
                    let count = read(socket, &chunk, chunk.count)
                    if count <= 0 { break }
                    text += String(decoding: chunk[..<count], as: UTF8.self)
                }
                return text.split(separator: "\n").map(String.init)
            }
            return exchange(["{\"n\":1}\n{\"n\":2}\n", "{\"n\"", ":3}\n"], answers: 3)
                + exchange(["nonsense\n"], answers: 1)
                + exchange([String(repeating: "x", count: ControlServer.maximumRequest + 70_000)], answers: 1)
                + exchange(["{\"n\":4}\n"], answers: 1)
        }
        #expect(lines.count == 6, "\(lines)")
        #expect(lines.prefix(3).compactMap { JSONValue.parsed(Array($0.utf8))?["result"]?.int } == [1, 2, 3])
        #expect(lines.dropFirst(3).first?.contains("one JSON object") == true)
        #expect(lines.dropFirst(4).first?.contains("at most") == true)
        #expect(lines.last?.contains("4") == true)
        await server.stop()
    }

    @Test func repeatsAreFoldedWithACount() {
        var folder = RecordFolder(window: .seconds(30), capacity: 2)
        let origin = ContinuousClock.now
        func record(_ text: String) -> LogRecord { LogRecord(level: "error", label: "x", message: text, metadata: []) }
        #expect(folder.take(record("a"), at: origin) == [.init(record: record("a"), repeats: 0)])
        for _ in 0..<199 { #expect(folder.take(record("a"), at: origin.advanced(by: .seconds(3))).isEmpty) }
        #expect(folder.take(record("b"), at: origin.advanced(by: .seconds(4))).count == 1)
        #expect(
            folder.take(record("c"), at: origin.advanced(by: .seconds(5)))
                == [.init(record: record("a"), repeats: 199), .init(record: record("c"), repeats: 0)], "capacity")
        #expect(folder.take(record("c"), at: origin.advanced(by: .seconds(6))).isEmpty)
        #expect(folder.expire(at: origin.advanced(by: .seconds(35))) == [.init(record: record("c"), repeats: 1)])
        #expect(folder.take(record("c"), at: origin.advanced(by: .seconds(36))).count == 1)
    }

    @Test func logLinesForPeopleAndForMachines() throws {
        let record = LogRecord(
            level: "error", label: "gateway", message: "bad\u{1B}[31m", metadata: [.init(key: "k", value: "a\nb")])
        let human = GatewayLog(format: .human) { _ in }.line(.init(record: record, repeats: 4), at: 0)
        #expect(human == "00:00:00.000 ERROR   bad\u{FFFD}[31m (4 more times)  k=a\n    b\n")
        let json = GatewayLog(format: .json) { _ in }.line(.init(record: record, repeats: 4), at: 0.5)
        let tree = try JSONValue(parsing: json)
        #expect(tree["time"]?.string == "1970-01-01T00:00:00.500Z" && tree["repeats"]?.int == 4)
        #expect(tree["metadata"]?["k"]?.string == "a\nb")
    }

    @Test func timesAreReadInEveryForm() {
        #expect(WallTime.seconds("2026-11-20T22:57:25Z") == 1_795_215_445)
        #expect(WallTime.seconds("2026-11-20T23:57:25.250+01:00") == 1_795_215_445.25)
        #expect(WallTime.seconds(1_795_215_445) == 1_795_215_445)
        #expect(WallTime.seconds(1_795_215_445_000) == 1_795_215_445)
        #expect(WallTime.seconds("yesterday") == nil && WallTime.seconds(.null) == nil)
        #expect(WallTime.text(1_795_215_445.25) == "2026-11-20T22:57:25.250Z")
    }
}
