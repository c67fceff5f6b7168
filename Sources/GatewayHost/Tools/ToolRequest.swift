import GatewayControl
import JSONBytes

/// A request about tools, as it comes in by the control socket.
struct ToolRequest: Equatable, Sendable {
    /// How long a call may take when nobody says; long enough for an upload.
    static let defaultTimeout = Duration.seconds(120)
    /// A tool acts once; what takes longer is no tool.
    static let longestTimeout = Duration.seconds(600)
    static let longestID = 200

    /// Empty if a capability tells it.
    var account: String
    /// The plugin; empty where there is one only, or the account tells.
    var channel: String
    /// What an agent's turn was given; `nil`: the operator asks.
    var capability: String?
    var tool: String
    var arguments: JSONValue
    var callId: String
    var timeout: Duration

    init(_ request: JSONValue) throws(GatewayError) {
        func text(_ key: String) throws(GatewayError) -> String {
            guard let value = request[key], value != .null else { return "" }
            guard let text = value.string else { throw GatewayError("“\(key)” of the request is not a string") }
            return text
        }
        account = try text("account")
        channel = try text("channel")
        let capability = try text("capability")
        self.capability = capability.isEmpty ? nil : capability
        tool = try text("tool")
        arguments = request["arguments"] ?? [:]
        callId = try text("callId")
        guard callId.utf8.count <= Self.longestID else { throw GatewayError("“callId” of the request is too long") }
        timeout = Self.defaultTimeout
        if let seconds = request["timeoutSeconds"]?.double {
            guard seconds > 0 else { throw GatewayError("“timeoutSeconds” of the request must be more than 0") }
            timeout = .seconds(min(seconds, Self.longestTimeout / .seconds(1)))
        }
    }
}
