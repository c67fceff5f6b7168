import JSONBytes

/// In which manner of the protocol a request is made.
enum MCPEra: Equatable, Sendable {
    /// Each request says its version (from 2026-07-28 on).
    case stateless(String)
    /// `initialize` agreed on a version, or an old client left it out.
    case initialized(String)

    /// Versions whose requests carry all they need.
    static let stateless = ["2026-07-28"]
    /// Versions that begin with `initialize`, oldest first.
    static let initializing = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]

    static let versionKey = "io.modelcontextprotocol/protocolVersion"
    static let clientKey = "io.modelcontextprotocol/clientCapabilities"
    static let serverKey = "io.modelcontextprotocol/serverInfo"

    struct Refusal: Error, Equatable {
        var code: MCPCode
        var message: String
        var data: JSONValue?
    }

    /// Whether results may hold structured content, which came with 2025-06-18.
    var hasStructuredContent: Bool {
        switch self {
        case .stateless: true
        case .initialized(let version): version >= "2025-06-18"
        }
    }

    /// Whether structured content may be any JSON value; before, it had to be an object.
    var takesAnyStructure: Bool { if case .stateless = self { true } else { false } }

    /// The manner of a request.
    /// - Parameter agreed: what `initialize` agreed on, on this connection.
    static func of(_ method: String, _ parameters: JSONValue, agreed: String?) -> Result<MCPEra, Refusal> {
        let meta = parameters["_meta"]
        guard let said = meta?[versionKey] else {
            guard method == "server/discover" else { return .success(.initialized(agreed ?? initializing[0])) }
            return .failure(
                Refusal(code: .invalidParameters, message: "server/discover needs “\(versionKey)” in its _meta"))
        }
        guard let version = said.string else {
            return .failure(Refusal(code: .invalidParameters, message: "“\(versionKey)” is not a string"))
        }
        guard stateless.contains(version) else {
            // One that begins with `initialize`, and names its version all the same, is served.
            if initializing.contains(version), method != "server/discover" { return .success(.initialized(version)) }
            return .failure(
                Refusal(
                    code: .unsupportedVersion, message: "this server does not speak revision \(version.prefix(40))",
                    data: [
                        "supported": .array((stateless + initializing).map { .string($0) }),
                        "requested": .string(String(version.prefix(40))),
                    ]))
        }
        guard meta?[clientKey] != nil else {
            return .failure(
                Refusal(code: .invalidParameters, message: "a request of revision \(version) needs “\(clientKey)”"))
        }
        return .success(.stateless(version))
    }

    /// What `initialize` agrees on: what was asked for, else the newest.
    static func agree(on wanted: String?) -> String {
        if let wanted, initializing.contains(wanted) { return wanted }
        return initializing[initializing.count - 1]
    }
}

/// Codes of JSON-RPC's errors, and those that the protocol adds.
enum MCPCode: Int64, Sendable {
    case parse = -32700
    case invalidRequest = -32600
    case methodNotFound = -32601
    case invalidParameters = -32602
    case internalError = -32603
    case unsupportedVersion = -32022
    /// The gateway is not there, or takes no more.
    case unavailable = -32000
}

/// How the server introduces itself.
struct MCPIdentity: Equatable, Sendable {
    var name: String
    var version: String
    /// For the model: what the tools are for.
    var instructions: String

    var implementation: JSONValue { ["name": .string(name), "version": .string(version)] }

    private var capabilities: JSONValue { ["tools": [:]] }

    func initialized(_ version: String) -> [String: JSONValue] {
        [
            "protocolVersion": .string(version), "capabilities": capabilities, "serverInfo": implementation,
            "instructions": .string(instructions),
        ]
    }

    var discovered: [String: JSONValue] {
        [
            "supportedVersions": .array((MCPEra.stateless + MCPEra.initializing).map { .string($0) }),
            "capabilities": capabilities, "instructions": .string(instructions),
        ]
    }
}
