import GatewayControl
import Glibc
import JSONBytes

/// How the tools reach an agent: as an MCP server that it starts, which is this program, with a capability in its
/// environment. Never in arguments, which everybody on the machine can see.
struct TurnTools: Sendable {
    /// What an agent's environment never takes over from the gateway's own.
    static let variables: Set<String> = [
        CommandLineTool.Inherited.capability, CommandLineTool.Inherited.stateDirectory, CommandAgent.toolsVariable,
    ]

    let capabilities: Capabilities
    /// The `gateway` program.
    let executable: String
    let stateDirectory: String

    /// A capability for a delivery's account and conversation; good for nothing until a turn begins.
    /// - Parameter files: the directory whose files it may send.
    func make(for head: DeliveryHead, reach: AgentTools, files: String?) -> String {
        var scope = ToolScope(reach: reach, conversation: head.conversation, guild: head.guild, room: head.room)
        scope.directories = files.map { [$0] } ?? []
        return capabilities.make(channel: head.channel, account: head.account, scope: scope)
    }

    /// What the server, or `gateway tool`, finds its gateway by.
    func variables(_ token: String) -> [String: String] {
        [
            CommandLineTool.Inherited.capability: token,
            CommandLineTool.Inherited.stateDirectory: stateDirectory,
        ]
    }

    /// The file that MCP clients read.
    func configuration(_ token: String, name: String) -> JSONValue {
        let server: JSONValue = [
            "command": .string(executable), "args": ["mcp"],
            "env": .object(variables(token).mapValues { .string($0) }),
        ]
        return ["mcpServers": .object([name.isEmpty ? "gateway" : name: server])]
    }

    /// The server as `session/new` of the Agent Client Protocol takes it. Each has a name of its own: there are agents that
    /// keep one server for each name, whatever session it came with.
    func server(_ token: String, name: String) -> JSONValue {
        [
            "name": .string("\(name.isEmpty ? "gateway" : name)-\(capabilities.number(token))"),
            "command": .string(executable), "args": ["mcp"],
            "env": .array(
                variables(token).sorted { $0.key < $1.key }.map {
                    ["name": .string($0.key), "value": .string($0.value)]
                }),
        ]
    }

    /// The program that runs now, as it can be started again.
    static func thisProgram() -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes { raw in
            raw.withMemoryRebound(to: CChar.self) { bytes in
                bytes.baseAddress.map { readlink("/proc/self/exe", $0, bytes.count) } ?? -1
            }
        }
        guard count > 0 else { return "gateway" }
        let path = String(decoding: buffer[..<count], as: UTF8.self)
        // One that was replaced by a newer one since it was started.
        return path.hasSuffix(" (deleted)") ? String(path.dropLast(" (deleted)".count)) : path
    }
}
