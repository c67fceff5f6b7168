import FabricAPI
import JSONBytes
import Logging

/// Gives the guilds the catalogue of slash commands.
extension Account {
    /// The catalogue changed, or guilds are there that may not have it.
    func syncCommands() {
        inbox.knowsStop = environment.commands.names.contains(SlashCommand.stop)
        guard environment.commands.whole != nil, !ending.hasBegun else { return }
        for link in links.values where inbox.phase(link.number) == .ready { syncCommands(link) }
    }

    func syncCommands(_ link: GuildLink) {
        guard environment.commands.whole != nil, let key = syncKey(),
            let commands = environment.commands.begin(link.nodeId)
        else { return }
        run { account in
            do {
                try await account.withGuildToken(link.nodeId) { token in
                    try await link.guild.sync(commands: commands, key: key, token: token)
                }
                account.environment.commands.ended(link.nodeId, commands, isGood: true)
                account.logger.info("slash commands synced", metadata: ["guild": "\(link.nodeId)"])
                // It may have changed meanwhile.
                account.syncCommands(link)
            } catch {
                account.environment.commands.ended(link.nodeId, commands, isGood: false)
                account.logger.warning(
                    "slash commands not synced; everything else works",
                    metadata: ["guild": "\(link.nodeId)", "reason": "\(operatorText(error))"])
            }
        }
    }

    private func syncKey() -> String? {
        guard let source = settings.commandsSyncKey else {
            if environment.commands.mayComplain() {
                logger.info("the guilds are not told of slash commands: channels.fabric.commandsSyncKey is not set")
            }
            return nil
        }
        do {
            return try source.fetch().reveal()
        } catch {
            if environment.commands.mayComplain() {
                logger.warning(
                    "the guilds are not told of slash commands: commandsSyncKey is not at hand; everything else works",
                    metadata: ["reason": "\(error)"])
            }
            return nil
        }
    }
}
