import GatewayControl
import Glibc
import JSONBytes
import Threads

/// Carries out what `MCPServer` says: lines on standard input and output on one side, the control socket of a running
/// gateway on the other. Each question is a connection of its own, so that a gateway that was away in between is simply
/// asked again.
final class MCPBridge: Sendable {
    /// Longest line of a client's, in bytes: the gateway takes no longer request.
    static let maximumLine = ControlServer.maximumRequest - (64 << 10)

    private enum Event: Sendable {
        case line([UInt8])
        case tooLong
        case ended
        case answered(UInt64, MCPServer.Answer)
        case tick
    }

    /// What every request says about who asks.
    private let authority: [String: JSONValue]
    /// Found anew each time: the file that tells it may come later, or change.
    private let directory: @Sendable () throws -> String
    private let timeout: Duration
    private let write: @Sendable ([UInt8]) -> Bool
    private let events: AsyncStream<Event>
    private let post: AsyncStream<Event>.Continuation
    /// What the ids of calls begin with: they are told apart from those of other processes.
    private let prefix = String(UInt64.random(in: .min ... .max), radix: 36)

    /// - Parameters:
    ///   - timeout: how long a call may take.
    ///   - write: writes all the bytes; `false` when nobody reads any more.
    init(
        authority: [String: JSONValue], timeout: Duration, directory: @escaping @Sendable () throws -> String,
        write: @escaping @Sendable ([UInt8]) -> Bool
    ) {
        self.authority = authority
        self.timeout = timeout
        self.directory = directory
        self.write = write
        (events, post) = AsyncStream.makeStream()
    }

    /// Reads lines until the end of the input, on a thread of its own.
    func read(_ descriptor: Int32) throws(POSIXFailure) {
        let post = post
        try NamedThread.start("mcp-input") {
            var line: [UInt8] = []
            var isTooLong = false
            var chunk = [UInt8](repeating: 0, count: 64 << 10)
            while true {
                let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                var rest = chunk[..<count]
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    if !isTooLong { line += rest[..<end] }
                    if !isTooLong, line.contains(where: { $0 > 32 }) { post.yield(.line(line)) }
                    (line, isTooLong) = ([], false)
                    rest = rest[(end + 1)...]
                }
                if !isTooLong { line += rest }
                if line.count > Self.maximumLine {
                    (line, isTooLong) = ([], true)
                    post.yield(.tooLong)
                }
            }
            post.yield(.ended)
        }
    }

    /// Serves until the input ends.
    func serve(_ server: MCPServer) async {
        var server = server
        var timer: (at: ContinuousClock.Instant, task: Task<Void, Never>)?
        defer { timer?.task.cancel() }
        for await event in events {
            let actions: [MCPServer.Action]
            var isOver = false
            switch event {
            case .line(let line): actions = server.received(line, at: .now)
            case .tooLong:
                actions = [
                    .send(MCPServer.error(.null, .invalidRequest, "a line may have \(Self.maximumLine) bytes"))
                ]
            case .answered(let number, let answer): actions = server.answered(number, answer)
            case .tick: actions = server.tick(.now)
            case .ended: (actions, isOver) = ([], true)
            }
            for action in actions where !perform(action) { isOver = true }
            guard !isOver else {
                for case .cancel(let number) in server.ended() { cancel(number) }
                return
            }
            if timer?.at != server.nextTick {
                timer?.task.cancel()
                timer = server.nextTick.map { at in
                    let post = post
                    return (
                        at,
                        Task {
                            try? await Task.sleep(until: at, clock: .continuous)
                            if !Task.isCancelled { post.yield(.tick) }
                        }
                    )
                }
            }
        }
    }

    /// - Returns: `false` when nobody reads the answers any more.
    private func perform(_ action: MCPServer.Action) -> Bool {
        switch action {
        case .send(let message): return write(message.serialized + [UInt8(ascii: "\n")])
        case .cancel(let number): try? NamedThread.start("mcp-cancel") { [self] in cancel(number) }
        case .ask(let number, let question):
            let post = post
            do {
                try NamedThread.start("mcp-question") { [self] in
                    post.yield(.answered(number, answer(to: question, number)))
                }
            } catch {
                post.yield(.answered(number, .unreachable("\(error)")))
            }
        }
        return true
    }

    private func answer(to question: MCPServer.Question, _ number: UInt64) -> MCPServer.Answer {
        var request = authority
        var limit = CommandLineTool.patience
        switch question {
        case .listTools:
            request["command"] = "tools"
            limit = .seconds(40)
        case .callTool(let name, let arguments):
            request["command"] = "tool"
            request["tool"] = .string(name)
            request["arguments"] = arguments
            request["callId"] = .string(id(number))
            request["timeoutSeconds"] = .double(timeout / .seconds(1))
            limit = timeout + .seconds(20)
        }
        let result: JSONValue
        do {
            result = try ControlClient.ask(.object(request), stateDirectory: directory(), within: limit)
        } catch ControlClient.Failure.failed(let error) {
            return .failed(message: "\(error)".printable(lineBreak: " "), error: ["code": "refused"])
        } catch {
            return .unreachable("\(error)".printable(lineBreak: " "))
        }
        switch question {
        case .listTools: return .tools(result["tools"]?.array ?? [])
        case .callTool:
            guard result["ok"]?.bool != true else { return .succeeded(result["result"] ?? .null) }
            let error = result["error"] ?? .null
            return .failed(message: error["message"]?.string ?? "the call failed", error: error)
        }
    }

    /// Blocks for as long as the gateway takes to hear of it: a client that has gone is not kept waiting.
    private func cancel(_ number: UInt64) {
        var request = authority
        request["command"] = "tool.cancel"
        request["callId"] = .string(id(number))
        guard let directory = try? directory() else { return }
        _ = try? ControlClient.ask(.object(request), stateDirectory: directory, within: .seconds(2))
    }

    private func id(_ number: UInt64) -> String { "\(prefix)-\(number)" }
}
