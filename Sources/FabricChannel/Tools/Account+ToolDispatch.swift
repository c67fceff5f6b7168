import FabricTools
import JSONBytes

extension Account {
    /// Does what a tool does.
    func carryOut(_ call: ToolCall) async throws -> JSONValue {
        switch call.tool {
        case .guildList: try await listGuilds(call)
        case .channelList: try await listChannels(call)
        case .channel: try await showChannel(call)
        case .messageHistory: try await readMessages(call)
        case .sendMessage: try await sendMessage(call)
        case .join: try await changeMembership(call, joins: true)
        case .leave: try await changeMembership(call, joins: false)
        case .fileDownload: try await downloadFile(call)
        default:
            throw ToolFailure(.unknownTool, "there is no tool \"\(call.tool.name)\"; list them with tools.list")
        }
    }
}
