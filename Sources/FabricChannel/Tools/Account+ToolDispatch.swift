import FabricTools
import JSONBytes

extension Account {
    /// Does what a tool does.
    func carryOut(_ call: ToolCall) async throws -> JSONValue {
        switch call.tool {
        case .guildList: return try await listGuilds(call)
        case .channelList: return try await listChannels(call)
        case .channel: return try await showChannel(call)
        case .messageHistory: return try await readMessages(call)
        case .sendMessage: return try await sendMessage(call)
        case .join: return try await changeMembership(call, joins: true)
        case .leave: return try await changeMembership(call, joins: false)
        case .fileDownload: return try await downloadFile(call)
        case .register: return try await renewKey(call)
        case .presence: return try await showPresence(call)
        case .sendSystemMessage: return try await sendSystemMessage(call)
        case .editMessage: return try await editMessage(call)
        case .deleteMessage: return try await deleteMessage(call)
        case .setPurpose: return try await setPurpose(call)
        case .bypass: return try await bypass(call)
        case .discussionComplete: return try await completeDiscussion(call)
        case .createSubDiscussion: return try await createSubDiscussion(call)
        case .closeSubDiscussion: return try await closeSubDiscussion(call)
        case .canvas: return try await useCanvas(call)
        default:
            if let type = call.tool.createdType { return try await createChannel(call, type: type) }
            throw ToolFailure(.unknownTool, "there is no tool \"\(call.tool.name)\"; list them with tools.list")
        }
    }
}
