import ArgumentParser
import GatewayHost

@main
struct GatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "Runs channel modules, supervises their accounts, and brings their messages to agents.",
        subcommands: [
            Run.self, Status.self, Reload.self, Send.self, Channels.self, Stop.self, Unblock.self, DeadLetters.self,
            Tool.self, MCP.self, Drain.self,
        ])

    /// Runs the command the process was called with. A command that cannot be understood ends with 2, as everything does
    /// that is wrong with what was asked, not with the parser's 64.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var patient = command as? any AsyncParsableCommand {
                try await patient.run()
            } else {
                try command.run()
            }
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            CommandLineTool.standardError(fullMessage(for: error) + "\n")
            exit(withError: ExitCode(2))
        }
    }
}

/// Where the configuration is; every command needs it, for the state directory stands there.
struct ConfigurationOption: ParsableArguments {
    @Option(name: .customLong("config"), help: "The configuration file.")
    var file = "./gateway.json"
}
