import Foundation

/// The control routes for what users do besides posting.
extension FabricSimulator {
    func controlDoings(_ route: String, _ request: Request) throws(SimulatorError) -> Response? {
        let arguments = Arguments(request)
        let guild = arguments.text("guild") ?? world.guildOrder.first ?? ""
        switch route {
        case "POST edit": try edit(try message(arguments), content: try arguments.need("content"))
        case "POST delete": try delete(try message(arguments))
        case "POST canvas":
            shareCanvas(
                as: try user(arguments.need("user")), in: try channelID(arguments), content: arguments.text("content"))
        case "GET canvas":
            return .json(["content": canvas(try channelID(arguments)) ?? JSONText.null])
        case "GET commands": return .text(commands(guild: guild) ?? Array("null".utf8))
        case "POST presence":
            setPresence(
                guild: guild, user: try user(arguments.need("user")), status: try arguments.need("status"))
        case "GET presence":
            return .json(["status": presence(guild: guild, user: try user(arguments.need("user"))) ?? "unknown"])
        case "POST typing": type(as: try user(arguments.need("user")), in: try channelID(arguments))
        default: return nil
        }
        return .json(["ok": true])
    }

    private func message(_ arguments: Arguments) throws(SimulatorError) -> SimulatedMessage {
        let (channel, id) = (try channelID(arguments), try arguments.need("message"))
        guard let found = history(channel).first(where: { $0.id == id }) else {
            throw SimulatorError("no message '\(id)' in the channel")
        }
        return found
    }
}
