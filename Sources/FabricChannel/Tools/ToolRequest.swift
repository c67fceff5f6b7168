import FabricTools
import JSONBytes

/// A call of a tool, as the gateway asks for it (`gateway_channel.h` describes the object).
struct ToolRequest: Sendable {
    /// How long a call may take unless it says otherwise, and at most; ours.
    static let timeouts: (usual: Duration, longest: Duration) = (.seconds(60), .seconds(600))

    var account: String
    var tool: String
    var arguments: JSONValue
    /// Names the call, for cancelling it.
    var callId: String
    /// The turn it belongs to; it ends with the turn.
    var delivery: String?
    /// It may look at the turn's own conversation only.
    var isConfined: Bool
    /// Where files that are sent may lie, besides what was fetched for the turn; nil: anywhere.
    var filesBelow: [String]?
    var timeout: Duration

    /// Reads the request.
    /// - Throws: when the request itself is wrong. A wrong tool or argument is a result, for the agent to read.
    init(_ value: JSONValue) throws(RequestProblem) {
        account = try value.requiredAccount()
        tool = try Self.required("tool", value)
        callId = try Self.required("callId", value)
        guard callId.utf8.count <= 200 else {
            throw RequestProblem(
                .invalid, "\"callId\" is longer than 200 bytes", at: "tools.call", remedy: "give a shorter one")
        }
        arguments = value["arguments"] ?? .null
        delivery = value["delivery"]?.string
        isConfined = value["scope"]?.string == "conversation"
        if let directories = value["filesBelow"], directories != .null {
            guard let list = directories.array, list.allSatisfy({ $0.string?.hasPrefix("/") == true }) else {
                throw RequestProblem(
                    .invalid, "\"filesBelow\" is no array of absolute paths", at: "tools.call",
                    remedy: "name the directories, or leave it out")
            }
            filesBelow = list.compactMap(\.string)
        }
        if isConfined, delivery == nil {
            throw RequestProblem(
                .invalid, "the scope \"conversation\" needs a \"delivery\"", at: "tools.call",
                remedy: "name the turn whose conversation it is")
        }
        let seconds = value["timeoutSeconds"]?.double
        timeout = seconds.map { .seconds(min(max($0, 0.001), 600)) } ?? Self.timeouts.usual
    }

    private static func required(_ key: String, _ value: JSONValue) throws(RequestProblem) -> String {
        guard let text = value[key]?.string, !text.isEmpty else {
            throw RequestProblem(
                .invalid, "\"\(key)\" is missing or not a string", at: "tools.call", remedy: "give it as a string")
        }
        return text
    }
}
