import FabricTools
import JSONBytes
import SocketIO

/// The calls of an account that are under way. Each is answered once: by its end, its deadline, or who cancels it.
struct ToolCalls {
    /// More than an agent has use for; a runaway one must not fill the machine.
    static let most = 32

    struct Call {
        var tool: Tool
        var task: UInt64
        var deadline: LoopTimer
        var completion: @Sendable (RequestResult) -> Void
    }

    private var open: [String: Call] = [:]

    var isEmpty: Bool { open.isEmpty }
    var isFull: Bool { open.count >= Self.most }
    func contains(_ id: String) -> Bool { open[id] != nil }

    mutating func begin(_ id: String, _ call: Call) { open[id] = call }

    /// Takes a call out; nil when it was answered before.
    mutating func take(_ id: String) -> Call? {
        let call = open.removeValue(forKey: id)
        call?.deadline.cancel()
        return call
    }
}

/// The tools of an account: what is under way, what they post, and what they fetched.
struct AccountTools {
    var calls = ToolCalls()
    var posts = ToolPosts()
    var downloads = ToolDownloads()
}

extension RequestResult {
    /// What a call is answered: a failure of the tool is a result, for the agent to read.
    init(tool outcome: Result<JSONValue, ToolFailure>) {
        let json: JSONValue
        switch outcome {
        case .success(let value): json = ["ok": true, "result": value]
        case .failure(let failure): json = ["ok": false, "error": failure.json]
        }
        self.init(.ok, json.serialized)
    }
}
