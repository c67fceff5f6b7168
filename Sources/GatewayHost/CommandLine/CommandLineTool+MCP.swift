import GatewayControl
import Glibc
import JSONBytes

extension CommandLineTool {
    /// Serves the tools of an account by the Model Context Protocol on standard input and output, until the input ends.
    /// No gateway has to run when it begins.
    /// - Parameters:
    ///   - account: who acts; a turn's capability tells it by itself.
    ///   - version: of this program.
    ///   - seconds: how long a call may take.
    /// - Returns: 0, or 2 if it cannot begin.
    public func mcp(account: String?, channel: String?, version: String, seconds: Double) async -> Int32 {
        let capability = Inherited.value(Inherited.capability)
        guard capability != nil || account?.isEmpty == false else {
            complain("gateway: name the account that the tools act as: gateway mcp --account ID\n")
            return 2
        }
        guard seconds > 0, seconds <= ToolRequest.longestTimeout / .seconds(1) else {
            complain("gateway: --timeout must be more than 0 and at most 600 seconds.\n")
            return 2
        }
        signal(SIGPIPE, SIG_IGN)
        var authority: [String: JSONValue] = [:]
        if let capability { authority["capability"] = .string(capability) }
        if let account { authority["account"] = .string(account) }
        if let channel { authority["channel"] = .string(channel) }
        let who = account.map { "the account \($0)" } ?? "the account whose turn this is"
        let identity = MCPIdentity(
            name: "gateway", version: version,
            instructions: "These tools act in a chat system as \(who). What a tool posts is seen by people at once.")
        let tool = self
        let bridge = MCPBridge(
            authority: authority, timeout: .seconds(seconds),
            directory: { try tool.stateDirectory(inherited: true) }, write: Self.standardOutput)
        do {
            try bridge.read(0)
        } catch {
            complain("gateway: \(error)\n")
            return 2
        }
        await bridge.serve(MCPServer(identity: identity))
        return 0
    }

    /// Writes all of it to standard output; `false` when nobody reads there.
    private static let standardOutput: @Sendable ([UInt8]) -> Bool = { bytes in
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(1, $0.baseAddress?.advanced(by: sent), bytes.count - sent) }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                var polled = pollfd(fd: 1, events: Int16(POLLOUT), revents: 0)
                poll(&polled, 1, 1000)
                continue
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
