import ArgumentParser
import GatewayHost

@main
struct GatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "Runs channel modules, supervises their accounts, and brings their messages to agents.",
        subcommands: [
            Run.self, Status.self, Reload.self, Send.self, Channels.self, Stop.self, Unblock.self, DeadLetters.self,
            Tool.self, MCP.self,
        ])
}

/// Where the configuration is; every command needs it, for the state directory stands there.
struct ConfigurationOption: ParsableArguments {
    @Option(name: .customLong("config"), help: "The configuration file.")
    var file = "./gateway.json"
}
